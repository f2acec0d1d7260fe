"""A segment and a stretch of time in; who entered and left in it, in the order they did, out, a page at a time."""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.db import connection

ENTERED, LEFT = "entered", "left"
# Each half stops at the page's size by its own index; the page is what comes first of both.
MOVES: Final = """
SELECT v.at, v.id, v.leaving, c.key, v.how, v.by FROM (
    (SELECT entered_at AS at, id, 0 AS leaving, customer_id, entered_how AS how, entered_by AS by FROM rules_membership
     WHERE segment_id = %(segment)s AND entered_at >= greatest(%(since)s, %(at)s) AND entered_at < %(until)s
       AND (entered_at, id, 0) > (%(at)s, %(id)s, %(leaving)s) ORDER BY entered_at, id LIMIT %(size)s)
    UNION ALL
    (SELECT left_at, id, 1, customer_id, left_how, left_by FROM rules_membership
     WHERE segment_id = %(segment)s AND left_at >= greatest(%(since)s, %(at)s) AND left_at < %(until)s
       AND (left_at, id, 1) > (%(at)s, %(id)s, %(leaving)s) ORDER BY left_at, id LIMIT %(size)s)
) AS v JOIN customers_customer c ON c.id = v.customer_id ORDER BY v.at, v.id, v.leaving LIMIT %(size)s
"""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Mark(NamedTuple):
    """A place in the order of movements: behind the one of this stay at this moment."""

    at: datetime = BEGINNING
    id: int = 0
    leaving: int = 0

    def text(self) -> str:
        """What a page is asked for with."""
        return f"{self.at.isoformat()}|{self.id}|{self.leaving}"


class Movement(NamedTuple):
    """One customer who came or went."""

    mark: Mark
    customer: str
    how: str
    by: str

    @property
    def what(self) -> str:
        """`entered` or `left`."""
        return LEFT if self.mark.leaving else ENTERED


def mark_of(text: str) -> Mark:
    """The place that a text names. Raises ValueError for a text that is none."""
    moment, pk, leaving = text.split("|")
    at = datetime.fromisoformat(moment)
    if at.tzinfo is None or leaving not in ("0", "1"):
        raise ValueError(f"{text!r} names no movement")
    return Mark(at, int(pk), int(leaving))


def between(segment_id: int, since: datetime, until: datetime, size: int, after: Mark | None = None) -> list[Movement]:
    """Up to `size` movements from `since` on, before `until`, behind `after`."""
    place = after or Mark()
    asked = {"segment": segment_id, "since": since, "until": until, "size": size, **place._asdict()}
    with connection.cursor() as cursor:
        cursor.execute(MOVES, asked)
        return [Movement(Mark(at, pk, leaving), *rest) for at, pk, leaving, *rest in cursor.fetchall()]
