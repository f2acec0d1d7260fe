"""Segments and who matches them in; memberships entered and left, each with its reason, out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeGuard

from django.db import connection

from .language import parse
from .language.circles import SEGMENT_FACTS, segment_needs
from .language.nodes import Chance, Condition, Named, Test, condition_of, leaves
from .models import How, Membership, Segment

ENTER = """
INSERT INTO rules_membership (segment_id, customer_id, entered_at, entered_how, entered_by)
SELECT segment_id, customer_id, %s, how, by
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS v(segment_id, customer_id, how, by)
ON CONFLICT (segment_id, customer_id) WHERE left_at IS NULL DO NOTHING RETURNING segment_id, customer_id
"""
LEAVE = """
UPDATE rules_membership m SET left_at = %s, left_how = v.how, left_by = v.by
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS v(segment_id, customer_id, how, by)
WHERE m.segment_id = v.segment_id AND m.customer_id = v.customer_id AND m.left_at IS NULL
RETURNING m.segment_id, m.customer_id
"""
MEASURE = """
UPDATE rules_segment s SET refreshed_at = %s,
    size = (SELECT count(*) FROM rules_membership m WHERE m.segment_id = s.id AND m.left_at IS NULL)
WHERE s.id = ANY(%s)
"""
LONGEST_BY: Final = 500
FEW: Final = 5000
# Operators that ask for segments by their names.
PLAIN: Final = frozenset({"IN SEGMENT", "=", "!=", "IN", "CONTAINS"})

Pair = tuple[int, int]


class Because(NamedTuple):
    """Why somebody moved: the kind of cause (`models.How`), and what exactly in words."""

    how: str = ""
    by: str = ""


UNSAID: Final = Because()


@dataclass(frozen=True, slots=True)
class Moves:
    """Who entered and who left: pairs of segment id and customer id. `reasons` by pair, else `reason`."""

    entered: tuple[Pair, ...]
    left: tuple[Pair, ...]
    reason: Because = UNSAID
    reasons: Mapping[Pair, Because] = field(default_factory=dict)

    def because(self, pair: Pair) -> Because:
        """Why this customer moved into or out of this segment."""
        return self.reasons.get(pair, self.reason)


def conditions() -> list[tuple[Segment, Any]]:
    """Active segments by condition with their parsed conditions: those that others name come first."""
    rows = Segment.objects.filter(active=True, kind=Segment.Kind.CONDITION).order_by("pk")
    return in_order([(row, condition_of(parse(row.condition))) for row in rows if row.condition.strip()])


def in_order(found: Sequence[tuple[Segment, Condition]]) -> list[tuple[Segment, Condition]]:
    """Whoever a condition names comes before it. Circles are refused by the admin; one ends where it began."""
    named = {word.casefold(): row.pk for row, _ in found for word in (row.key, row.name)}
    pairs = {row.pk: (row, condition) for row, condition in found}
    needs = {
        row.pk: sorted({named[name.casefold()] for name in segment_needs(condition) if name.casefold() in named})
        for row, condition in found
    }
    ordered: dict[int, None] = {}
    for start in pairs:
        _put(start, needs, ordered, set())
    return [pairs[pk] for pk in ordered]


def named_by(condition: Condition, known: Mapping[int, tuple[str, str]]) -> dict[int, tuple[str, str]]:
    """The segments (id to key and name) whose memberships a condition asks for; all, where it asks by a pattern."""
    asked = [leaf for leaf in leaves(condition) if _of_segments(leaf)]
    if any(leaf.operator not in PLAIN or isinstance(leaf.value, Named) for leaf in asked):
        return dict(known)
    names = {name.casefold() for name in segment_needs(condition)}
    return {pk: pair for pk, pair in known.items() if names & {pair[0].casefold(), pair[1].casefold()}}


def _of_segments(leaf: Test | Chance) -> TypeGuard[Test]:
    return isinstance(leaf, Test) and isinstance(leaf.operand, Named) and leaf.operand.name in SEGMENT_FACTS


def _put(pk: int, needs: Mapping[int, Sequence[int]], ordered: dict[int, None], on_the_way: set[int]) -> None:
    """Put a segment behind everything it needs."""
    if pk in ordered or pk in on_the_way:
        return
    on_the_way.add(pk)
    for other in needs[pk]:
        _put(other, needs, ordered, on_the_way)
    ordered[pk] = None


def move(
    wanted: Mapping[int, Collection[int]],
    customers: Sequence[int],
    now: datetime,
    how: str = How.REFRESH,
    by: str = "",
) -> Moves:
    """Make these customers' current memberships equal `wanted` (customer ids by segment id), in those segments."""
    considered = set(customers)
    stays = Membership.objects.filter(segment_id__in=wanted.keys(), left_at__isnull=True)
    if len(considered) < FEW:
        stays = stays.filter(customer_id__in=considered)
    current = {pair for pair in stays.values_list("segment_id", "customer_id") if pair[1] in considered}
    target = {(segment, customer) for segment, members in wanted.items() for customer in members}
    return enter_and_leave(sorted(target - current), sorted(current - target), now, Because(how, by))


def enter_and_leave(
    entering: Sequence[Pair],
    leaving: Sequence[Pair],
    now: datetime,
    reason: Because = UNSAID,
    reasons: Mapping[Pair, Because] | None = None,
) -> Moves:
    """Open and end these stays; those that really were opened and ended. `reasons` (by pair) go before `reason`."""
    asked = Moves((), (), reason, reasons or {})
    left = _change(LEAVE, leaving, now, asked) if leaving else []
    entered = _change(ENTER, entering, now, asked) if entering else []
    return Moves(tuple(entered), tuple(left), reason, asked.reasons)


def _change(statement: str, pairs: Sequence[Pair], now: datetime, asked: Moves) -> list[Pair]:
    why = [asked.because(pair) for pair in pairs]
    columns: list[list[Any]] = [
        [segment for segment, _ in pairs],
        [customer for _, customer in pairs],
        [str(one.how) for one in why],
        [one.by[:LONGEST_BY] for one in why],
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [now, *columns])
        return sorted(cursor.fetchall())


def measure(segment_ids: Collection[int], now: datetime) -> None:
    """Count the members of these segments and note when."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE, [now, list(segment_ids)])


def count_anew() -> None:
    """Tell the database how many stays there are now: until it looks by itself it believes there are as few as before,
    and reads all of them to find some."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE rules_membership")
