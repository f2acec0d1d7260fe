"""Segments and who matches them in; memberships entered and left, out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from .language import parse
from .models import Membership, Segment

ENTER = """
INSERT INTO rules_membership (segment_id, customer_id, entered_at)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[])
ON CONFLICT (segment_id, customer_id) WHERE left_at IS NULL DO NOTHING RETURNING segment_id, customer_id
"""
LEAVE = """
UPDATE rules_membership m SET left_at = %s FROM unnest(%s::bigint[], %s::bigint[]) AS v(segment_id, customer_id)
WHERE m.segment_id = v.segment_id AND m.customer_id = v.customer_id AND m.left_at IS NULL
RETURNING m.segment_id, m.customer_id
"""
SIZES = """
UPDATE rules_segment s SET refreshed_at = %s,
    size = (SELECT count(*) FROM rules_membership m WHERE m.segment_id = s.id AND m.left_at IS NULL)
WHERE s.id = ANY(%s)
"""

RECOUNT = """
UPDATE rules_segment s SET size = v.size FROM (
    SELECT s.id, count(m.id) AS size FROM rules_segment s
    LEFT JOIN rules_membership m ON m.segment_id = s.id AND m.left_at IS NULL GROUP BY s.id
) AS v WHERE v.id = s.id AND v.size <> s.size
"""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Moves:
    """Who entered and who left: pairs of segment id and customer id."""

    entered: tuple[Pair, ...]
    left: tuple[Pair, ...]


def conditions() -> list[tuple[Segment, Any]]:
    """Active segments by condition, each with its parsed condition."""
    rows = Segment.objects.filter(active=True, kind=Segment.Kind.CONDITION).order_by("pk")
    return [(row, parse(row.condition)) for row in rows if row.condition.strip()]


def move(wanted: Mapping[int, Collection[int]], customers: Sequence[int], now: datetime) -> Moves:
    """Make these customers' current memberships equal `wanted` (customer ids by segment id), in those segments."""
    considered = set(customers)
    stays = Membership.objects.filter(segment_id__in=wanted.keys(), left_at__isnull=True)
    if len(considered) < 5000:
        stays = stays.filter(customer_id__in=considered)
    current = {pair for pair in stays.values_list("segment_id", "customer_id") if pair[1] in considered}
    target = {(segment, customer) for segment, members in wanted.items() for customer in members}
    return enter_and_leave(sorted(target - current), sorted(current - target), now)


def enter_and_leave(entering: Sequence[Pair], leaving: Sequence[Pair], now: datetime) -> Moves:
    """Open and end these stays; those that really were opened and ended."""
    entered: list[Pair] = []
    left: list[Pair] = []
    with connection.cursor() as cursor:
        if leaving:
            cursor.execute(LEAVE, [now, [s for s, _ in leaving], [c for _, c in leaving]])
            left = sorted(cursor.fetchall())
        if entering:
            cursor.execute(ENTER, [[s for s, _ in entering], [c for _, c in entering], [now] * len(entering)])
            entered = sorted(cursor.fetchall())
    return Moves(tuple(entered), tuple(left))


def recount() -> int:
    """Correct the sizes that single entries and exits have moved; how many were."""
    with connection.cursor() as cursor:
        cursor.execute(RECOUNT)
        return int(cursor.rowcount)


def measure(segment_ids: Collection[int], now: datetime) -> None:
    """Count the members of these segments and note when."""
    with connection.cursor() as cursor:
        cursor.execute(SIZES, [now, list(segment_ids)])
