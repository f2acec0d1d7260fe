"""Moments in; the ledger's monthly tables made ahead, and those past their time dropped, out.

A decision lies in the table of the month its id was made in, a UUID of version 7 (RFC 9562), so that looking one up
reads one table. Whatever has no such id, as imports have, or no table yet, lies in the rest.
"""

import logging
import re
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import OperationalError, connection, transaction

from ..models import DroppedMonth
from .counting import LOCK

log = logging.getLogger(__name__)

AHEAD: Final = 2
LEAF: Final = re.compile(r"^decisioning_decision_(\d{4})_(\d{2})$")
LEAVES: Final = """
SELECT c.relname, pg_total_relation_size(c.oid), c.reltuples::bigint FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'decisioning_decision'::regclass ORDER BY c.relname
"""
WAIT: Final = "SET LOCAL lock_timeout = '2s'"
UNCOUNTED: Final = "SELECT EXISTS (SELECT FROM decisioning_uncounted WHERE decision_id >= %s AND decision_id < %s)"
# Imports have ids of their own kind, a few of which happen to lie in the month; they stay, as all imports do.
KEEP_IMPORTS: Final = """
WITH kept AS (INSERT INTO decisioning_decision_rest SELECT * FROM "{leaf}" WHERE substr(id::text, 15, 1) <> '7'
              RETURNING 1)
SELECT (SELECT count(*) FROM "{leaf}") - (SELECT count(*) FROM kept),
       (SELECT max((at AT TIME ZONE 'UTC')::date) FROM "{leaf}" WHERE substr(id::text, 15, 1) = '7')
"""
# At most so many outcomes of a dropped month are deleted in one transaction.
OUTCOMES: Final = 10_000
DROP_OUTCOMES: Final = """
DELETE FROM decisioning_outcome WHERE id IN (
    SELECT o.id FROM decisioning_outcome o WHERE o.decision_id >= %s AND o.decision_id < %s
    AND NOT EXISTS (SELECT FROM decisioning_decision d WHERE d.id = o.decision_id) LIMIT %s)
"""


class Month(NamedTuple):
    """A monthly table: its name, first day, bytes with indexes, and rows as last estimated (-1: never)."""

    name: str
    first: date
    bytes: int
    rows: int


def months() -> list[Month]:
    """The monthly tables, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(LEAVES)
        found = [(LEAF.match(name), name, size, rows) for name, size, rows in cursor.fetchall()]
    return [Month(name, date(int(m[1]), int(m[2]), 1), size, rows) for m, name, size, rows in found if m]


def open_months(now: datetime) -> int:
    """Make the tables of this month and the next `AHEAD`; how many were missing. `now` is real time.

    A table that cannot be made because somebody reads is made the next time; until then its rows go to the rest.
    """
    opened = 0
    for ahead in range(AHEAD + 1):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(WAIT)
                cursor.execute("SELECT decisioning_open_month(%s)", [_plus(now.date(), ahead)])
                opened += bool(cursor.fetchone()[0])
        except OperationalError as error:
            log.warning("a month of the ledger could not be opened yet: %s", error)
    return opened


def drop_expired(keep: int, now: datetime) -> list[date]:
    """Drop the tables whose every decision is older than `keep` months, and then their outcomes; 0 keeps for ever.

    What they added up to stays. A table that is being read, or not counted yet, is left for the next time.
    """
    dropped = [month.first for month in months() if keep and _plus(month.first, keep + 1) <= now.date()]
    dropped = [first for first in dropped if _drop(first)]
    for first in DroppedMonth.objects.filter(outcomes_gone=False).values_list("month", flat=True):
        _drop_outcomes(first)
    return dropped


def _drop(first: date) -> bool:
    leaf = f"decisioning_decision_{first:%Y_%m}"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(WAIT)
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            cursor.execute(UNCOUNTED, _ids(first))
            if cursor.fetchone()[0]:
                log.warning("%s is kept for now: some of its decisions are not counted yet", leaf)
                return False
            cursor.execute(f'ALTER TABLE decisioning_decision DETACH PARTITION "{leaf}"')
            cursor.execute(KEEP_IMPORTS.format(leaf=leaf))
            rows, last = cursor.fetchone()
            cursor.execute(f'DROP TABLE "{leaf}"')
            DroppedMonth.objects.update_or_create(
                month=first, defaults={"rows": rows, "last_day": last, "outcomes_gone": False}
            )
    except OperationalError as error:
        log.warning("%s is kept for now: %s", leaf, error)
        return False
    return True


def _drop_outcomes(first: date) -> None:
    words: list[Any] = [*_ids(first), OUTCOMES]
    while True:
        with connection.cursor() as cursor:
            cursor.execute(DROP_OUTCOMES, words)
            if cursor.rowcount < OUTCOMES:
                break
    DroppedMonth.objects.filter(month=first).update(outcomes_gone=True)


def _ids(first: date) -> tuple[UUID, UUID]:
    """The range of a month's ids; the second is the first of the next month."""
    return _first_id(first), _first_id(_plus(first, 1))


def _first_id(day: date) -> UUID:
    return UUID(int=int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp() * 1000) << 80)


def _plus(day: date, count: int) -> date:
    """The first day of the month `count` later."""
    index = day.year * 12 + day.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)
