"""Decisions in from requests without waiting; rows in PostgreSQL, written in bulk by a thread of this process, out.

Bounded: when PostgreSQL stays away and the buffer is full, the oldest decisions are dropped and counted. A process that
is stopped writes what it holds; one that is killed loses at most the last `FLUSH_SECONDS`.
"""

import atexit
import logging
import threading
from collections import deque
from collections.abc import Sequence

from django.db import DataError, Error, IntegrityError, close_old_connections, connection, transaction

from ..models import Decision

log = logging.getLogger(__name__)

LIMIT = 20_000
FLUSH_SECONDS = 0.2
BATCH = 500


class Ledger:
    """An append-only buffer in front of the table of decisions."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.dropped = 0
        self._rows: deque[Decision] = deque()
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None

    def append(self, row: Decision) -> None:
        """Keep one decision; never blocks, never raises."""
        if len(self._rows) >= self.limit:
            self._rows.popleft()
            self.dropped += 1
        self._rows.append(row)
        if self._thread is None:
            self._start()

    def waiting(self) -> int:
        """How many decisions are not in the database yet."""
        return len(self._rows)

    def flush(self) -> int:
        """Write what is waiting, now; how many rows were written. A failed batch stays and is tried again."""
        written = 0
        with self._flushing:
            while self._rows:
                batch = [self._rows[i] for i in range(min(BATCH, len(self._rows)))]
                # Ids are made before the write, so a batch repeated after a lost answer adds nothing twice.
                self._write(batch)
                for row in batch:
                    if self._rows and self._rows[0] is row:
                        self._rows.popleft()
                written += len(batch)
        return written

    def _write(self, batch: Sequence[Decision]) -> None:
        try:
            with transaction.atomic():
                Decision.objects.bulk_create(batch, ignore_conflicts=True)
        except (DataError, IntegrityError, ValueError, RecursionError) as error:
            if len(batch) == 1:
                # The database will never take it: dropping one is better than keeping everybody's waiting.
                self.dropped += 1
                log.error("decision %s cannot be stored and is dropped: %s", batch[0].pk, error)
                return
            for row in batch:
                self._write([row])

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()
                atexit.register(self._last)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(FLUSH_SECONDS):
            self._try()

    def _try(self) -> None:
        if not self._rows:
            return
        try:
            close_old_connections()
            self.flush()
        except Error as error:
            log.warning("%s decisions wait for the database: %s", len(self._rows), error)
            connection.close()

    def _last(self) -> None:
        self._try()
        if self._rows:
            log.error("%s decisions could not be written before the stop", len(self._rows))


ledger = Ledger()
