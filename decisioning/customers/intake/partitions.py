"""Retention classes and moments in; the log's monthly tables made ahead, and those past their time dropped, out.

A class is a number of months; 0 keeps for ever. A month is that of arrival: the log's ids are UUIDs of version 7.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import connection, transaction

AHEAD = 2
LEAVES = """
SELECT c.relname, pg_table_size(c.oid), c.reltuples::bigint FROM pg_class c
WHERE c.relkind = 'r' AND c.relispartition AND c.relname LIKE 'customers\\_event\\_keep%' ORDER BY c.relname
"""
LEAF = re.compile(r"^customers_event_keep(\d+)_(\d{4})_(\d{2})$")


def open_months(classes: Iterable[int], now: datetime) -> None:
    """Make the tables of this month and the next `AHEAD` for each retention class. `now` is real time."""
    months = [_plus(now.date(), ahead) for ahead in range(AHEAD + 1)]
    with transaction.atomic(), connection.cursor() as cursor:
        for keep in sorted(set(classes)):
            for month in months:
                cursor.execute("SELECT customers_open_month(%s, %s)", [keep, month])


def moment_of(event_id: UUID) -> datetime:
    """The real time at which a UUID of version 7 was made, to the millisecond."""
    return datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC)


def leaves() -> list[tuple[str, int, date, int, int]]:
    """The monthly tables: name, retention class, first day, bytes, rows as last estimated (−1: never)."""
    with connection.cursor() as cursor:
        cursor.execute(LEAVES)
        found = [(LEAF.match(name), name, size, rows) for name, size, rows in cursor.fetchall()]
    return [(name, int(m[1]), date(int(m[2]), int(m[3]), 1), size, rows) for m, name, size, rows in found if m]


def expired(now: datetime) -> list[str]:
    """The tables whose every event is older than its class keeps it."""
    return [name for name, keep, month, _, _ in leaves() if keep and _plus(month, keep + 1) <= now.date()]


def drop_expired(now: datetime) -> list[str]:
    """Drop them; their names. A table that is being read is left for the next time instead of making readers wait."""
    dropped = expired(now)
    for name in dropped:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            cursor.execute(f'DROP TABLE "{name}"')
    return dropped


def _plus(day: date, months: int) -> date:
    """The first day of the month `months` later."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)
