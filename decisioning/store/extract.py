"""A range of the event log comes in; its events as a frame, and how far the log can be read for good, come out.

Ids of events are UUIDs of version 7, made shortly before their transaction ends: the log grows at its end, but not in
order. What lies before the oldest transaction that still runs, less a margin for clocks that differ, is complete.
Only events of people are read, those of bots count nowhere; and only those whose identity there still is.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import polars as pl
from django.db import connection

from .columns import STAMP

FIRST: Final = UUID(int=0)
END: Final = UUID(int=2**128 - 1)
# Whoever writes events does so as the same user of the database: others' transactions are not to be seen, nor of
# interest.
OLDEST: Final = """
SELECT least(clock_timestamp(), (SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database()
                     AND backend_type = 'client backend' AND pid <> pg_backend_pid()),
             (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database()))
"""
NTH: Final = "SELECT id FROM customers_event WHERE id >= %s AND id < %s ORDER BY id OFFSET %s LIMIT 1"
LOG: Final = """
FROM customers_event e JOIN customers_identity i ON i.id = e.identity_id
LEFT JOIN customers_pending p ON p.event_id = e.id WHERE NOT e.bot AND e.id >= %s AND e.id < %s
"""
COLUMNS: Final = """
COPY (SELECT e.id, e.keep, coalesce(i.home_id, i.customer_id) AS home, (p.event_id IS NOT NULL)::int AS waiting,
             uuid_hash_extended(e.id, 0) AS hash, e.identity_id, e.message_id, e.type, e.name,
             (extract(epoch FROM e.timestamp) * 1000000)::bigint AS timestamp,
             (extract(epoch FROM e.received_at) * 1000000)::bigint AS received_at,
             e.properties::text AS properties, e.context::text AS context, e.source
"""
MINE: Final = " AND i.customer_id %% %s = %s"
THESE: Final = " AND e.id = ANY(%s::uuid[])"
AS_CSV: Final = ") TO STDOUT (FORMAT CSV, HEADER)"
MONTH: Final = """
SELECT count(*), coalesce(bit_xor(uuid_hash_extended(e.id, 0)), 0)
FROM customers_event e JOIN customers_identity i ON i.id = e.identity_id
WHERE NOT e.bot AND e.keep = %s AND e.id >= %s AND e.id < %s
"""
IDS: Final = """
COPY (SELECT e.id FROM customers_event e JOIN customers_identity i ON i.id = e.identity_id
WHERE NOT e.bot AND e.keep = %s AND e.id >= %s AND e.id < %s) TO STDOUT (FORMAT CSV, HEADER)
"""

RAW: Final[dict[str, Any]] = {
    "id": pl.Binary,
    "identity_id": pl.Int64,
    "message_id": pl.String,
    "type": pl.String,
    "name": pl.String,
    "timestamp": STAMP,
    "received_at": STAMP,
    "properties": pl.String,
    "context": pl.String,
    "source": pl.String,
}
"""What the archive keeps of an event; `id` are the 16 bytes of the UUID."""
_READ: Final[dict[str, Any]] = {
    "id": pl.String,
    "keep": pl.Int16,
    "home": pl.Int64,
    "waiting": pl.Int8,
    "hash": pl.Int64,
    **{name: pl.Int64 if dtype == STAMP else dtype for name, dtype in RAW.items() if name != "id"},
}


def first_id(moment: datetime) -> UUID:
    """The smallest id that an event of this moment (real time) can have."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def month_of(day: date) -> tuple[UUID, UUID]:
    """The ids of a month: from, and below."""
    begins = datetime(day.year, day.month, 1, tzinfo=UTC)
    return first_id(begins), first_id((begins + timedelta(days=32)).replace(day=1))


def complete_until(margin: timedelta) -> UUID:
    """No event with a smaller id will be committed from now on."""
    with connection.cursor() as cursor:
        cursor.execute(OLDEST)
        (oldest,) = cursor.fetchone()
    return first_id(oldest - margin)


def nth_id(low: UUID, high: UUID, number: int) -> UUID:
    """Where a piece of so many events ends that begins with `low`; at `high` at the latest."""
    with connection.cursor() as cursor:
        cursor.execute(NTH, [low, high, number])
        row = cursor.fetchone()
    return row[0] if row else high


def events(low: UUID, high: UUID) -> pl.DataFrame:
    """The events with low ≤ id < high: RAW, and keep, month, home (a customer), waiting (not handled yet), hash."""
    return _copied(COLUMNS + LOG, [low, high])


def events_with(ids: Sequence[UUID]) -> pl.DataFrame:
    """The same for events by id."""
    return _copied(COLUMNS + LOG + THESE, [FIRST, END, list(ids)])


def tail(low: UUID, bucket: int, buckets: int) -> pl.DataFrame:
    """The handled events from `low` on, of customers with id modulo `buckets` = `bucket`: RAW."""
    found = _copied(COLUMNS + LOG + " AND p.event_id IS NULL" + MINE, [low, END, buckets, bucket])
    return found.select(list(RAW))


def _copied(statement: str, values: Sequence[Any]) -> pl.DataFrame:
    found = _csv(statement + AS_CSV, values, _READ)
    bare = pl.col("id").str.replace_all("-", "")
    made = bare.str.slice(0, 12).str.to_integer(base=16, dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    return found.with_columns(
        bare.str.decode("hex").alias("id"),
        made.dt.date().dt.month_start().alias("month"),
        pl.col("waiting").cast(pl.Boolean),
        *(pl.col(name).cast(STAMP) for name in ("timestamp", "received_at")),
    )


def _csv(statement: str, values: Sequence[Any], schema: dict[str, Any]) -> pl.DataFrame:
    with connection.cursor() as cursor, cursor.copy(statement, values) as copy:
        data = b"".join(bytes(part) for part in copy)
    # PostgreSQL writes an empty text as "", and no value as nothing; so Polars reads them.
    return pl.read_csv(data, schema=schema)


def count(keep: int, month: date, below: UUID) -> tuple[int, int]:
    """How many events of a retention class and month there are below an id, and the XOR of their hashes."""
    low, high = month_of(month)
    with connection.cursor() as cursor:
        cursor.execute(MONTH, [keep, low, min(high, below)])
        found: tuple[int, int] = cursor.fetchone()
    return found


def ids_of(keep: int, month: date, below: UUID) -> pl.Series:
    """Their ids, 16 bytes each."""
    low, high = month_of(month)
    found = _csv(IDS, [keep, low, min(high, below)], {"id": pl.String})
    return found.select(pl.col("id").str.replace_all("-", "").str.decode("hex"))["id"]


def waiting() -> pl.Series:
    """The ids of all events that are not handled yet, 16 bytes each."""
    found = _csv(
        "COPY (SELECT event_id AS id FROM customers_pending) TO STDOUT (FORMAT CSV, HEADER)", [], {"id": pl.String}
    )
    return found.select(pl.col("id").str.replace_all("-", "").str.decode("hex"))["id"]
