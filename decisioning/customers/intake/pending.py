"""The list of events whose effects are not committed in; one batch of them, with their customers held, out.

The rows are the consumer's checkpoint. They were written with their events and are deleted in the transaction that
commits what the events did, so a kill anywhere repeats exactly what is missing. A position in the log could not do
that: transactions commit in another order than their events were numbered in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from ..facts.state import FoldedEvent
from . import arrays

MOST_EVENTS: Final = 5000
# A batch asks for more customers than it takes: some are held by another consumer.
SPARE: Final = 3
# After so many starts of a consumer an event is suspected of killing it, and handled alone.
SUSPECTED, HOPELESS = 3, 6

OLDEST = """
SELECT DISTINCT i.customer_id FROM (
    SELECT identity_id FROM customers_pending WHERE problem = '' AND attempts < %s ORDER BY event_id LIMIT %s
) AS oldest JOIN customers_identity i ON i.id = oldest.identity_id
"""
HOLD = """
SELECT id FROM customers_customer WHERE id = ANY(%b::bigint[]) ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
# By way of the customers' identities and the index on them: statistics of a queue are always wrong, and with them the
# planner goes through all that is pending. `length(…) = 0` keeps it from the index that leads there.
READ = """
WITH mine AS MATERIALIZED (
    SELECT id, customer_id, kind, value, first_at FROM customers_identity WHERE customer_id = ANY(%s)
), chosen AS MATERIALIZED (
    SELECT p.event_id, mine.* FROM mine CROSS JOIN LATERAL (
        SELECT event_id FROM customers_pending
        WHERE identity_id = mine.id AND length(problem) = 0 AND attempts < %s OFFSET 0
    ) AS p ORDER BY p.event_id LIMIT %s
)
SELECT e.message_id, e.type, e.name, e.timestamp, e.properties::text, e.context::text, e.id, e.identity_id,
       c.customer_id, e.identifiers::text, e.historical, e.bot, c.kind, c.value, c.first_at
FROM chosen AS c CROSS JOIN LATERAL (SELECT * FROM customers_event WHERE id = c.event_id OFFSET 0) AS e
"""
DONE = "DELETE FROM customers_pending WHERE event_id = ANY(%b::uuid[])"
SET_ASIDE = "UPDATE customers_pending SET problem = %s, attempts = attempts + 1 WHERE event_id = %s"
STARTED = """
UPDATE customers_pending SET attempts = attempts + 1 WHERE event_id IN
(SELECT event_id FROM customers_pending WHERE problem = '' ORDER BY event_id LIMIT %s)
"""
COUNT = "UPDATE customers_pending SET attempts = attempts + 1 WHERE event_id = %s"
SUSPECTS = """
SELECT event_id, identity_id, attempts FROM customers_pending
WHERE problem = '' AND attempts >= %s ORDER BY event_id LIMIT %s
"""
# Pending without an event (its month was dropped) or without an identity (it was erased) has nothing left to do.
ORPHANS = """
DELETE FROM customers_pending p WHERE NOT EXISTS (SELECT FROM customers_identity i WHERE i.id = p.identity_id)
OR NOT EXISTS (SELECT FROM customers_event e WHERE e.id = p.event_id)
"""


class Row(FoldedEvent, frozen=True, gc=False):
    """One event as the consumer reads it: what is folded, and whose it is. `identifiers` is a JSON text.

    `first_at` is the earliest event of the identity that was handled before this one; None before any was.
    """

    context: str
    id: UUID
    identity: int
    customer: int
    identifiers: str
    historical: bool
    bot: bool
    kind: str
    value: str
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Customers whose rows are locked until the transaction ends, and their pending events as they happened."""

    customers: tuple[int, ...] = ()
    rows: tuple[Row, ...] = ()


def take(limit: int) -> Batch:
    """Hold up to `limit` customers with pending events, the longest waiting first; an empty batch when none is left."""
    with arrays.direct() as raw:
        raw.execute(OLDEST, [SUSPECTED, limit * SPARE], prepare=True)
        found = [pk for (pk,) in raw.fetchall()]
    return hold(found, limit) if found else Batch()


def hold(customers: Collection[int], limit: int, attempts: int = SUSPECTED) -> Batch:
    """Hold those of these customers that nobody else holds, and read what they have pending.

    Events with that many `attempts` or more are left where they are.
    """
    with arrays.direct() as raw:
        raw.execute(HOLD, [arrays.bigints([*customers]), limit], prepare=True)
        held = [pk for (pk,) in raw.fetchall()]
    return Batch(tuple(held), read(held, attempts))


def read(customers: Sequence[int], attempts: int = SUSPECTED) -> tuple[Row, ...]:
    """The pending events of these customers in the order they happened, the longest waiting `MOST_EVENTS` of them."""
    if not customers:
        return ()
    with arrays.direct() as raw:
        raw.execute(READ, [list(customers), attempts, MOST_EVENTS], prepare=True)
        rows = [Row(*values) for values in raw.fetchall()]
    return tuple(sorted(rows, key=lambda row: (row.timestamp, row.message_id)))


def done(rows: Collection[Row]) -> None:
    """What these events did is about to be committed."""
    if rows:
        with arrays.direct() as raw:
            raw.execute(DONE, [arrays.uuids([row.id for row in rows])], prepare=True)


def set_aside(event_id: UUID, problem: str) -> None:
    """Leave this event out until somebody replays it."""
    with connection.cursor() as cursor:
        cursor.execute(SET_ASIDE, [problem[:1000], event_id])


def note_start(limit: int) -> None:
    """A consumer starts: whatever is oldest may have killed the one before. Committed before any work."""
    with connection.cursor() as cursor:
        cursor.execute(STARTED, [limit])


def suspects(limit: int) -> list[tuple[UUID, int, int]]:
    """Events that were the oldest at several starts: event id, identity id, attempts."""
    with connection.cursor() as cursor:
        cursor.execute(SUSPECTS, [SUSPECTED, limit])
        return list(cursor.fetchall())


def count_attempt(event_id: UUID) -> None:
    """One more try, committed before it is made."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [event_id])


def only(event_id: UUID, identity: int) -> Batch:
    """Hold the customer behind one suspected event, and read that event alone; empty while somebody else holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT customer_id FROM customers_identity WHERE id = %s", [identity])
        held = hold([pk for (pk,) in cursor.fetchall()], 1, HOPELESS)
    return Batch(held.customers, tuple(row for row in held.rows if row.id == event_id))


def drop_orphans() -> int:
    """Forget pending rows that have nothing behind them any more; how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(ORPHANS)
        return int(cursor.rowcount)
