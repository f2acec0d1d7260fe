"""`manage.py consume`: handle committed events as they come, until told to stop."""

import logging
import signal
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

import redis
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from decisioning.config import clock
from decisioning.config.garbage import search_seldom
from decisioning.customers.intake import pending
from decisioning.customers.plan import planning
from decisioning.flows.expire import expire
from decisioning.flows.react import BATCH, handle_suspects, react, settle_merges

log = logging.getLogger(__name__)

# Seconds between two looks: while events come, and after a while without any.
BUSY, IDLE, IDLE_AFTER = 0.01, 0.05, 2.0
LONGEST_WAIT = 5.0
UPKEEP_EVERY = 2.0
# Whose windows have run out is looked for between batches of events, however many there are.
EXPIRE_EVERY = 0.1


class Command(BaseCommand):
    """The consumer of the event log: identities, facts, segments, triggers. Any number may run at once."""

    help = "Handle committed events: who they are of, facts, segments, triggers. Stop it with Ctrl-C or SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=BATCH, help="customers a transaction (default: %(default)s)")
        parser.add_argument("--alive", type=Path, help="a file to touch while things go well, for a health check")
        parser.add_argument("--once", action="store_true", help="stop when nothing is pending and nobody is due")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped; a database or Redis that is away is waited for, longer each time."""
        stop = threading.Event()

        def ask_to_stop(number: int, frame: FrameType | None) -> None:
            stop.set()

        # Under `call_command` in a thread nobody sends signals.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ask_to_stop)
            signal.signal(signal.SIGINT, ask_to_stop)
        connection_created.connect(need_no_disk)
        search_seldom()
        try:
            consume(stop, options["batch"], once=options["once"], alive=options["alive"])
        finally:
            connection_created.disconnect(need_no_disk)


def need_no_disk(connection: BaseDatabaseWrapper, **more: Any) -> None:
    """Commits of a consumer need not wait for the disk: what a crash of PostgreSQL takes back is done again, whole.

    What others commit on top of it (a message that is sent) reaches the disk after it, never before.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")


def consume(stop: threading.Event, batch: int, *, once: bool = False, alive: Path | None = None) -> None:
    """Take batch after batch until `stop` is set (or, with `once`, until nothing is pending)."""
    wait, started, last, checked, expired, due = 0.1, False, time.monotonic(), 0.0, 0.0, 0
    while not stop.is_set():
        try:
            if not started:
                with transaction.atomic():
                    pending.note_start(batch)
                started = True
            if time.monotonic() - checked > UPKEEP_EVERY:
                handle_suspects(clock.now())
                settle_merges(clock.now())
                planning.flush(clock.now())
                checked = time.monotonic()
                if alive is not None:
                    alive.touch()
            events = react(clock.now(), batch).events
            if once or time.monotonic() - expired > EXPIRE_EVERY:
                # As long as some are due, they take turns with events.
                due = expire(clock.now()).customers
                expired = expired if due else time.monotonic()
            wait = 0.1
        except (redis.RedisError, OperationalError, InterfaceError) as error:
            log.warning("waiting %.1f s: %s", wait, error)
            connection.close()
            stop.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)
            continue
        if events or due:
            last = time.monotonic()
        elif once:
            break
        else:
            stop.wait(BUSY if time.monotonic() - last < IDLE_AFTER else IDLE)
    planning.flush(clock.now())
