"""Decisions in from requests without waiting; rows in PostgreSQL, written in bulk by a thread of this process, out.

Bounded: when PostgreSQL stays away and the buffer is full, the oldest decisions are dropped and counted. A process that
is stopped writes what it holds; one that is killed loses at most the last `FLUSH_SECONDS` and what is being written.
"""

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from django.db import DataError, Error, IntegrityError, connection

from ..config.ending import at_end
from ..models import Decision
from .copying import copy_in, copy_new
from .deadline import Gate, bounded
from .sampling import in_sample, thin
from .tallies import Tallies

log = logging.getLogger(__name__)

LIMIT = 20_000
FLUSH_SECONDS = 0.2
BATCH = 1000
# Writing one batch may take so long before it is cut off and tried again; when the process ends there is less time.
PATIENCE_SECONDS, LAST_SECONDS = 30.0, 5.0
AGAIN_SECONDS = 0.1  # after a last try that failed, as long as there is time
# Counts need not be written as often as rows.
TALLY_SECONDS = 1.0
FULL, REFUSED, STOPPED = "full", "refused", "stopped"
# What a row is made of that PostgreSQL, or the encoder before it, will never take.
HOPELESS = (DataError, IntegrityError, ValueError, TypeError, OverflowError, RecursionError)


class Ledger:
    """An append-only buffer in front of the table of decisions."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.lost: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """Start empty, also in a forked child: what its parent holds the parent writes."""
        self.tallies = Tallies()
        self._rows: deque[Decision] = deque()
        self._writing: list[Decision] = []
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._gate = Gate()
        self._told_at = 0.0

    @property
    def dropped(self) -> int:
        """How many decisions this process could not keep; `lost` has them by reason."""
        return self.lost.total()

    def append(self, row: Decision, share: float = 1.0) -> None:
        """Keep one decision, whole where its id falls into `share` of all; never blocks, never raises."""
        if share < 1 and not in_sample(row.pk, share):
            thin(row)
        if self.waiting() >= self.limit:
            self._drop_oldest(row)
        self._rows.append(row)
        if self._thread is None:
            self._start()

    def answered(self, how: str, now: datetime) -> None:
        """Count one call: "hit" from the cache, "miss" decided anew, "none" without a snapshot. It keeps no row."""
        self.count("answers", how, now)

    def count(self, what: str, name: str, now: datetime) -> None:
        """Count something that leaves no row; the thread that writes rows brings it to PostgreSQL."""
        self.tallies.add(what, name, now)
        if self._thread is None:
            self._start()

    def waiting(self) -> int:
        """How many decisions are not in the database yet."""
        return len(self._rows) + len(self._writing)

    def flush(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Write what is waiting, now; how many rows were written. A failed batch stays and is tried again.

        Raises OperationalError when PostgreSQL is away, or takes longer than `seconds` for a batch.
        """
        written = 0
        with self._flushing:
            while self._rows:
                batch = [self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]
                self._writing = batch
                try:
                    with bounded(seconds, entrance=self._gate):
                        refused = _write(batch)
                except BaseException:
                    self._writing = []
                    self._rows.extendleft(reversed(batch))
                    raise
                self._writing = []
                self._note(batch, refused)
                written += len(batch) - len(refused)
        return written

    def _drop_oldest(self, newest: Decision) -> None:
        try:
            row = self._rows.popleft()
        except IndexError:
            # Everything is being written at the moment.
            row = newest
        self._lose(row, FULL)

    def _lose(self, row: Decision, why: str) -> None:
        self.lost[why] += 1
        self.tallies.add("dropped", why, row.at)

    def _note(self, batch: Sequence[Decision], refused: Sequence[Decision]) -> None:
        for row in refused:
            self._lose(row, REFUSED)
        # The ids tell when decisions were made, by the same clock; those of version 7 do.
        made = [row.pk.int >> 80 for row in batch if row.pk.version == 7]
        waited = time.time() - min(made) / 1000 if made else 0.0
        self.tallies.add("written", "", batch[-1].at, len(batch) - len(refused), max(0.0, waited))

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()
                at_end(self._last)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(FLUSH_SECONDS):
            self._try()

    def _try(self, seconds: float = PATIENCE_SECONDS) -> None:
        try:
            if self._rows:
                self.flush(seconds)
            if time.monotonic() >= self._told_at + TALLY_SECONDS:
                self._told_at = time.monotonic()
                with bounded(seconds, entrance=self._gate):
                    self.tallies.write()
        except Error as error:
            log.warning("%s decisions wait for the database: %s", self.waiting(), error)
            connection.close()

    def _last(self) -> None:
        """What is left when the process ends. A thread that hangs in a write must not hold up the end for ever."""
        until = time.monotonic() + LAST_SECONDS
        while self._last_try(until) and (left := until - time.monotonic()) > 0:
            # PostgreSQL may be coming back, and requests may still be answered.
            time.sleep(min(AGAIN_SECONDS, left))
        if not (lost := self.waiting()):
            return
        log.error("%s decisions could not be written before the stop and are lost", lost)
        for row in self._writing:
            self._lose(row, STOPPED)
        while self._rows:
            self._lose(self._rows.popleft(), STOPPED)
        # Where PostgreSQL takes nothing at all, the line above is all that tells of it.
        with suppress(Error), bounded(LAST_SECONDS, entrance=Gate()):
            self.tallies.write()

    def _last_try(self, until: float) -> bool:
        """Write everything, counts too; whether something is left to be written."""
        if self._flushing.acquire(timeout=max(0.0, until - time.monotonic())):
            self._flushing.release()
            self._told_at = 0.0
            self._try(max(AGAIN_SECONDS, until - time.monotonic()))
        return self.waiting() > 0


def _write(batch: Sequence[Decision]) -> list[Decision]:
    """Write rows; those that the database will never take come back, so that they hold up nobody else's.

    Ids are made before the write, so a batch repeated after a lost answer adds nothing twice.
    """
    try:
        copy_new(batch)
    except HOPELESS:
        return _sift(batch)
    return []


def _sift(batch: Sequence[Decision]) -> list[Decision]:
    try:
        copy_in(batch)
    except HOPELESS as error:
        if len(batch) == 1:
            log.error("decision %s cannot be stored and is dropped: %s", batch[0].pk, error)
            return [batch[0]]
        half = len(batch) // 2
        return _sift(batch[:half]) + _sift(batch[half:])
    return []


ledger = Ledger()
os.register_at_fork(after_in_child=ledger.begin)
