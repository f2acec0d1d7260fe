"""Memberships in; who is, was or was once in a segment, since when and why, out, a page at a time.

Pages go on after the last row shown (a keyset), so that the last page of a million members costs as little as the
first. A customer who became part of another is left out of the past: the other one carries the stay on.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import connection
from django.db.models import Q, QuerySet

from .models import Membership

# A few current members, each the first one behind a number drawn between the lowest and the highest id: the index
# finds each at once, however many members there are.
DRAWN: Final = """
SELECT DISTINCT found.customer_id FROM unnest(%s::bigint[]) AS drawn(id) CROSS JOIN LATERAL (
    SELECT customer_id FROM rules_membership
    WHERE segment_id = %s AND left_at IS NULL AND customer_id >= drawn.id ORDER BY customer_id LIMIT 1
) AS found
"""
# min() and max() would be asked of every index; these two are the ends of one.
ENDS: Final = """
SELECT (SELECT customer_id FROM rules_membership WHERE segment_id = %s AND left_at IS NULL
        ORDER BY customer_id LIMIT 1),
       (SELECT customer_id FROM rules_membership WHERE segment_id = %s AND left_at IS NULL
        ORDER BY customer_id DESC LIMIT 1)
"""
DRAWS: Final = 4  # draws for each member wanted: some fall on the same one
NOW, FORMER, AS_OF = "current", "former", "as-of"
SHOWN: Final = (NOW, FORMER, AS_OF)


@dataclass(frozen=True, slots=True)
class Page:
    """Stays with their customers, and the mark to ask the next page with ("" at the end)."""

    stays: list[Membership]
    after: str = ""


def stays(segment_id: int) -> QuerySet[Membership]:
    """A segment's stays with the keys of their customers, without their facts."""
    rows = Membership.objects.filter(segment_id=segment_id).select_related("customer")
    return rows.defer("customer__facts", "customer__traits")


def within(moment: datetime) -> Q:
    """The stays that lasted at this moment."""
    return Q(entered_at__lte=moment) & (Q(left_at__isnull=True) | Q(left_at__gt=moment))


def members(segment_id: int, after: str, size: int) -> Page:
    """Current members by customer; `after` is the former page's mark. Raises ValueError for a mark that is none."""
    return _by_customer(stays(segment_id).filter(left_at__isnull=True), after, size)


def members_at(segment_id: int, moment: datetime, after: str, size: int) -> Page:
    """Who was in it at a moment. Raises ValueError for a mark that is none."""
    past = stays(segment_id).filter(within(moment), customer__merged_into__isnull=True)
    return _by_customer(past, after, size)


def former(segment_id: int, after: str, size: int) -> Page:
    """Stays that ended, the latest end first. Raises ValueError for a mark that is none."""
    rows = stays(segment_id).filter(left_at__isnull=False)
    if after:
        micros, _, pk = after.partition("-")
        moment = datetime.fromtimestamp(int(micros) / 1_000_000, UTC)
        rows = rows.filter(Q(left_at__lt=moment) | Q(left_at=moment, pk__lt=int(pk)))
    found = list(rows.order_by("-left_at", "-pk")[: size + 1])
    last = found[size - 1] if len(found) > size else None
    mark = f"{_micros(last.left_at)}-{last.pk}" if last and last.left_at else ""
    return Page(found[:size], mark)


def _by_customer(rows: QuerySet[Membership], after: str, size: int) -> Page:
    if after:
        rows = rows.filter(customer_id__gt=int(after))
    found = list(rows.order_by("customer_id")[: size + 1])
    return Page(found[:size], str(found[size - 1].customer_id) if len(found) > size else "")


def _micros(moment: datetime) -> int:
    """Whole microseconds: a float of seconds would lose the last digit."""
    whole = moment.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * 1_000_000 + whole.microsecond


def sample(segment_id: int, size: int, seed: int) -> list[int]:
    """Up to so many current members, in the order of their ids; another seed gives others, whatever their number."""
    with connection.cursor() as cursor:
        cursor.execute(ENDS, [segment_id, segment_id])
        low, high = cursor.fetchone()
        if low is None:
            return []
        dice = random.Random(seed)  # noqa: S311 (no secret)
        drawn = [dice.randint(low, high) for _ in range(DRAWS * size)]
        cursor.execute(DRAWN, [drawn, segment_id])
        found = [pk for (pk,) in cursor.fetchall()]
    if len(found) >= size:
        return sorted(dice.sample(sorted(found), size))
    # A small segment, or one whose ids lie close together: the first ones fill up what the draws left open.
    rest = Membership.objects.filter(segment_id=segment_id, left_at__isnull=True).exclude(customer_id__in=found)
    more = rest.order_by("customer_id").values_list("customer_id", flat=True)[: size - len(found)]
    return sorted([*found, *more])


def entered_last(segment_id: int, number: int) -> list[Membership]:
    """The newest entries, those that have ended again among them."""
    return list(stays(segment_id).order_by("-entered_at", "-pk")[:number])


def left_last(segment_id: int, number: int) -> list[Membership]:
    """The newest exits."""
    return list(stays(segment_id).filter(left_at__isnull=False).order_by("-left_at", "-pk")[:number])


def of_customers(segment_id: int, customers: Sequence[int]) -> list[Membership]:
    """Every stay of these customers in the segment, the newest first."""
    return list(stays(segment_id).filter(customer_id__in=list(customers)).order_by("-entered_at", "-pk"))
