"""`manage.py import KIND FILE…`: files in, what became of their rows out; 1 if any failed.

Kinds are events, customers, contents, decisions made elsewhere, and Metarank's events.
"""

import signal
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError

from campaigns.models import Placement
from decisioning.config import clock
from decisioning.models import Outcome
from decisioning.sources.importing import Told, rehearse, run
from decisioning.sources.items import Item
from decisioning.sources.kinds import KINDS
from decisioning.sources.mapping import Unusable
from decisioning.sources.preparing import Job
from decisioning.sources.progress import Watch, terminal


class Command(BaseCommand):
    """Import files; an import that was stopped goes on where it was when it is started again."""

    help = "Import events, customers, contents, decisions made elsewhere, or Metarank's events from files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=sorted(KINDS))
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--format", choices=["csv", "jsonl", "parquet"], default="", help="otherwise guessed")
        parser.add_argument("--mapping", type=Path, help="a TOML file: which column is what (docs/sources.md)")
        parser.add_argument("--dry-run", action="store_true", help="check every row, write nothing")
        parser.add_argument("--limit", type=positive, help="only so many rows from the beginning of each file")
        parser.add_argument("--source", default="", help="where the log says the events come from")
        parser.add_argument("--live", action="store_true", help="events trigger campaigns; without it they are history")
        parser.add_argument("--as-of", type=moment, help="when customers were so, for rows without a time")
        self._add_of_decisions(parser)
        parser.add_argument("--max-failures", type=int, default=1000, help="stop after so many failed rows (1000)")
        parser.add_argument("--allow-failures", action="store_true", help="exit with 0 although rows failed")
        parser.add_argument("--restart", action="store_true", help="begin anew although the file or mapping changed")

    def _add_of_decisions(self, parser: CommandParser) -> None:
        parser.add_argument("--window-hours", type=hours, help="decisions: how long outcomes count (for ever)")
        parser.add_argument(
            "--objective", choices=Placement.Objective.values, default="", help="decisions: what new placements are for"
        )
        parser.add_argument("--placement", default="", help="metarank: where its rankings were shown (metarank)")
        parser.add_argument(
            "--interaction",
            type=meaning,
            action="append",
            default=[],
            dest="meanings",
            metavar="TYPE=KIND",
            help="metarank: what a type of interaction is: impression, click, conversion, or nothing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Asked to stop, it ends as on Ctrl-C: the chunk in work is taken back, the next start goes on behind the last.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            failed = [path.name for path in options["files"] if not self._one(path, options)]
        except KeyboardInterrupt:
            raise CommandError("Stopped. The same command goes on where it was.", returncode=130) from None
        finally:
            signal.signal(signal.SIGTERM, before)
        if failed and not options["allow_failures"]:
            raise CommandError(f"Rows of {', '.join(failed)} failed; their neighbours are stored.")

    def _one(self, path: Path, options: dict[str, Any]) -> bool:
        """Import one file; whether every row of it was fine."""
        words = ["kind", "format", "source", "live", "limit", "max_failures", "as_of", "restart"]
        words += ["window_hours", "objective", "placement"]
        try:
            mapping = options["mapping"].read_text() if options["mapping"] else ""
            meanings = tuple(options["meanings"])
            job = Job(path=path, mapping=mapping, meanings=meanings, **{word: options[word] for word in words})
            console = terminal() if self.stdout.isatty() else None
            with Watch(path.name, self.stdout.write, self.stderr.write, console) as watch:
                told = rehearse(job, clock.now(), watch) if options["dry_run"] else run(job, clock.now, watch)
        except (Unusable, OSError, UnicodeError) as error:
            raise CommandError(str(error)) from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"The database went away: {error} The same command goes on where it was.") from None
        self._summary(path, told, watch.seconds, options)
        if told.stopped:
            raise CommandError(
                f"Stopped after {told.failed} failed rows. Mend the file or the mapping and give --restart, or go on "
                f"with a larger --max-failures."
            )
        return told.failed == 0

    def _summary(self, path: Path, told: Told, seconds: float, options: dict[str, Any]) -> None:
        for example in told.examples:
            value = msgspec.json.decode(example.raw) if isinstance(example, Item) else example
            self.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
        counts = ", ".join(f"{number:,} {name}" for name, number in sorted(told.counts.items()))
        resumed = f" (went on at row {told.resumed_at:,})" if told.resumed_at else ""
        nothing = " Nothing was written." if options["dry_run"] else ""
        self.stdout.write(
            f"{path.name}: {told.rows:,} rows in {seconds:.1f} s{resumed}: {counts or 'nothing new'}, "
            f"{told.failed:,} failed.{nothing}"
        )


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1.")
    return int(text)


def moment(text: str) -> datetime:
    """A moment in ISO 8601; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no moment; write 2024-05-31 or 2024-05-31T18:04:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def hours(text: str) -> float:
    """A number of hours above 0."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number of hours above 0.")
    return found


def meaning(text: str) -> tuple[str, str]:
    """A type of interaction and what it means: "add-to-cart=click", or "view=" for nothing."""
    type_, sign, kind = text.partition("=")
    if not type_ or not sign or kind not in ("", *Outcome.Kind.values):
        raise ArgumentTypeError(f"{text!r} is not understood; write TYPE=click, with {', '.join(Outcome.Kind.values)}.")
    return type_, kind
