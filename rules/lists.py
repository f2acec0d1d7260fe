"""Imported lists of identifiers in; who is on them, out.

An entry is an identifier (kind, value), known or not: whoever has it, now or later, is in the segment. A change of a
list marks the entries that went instead of deleting them (`FORMER`), so that the last change can be taken back; the
next one forgets them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection
from django.db.models import Max, TextChoices

from .models import ListEntry, Membership, Segment

Pair = tuple[str, str]

# What the kind of an entry begins with that the last change took off the list; no identifier is of such a kind.
FORMER: Final = "~"
MICROSECOND: Final = timedelta(microseconds=1)

ON: Final = """
SELECT e.kind, e.value, array_agg(e.segment_id ORDER BY e.segment_id) FROM rules_listentry e
JOIN unnest(%s::text[], %s::text[]) AS v(kind, value) ON v.kind = e.kind AND v.value = e.value GROUP BY 1, 2
"""
# Every list of some customers; those on none are left out.
OF: Final = """
SELECT i.customer_id, array_agg(DISTINCT e.segment_id) FROM customers_identity i
JOIN rules_listentry e ON e.kind = i.kind AND e.value = i.value WHERE i.customer_id = ANY(%s) GROUP BY 1
"""
STAGE: Final = "CREATE TEMPORARY TABLE listed_lines (kind varchar(20), value varchar(200)) ON COMMIT DROP"
DISTINCT: Final = """
CREATE TEMPORARY TABLE listed ON COMMIT DROP AS SELECT DISTINCT kind, value FROM listed_lines
"""
MEMORY: Final = "SET LOCAL work_mem = '64MB'"
UNSTAGE: Final = "DROP TABLE IF EXISTS listed_lines, listed"
# The entries of segment 0 as each mode would leave them.
HELD: Final = "SELECT kind, value FROM rules_listentry WHERE segment_id = {0} AND left(kind, 1) <> '~'"
AFTER: Final = {
    "replace": "SELECT kind, value FROM listed",
    "add": f"{HELD} UNION SELECT kind, value FROM listed",  # noqa: S608
    "remove": f"{HELD} EXCEPT SELECT kind, value FROM listed",  # noqa: S608
}
FORESEE: Final = """
WITH held AS ({held}), after AS ({after}), members AS (
    SELECT DISTINCT i.customer_id FROM after JOIN customers_identity i USING (kind, value)
), stays AS (SELECT customer_id FROM rules_membership WHERE segment_id = {segment} AND left_at IS NULL)
SELECT (SELECT count(*) FROM listed), known.identifiers, known.customers,
       (SELECT count(*) FROM (SELECT * FROM after EXCEPT SELECT * FROM held) AS a),
       (SELECT count(*) FROM (SELECT * FROM held EXCEPT SELECT * FROM after) AS r),
       (SELECT count(*) FROM (SELECT * FROM members EXCEPT SELECT * FROM stays) AS e),
       (SELECT count(*) FROM (SELECT * FROM stays EXCEPT SELECT * FROM members) AS l)
FROM (SELECT count(*) AS identifiers, count(DISTINCT customer_id) AS customers
      FROM listed JOIN customers_identity USING (kind, value)) AS known
