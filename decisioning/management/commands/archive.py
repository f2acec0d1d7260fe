"""Comes in: what to do with the archive. Goes out: the same in a sentence, and on request as JSON.

manage.py archive write      take in what is complete; --now also the few newest events
manage.py archive verify     compare every month with PostgreSQL, and mend what differs
manage.py archive tidy       merge small files, drop what expired, delete what nobody reads any more
manage.py archive facts RUN  the facts of all customers (or of --bucket N), kept under the name RUN
manage.py archive frame      refresh the frame of all customers
manage.py archive status     what there is
"""

import json
import re
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from polars.exceptions import PolarsError

from decisioning.config import clock
from decisioning.flows import archive
from decisioning.store import frames, parts
from decisioning.store.parts import BUCKETS

RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


class Command(BaseCommand):
    """Keeps the archive of the event log and the frame of all customers."""

    help = "Keeps the archive of the event log and the frame of all customers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and how."""
        parser.add_argument("what", choices=["write", "verify", "tidy", "facts", "frame", "status"])
        parser.add_argument("run", nargs="?", default="by-hand", help="Of facts: a name for what is computed.")
        parser.add_argument("--now", action="store_true", help="Of write: however few events there are.")
        parser.add_argument("--margin", type=float, default=archive.MARGIN.total_seconds(), help="Of write: seconds.")
        parser.add_argument("--piece", type=int, default=archive.PIECE, help="Of write: events taken in at a time.")
        parser.add_argument(
            "--bucket", type=int, action="append", choices=range(BUCKETS), help="Of facts: only this one, or these."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say what was done."""
        does: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "write": _write,
            "verify": _verify,
            "tidy": _tidy,
            "facts": _facts,
            "frame": _frame,
            "status": _status,
        }
        told = does[options["what"]](options)
        self.stdout.write(json.dumps(told) if options["json"] else "\n".join(f"{key}: {told[key]}" for key in told))


def _write(options: dict[str, Any]) -> dict[str, Any]:
    least = 1 if options["now"] else archive.LEAST
    margin = timedelta(seconds=options["margin"])
    done = archive.write(datetime.now(UTC), margin=margin, least=least, piece=options["piece"])
    return {"events": done.events, "files": done.files, "complete until": str(done.until)}


def _verify(_: dict[str, Any]) -> dict[str, Any]:
    found = archive.verify(datetime.now(UTC))
    return {
        one.shelf.path: f"{one.missing} events added, {one.surplus} removed, {one.damaged} files written anew"
        for one in found
    } or {"verified": "The archive and PostgreSQL agree."}


def _tidy(_: dict[str, Any]) -> dict[str, Any]:
    done = archive.tidy(datetime.now(UTC))
    frames.sweep(datetime.now(UTC) - archive.READERS)
    return {"buckets tidied": done.merged, "months dropped": done.dropped, "files deleted": done.deleted}


def _facts(options: dict[str, Any]) -> dict[str, Any]:
    run, buckets = options["run"], options["bucket"] or range(BUCKETS)
    if not RUN.fullmatch(run):
        raise CommandError(f"{run!r} is no name of a run; use letters, digits and hyphens, at most 64.")
    try:
        done = sum(archive.compute(run, bucket, clock.now()) for bucket in buckets)
    except (FileNotFoundError, PolarsError) as error:
        told = str(error).strip().partition("\n")[0]
        raise CommandError(
            f"A file of the archive is gone or damaged ({told}). Run `manage.py archive verify`, which writes it anew "
            "from PostgreSQL, then this again."
        ) from None
    return {"customers": done, "run": run}


def _frame(_: dict[str, Any]) -> dict[str, Any]:
    done = frames.refresh(clock.now())
    return {"changed": done.changed, "customers": done.total, "seconds": round(done.seconds, 3)}


def _status(_: dict[str, Any]) -> dict[str, Any]:
    found = frames.state()
    held = parts.closed()
    files, size = parts.extent()
    return {
        "archive": settings.ARCHIVE_URL,
        "events": sum(one.rows for one in held.values()),
        "months": len(held),
        "files": files,
        "megabytes": round(size / 1e6, 1),
        "complete until": str(parts.watermark()),
        "frame": f"version {found.version}, {found.rows} customers" if found else "not written yet",
    }
