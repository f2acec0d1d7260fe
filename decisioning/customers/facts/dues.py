"""When time alone next changes what is published about customers in; those whose moment has come, by index, out."""

from collections.abc import Mapping
from datetime import datetime

from django.db import connection

from ..intake import arrays

# Most stay as they are: an event at the end of a window does not move what next leaves it.
WRITE = """
INSERT INTO customers_due (customer_id, at)
SELECT id, at FROM unnest(%b::bigint[], %b::timestamptz[]) AS v(id, at)
ON CONFLICT (customer_id) DO UPDATE SET at = excluded.at WHERE customers_due.at <> excluded.at
"""
CLEAR = "DELETE FROM customers_due WHERE customer_id = ANY(%b::bigint[])"
# Customers held by another transaction are left to it, or to the next look.
TAKE = """
SELECT c.id FROM customers_customer c WHERE c.merged_into_id IS NULL AND c.id = ANY(ARRAY(
    SELECT customer_id FROM customers_due WHERE at <= %s ORDER BY at LIMIT %s
)) ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED
"""
GONE = """
DELETE FROM customers_due d USING customers_customer c
WHERE d.at <= %s AND c.id = d.customer_id AND c.merged_into_id IS NOT NULL
"""
ANY = "SELECT EXISTS (SELECT FROM customers_due WHERE at <= %s)"


def write(moments: Mapping[int, datetime | None]) -> None:
    """Note each customer's next moment; None takes an older one away."""
    some = sorted((pk, at) for pk, at in moments.items() if at is not None)
    none = sorted(pk for pk, at in moments.items() if at is None)
    with arrays.direct() as raw:
        if some:
            columns = [arrays.bigints([pk for pk, _ in some]), arrays.moments([at for _, at in some])]
            raw.execute(WRITE, columns, prepare=True)
        if none:
            raw.execute(CLEAR, [arrays.bigints(none)], prepare=True)


def waiting(now: datetime) -> bool:
    """Whether anybody is due."""
    with connection.cursor() as cursor:
        cursor.execute(ANY, [now])
        return bool(cursor.fetchone()[0])


def take(now: datetime, limit: int) -> list[int]:
    """Hold up to `limit` customers who are due, the longest overdue first; to be called in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [now, limit])
        found = [pk for (pk,) in cursor.fetchall()]
        if not found:
            cursor.execute(GONE, [now])
        return found