"""
FORGET: Final = "DELETE FROM rules_listentry WHERE segment_id = %s AND left(kind, 1) = '~'"
# In the order of the indexes, which is several times faster. Whoever else changes the list waits (`hold`).
PUT: Final = """
INSERT INTO rules_listentry (segment_id, kind, value, at) SELECT %s, v.kind, v.value, %s FROM listed v
WHERE NOT EXISTS (SELECT FROM rules_listentry e WHERE e.segment_id = %s AND e.kind = v.kind AND e.value = v.value)
ORDER BY v.kind, v.value
"""
# The others than those listed, or those listed.
TAKE_OFF: Final = """
UPDATE rules_listentry e SET kind = '~' || e.kind, at = %s WHERE e.segment_id = %s
AND {} (SELECT FROM listed v WHERE v.kind = e.kind AND v.value = e.value)
"""
TAKE_OUT: Final = "DELETE FROM rules_listentry WHERE segment_id = %s AND left(kind, 1) <> '~' AND at = %s"
PUT_BACK: Final = "UPDATE rules_listentry SET kind = substr(kind, 2) WHERE segment_id = %s AND left(kind, 1) = '~'"
MEMBERS: Final = """
SELECT DISTINCT i.customer_id FROM rules_listentry e JOIN customers_identity i ON i.kind = e.kind AND i.value = e.value
WHERE e.segment_id = %s
"""
STAYS: Final = "SELECT customer_id FROM rules_membership WHERE segment_id = %s AND left_at IS NULL"
ENTERING: Final = f"{MEMBERS} EXCEPT {STAYS} ORDER BY 1"
LEAVING: Final = f"{STAYS} EXCEPT {MEMBERS} ORDER BY 1"


class Mode(TextChoices):
    """What a file does to a list."""

    ADD = "add", "Add to the list what the file names"
    REMOVE = "remove", "Take off the list what the file names"
    REPLACE = "replace", "Replace the list: only what the file names stays on it"


class Foreseen(NamedTuple):
    """What a change would do: `identifiers` are what it names once each, `known` those that some customer has."""

    identifiers: int
    known: int
    customers: int
    added: int
    removed: int
    entering: int
    leaving: int


class Changed(NamedTuple):
    """How many entries came and went."""

    added: int
    removed: int


def lists_of(pairs: Sequence[Pair]) -> dict[Pair, list[int]]:
    """The ids of the segments on whose lists these identifiers (kind, value) are; those on none are left out."""
    if not pairs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(ON, [[kind for kind, _ in pairs], [value for _, value in pairs]])
        return {(kind, value): list(ids) for kind, value, ids in cursor.fetchall()}


def of_customers(customers: Sequence[int]) -> dict[int, frozenset[int]]:
    """The ids of all the segments on whose lists each of these customers is, by any identifier."""
    with connection.cursor() as cursor:
        cursor.execute(OF, [list(customers)])
        found = {pk: frozenset(ids) for pk, ids in cursor.fetchall()}
    return {pk: found.get(pk, frozenset()) for pk in customers}


def count(segment_id: int) -> int:
    """How many identifiers are on the list."""
    return ListEntry.objects.filter(segment_id=segment_id).exclude(kind__startswith=FORMER).count()


def members(segment_id: int) -> list[int]:
    """The ids of the customers who have an identifier that is on the list."""
    return _ids(MEMBERS, [segment_id])


def entering(segment_id: int) -> list[int]:
    """The ids of those who are on the list and not in the segment."""
    return _ids(ENTERING, [segment_id, segment_id])


def leaving(segment_id: int) -> list[int]:
    """The ids of those who are in the segment and not on the list."""
    return _ids(LEAVING, [segment_id, segment_id])


def inside(segment_id: int, customers: Sequence[int]) -> int:
    """How many of these customers are in the segment now."""
    return Membership.objects.filter(segment_id=segment_id, left_at__isnull=True, customer_id__in=customers).count()


def _ids(statement: str, values: list[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [pk for (pk,) in cursor.fetchall()]


def stage(pairs: Iterable[Pair]) -> int:
    """Bring normalised identifiers to the database, for `foresee` and `change` in this transaction; how many."""
    number = 0
    with connection.cursor() as cursor:
        cursor.execute(MEMORY)
        cursor.execute(UNSTAGE)
        cursor.execute(STAGE)
        with cursor.copy("COPY listed_lines FROM STDIN") as copy:
            for number, pair in enumerate(pairs, 1):  # noqa: B007 (the last one is their number)
                copy.write_row(pair)
        cursor.execute(DISTINCT)
        cursor.execute("ANALYZE listed")
    return number


def foresee(segment_id: int, mode: str) -> Foreseen:
    """What `change` would do with what was staged, and who would enter and leave for it."""
    segment = int(segment_id)
    words = {"held": HELD.format(segment), "after": AFTER[Mode(mode)].format(segment), "segment": segment}
    with connection.cursor() as cursor:
        cursor.execute(FORESEE.format(**words))
        return Foreseen(*cursor.fetchone())


def change(segment_id: int, mode: str, now: datetime) -> Changed:
    """Put what was staged on the list, or take it off; memberships follow by `flows.enlist`."""
    added = removed = 0
    at = _after_all(segment_id, now)
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [segment_id])
        if mode != Mode.ADD:
            cursor.execute(TAKE_OFF.format("EXISTS" if mode == Mode.REMOVE else "NOT EXISTS"), [at, segment_id])
            removed = int(cursor.rowcount)
        if mode != Mode.REMOVE:
            cursor.execute(PUT, [segment_id, at, segment_id])
            added = int(cursor.rowcount)
    return Changed(added, removed)


def take_back(segment_id: int) -> Changed:
    """The list as it was before the last change. Only after one that changed something, and only once."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_OUT, [segment_id, _last(segment_id)])
        removed = int(cursor.rowcount)
        cursor.execute(PUT_BACK, [segment_id])
        return Changed(int(cursor.rowcount), removed)


def hold(segment_id: int) -> None:
    """One change of a list after the other: wait for those who change this one, until the transaction ends."""
    Segment.objects.select_for_update(of=("self",)).only("pk").get(pk=segment_id)


def _last(segment_id: int) -> datetime | None:
    moment: datetime | None = ListEntry.objects.filter(segment_id=segment_id).aggregate(last=Max("at"))["last"]
    return moment


def _after_all(segment_id: int, now: datetime) -> datetime:
    """A moment that no former change has: a change is known by it."""
    last = _last(segment_id)
    return now if last is None or last < now else last + MICROSECOND
