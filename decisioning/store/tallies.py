"""What a process counts without keeping a row of it in; one row a process, hour and name in PostgreSQL, out.

A process writes its counts so far and never differences, and the larger of two counts stands: whatever is repeated
after a lost answer changes nothing, and while PostgreSQL is away nothing is forgotten.
"""

import threading
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import connection, transaction

# Hours that nobody counts in any more are forgotten after so long, and of all processes made one row after so long.
MEMORY, SETTLED = timedelta(hours=26), timedelta(days=7)
EVERYBODY = UUID(int=0)
WRITE = """
INSERT INTO decisioning_tally AS t (process, hour, what, name, count, most)
SELECT %s, h, w, n, c, m FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::bigint[], %s::float8[])
    AS v(h, w, n, c, m)
ON CONFLICT (hour, process, what, name)
DO UPDATE SET count = greatest(t.count, excluded.count), most = greatest(t.most, excluded.most)
"""
ADD = """
INSERT INTO decisioning_tally AS t (process, hour, what, name, count, most)
VALUES (%s, %s, %s, %s, %s, 0)
ON CONFLICT (hour, process, what, name) DO UPDATE SET count = t.count + excluded.count
"""
SETTLE = """
WITH gone AS (DELETE FROM decisioning_tally WHERE hour < %s AND process <> %s RETURNING hour, what, name, count, most)
INSERT INTO decisioning_tally AS t (process, hour, what, name, count, most)
SELECT %s, hour, what, name, sum(count), max(most) FROM gone GROUP BY hour, what, name
ON CONFLICT (hour, process, what, name)
DO UPDATE SET count = t.count + excluded.count, most = greatest(t.most, excluded.most)
"""

Key = tuple[datetime, str, str]


class Tallies:
    """Counts of one process by hour; adding takes a microsecond and never waits for the database."""

    def __init__(self) -> None:
        self.process = uuid4()
        self._lock = threading.Lock()
        self._figures: dict[Key, tuple[int, float]] = {}
        self._unwritten: set[Key] = set()

    def add(self, what: str, name: str, at: datetime, count: int = 1, figure: float = 0.0) -> None:
        """Count within the hour of `at`; of figures the largest is kept."""
        key = (hour_of(at), what, name)
        with self._lock:
            before, most = self._figures.get(key, (0, 0.0))
            self._figures[key] = (before + count, max(most, figure))
            self._unwritten.add(key)

    def write(self) -> int:
        """Bring what changed to PostgreSQL; how many counts. Raises what the database raises, and forgets nothing."""
        with self._lock:
            changed = {key: self._figures[key] for key in self._unwritten}
            self._unwritten.clear()
        if not changed:
            return 0
        columns = [list(column) for column in zip(*(key + figures for key, figures in changed.items()), strict=True)]
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(WRITE, [self.process, *columns])
        except BaseException:
            with self._lock:
                self._unwritten.update(changed)
            raise
        self._forget(max(hour for hour, _, _ in changed) - MEMORY)
        return len(changed)

    def _forget(self, before: datetime) -> None:
        with self._lock:
            for key in [key for key in self._figures if key[0] < before and key not in self._unwritten]:
                del self._figures[key]


def hour_of(at: datetime) -> datetime:
    """The hour a moment is in."""
    return at.replace(minute=0, second=0, microsecond=0)


def add_now(what: str, name: str, at: datetime, count: int) -> None:
    """Count something in the database itself, within the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(ADD, [EVERYBODY, hour_of(at), what, name, count])


def settle(now: datetime) -> int:
    """Make one row of all processes' where none of them counts any more; how many rows there are of it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(SETTLE, [now - SETTLED, EVERYBODY, EVERYBODY])
        return int(cursor.rowcount)
