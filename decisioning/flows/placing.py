"""Customers' facts in; the segments they are in from now on, and who moved, out.

Two ways to the same memberships: a few customers one by one, everybody as one frame. The rule language's tests prove
that its two shapes agree.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from rules import segments
from rules.language import matches, matching_frame
from rules.language.history import needs
from rules.models import Membership
from rules.segments import Because, Moves, Pair

from ..customers.intake import arrays
from ..customers.models import Customer
from ..store import clusters
from .standing import Standing

Facts = dict[str, Any]

STAYS = """
SELECT segment_id, customer_id FROM rules_membership WHERE left_at IS NULL AND customer_id = ANY(%b::bigint[])
ORDER BY segment_id
"""
FEW = 5000


@dataclass(frozen=True, slots=True)
class Placed(Moves):
    """Who entered and left, and which segments by condition were computed."""

    computed: tuple[int, ...] = ()


class Told(NamedTuple):
    """An event of a customer: its name, and how it is named as a reason."""

    event: str
    because: Because


@dataclass(frozen=True, slots=True)
class Settled:
    """A few customers after placing: the moves, and everybody's segment ids."""

    moves: Moves
    stays: Mapping[int, frozenset[int]]


def place_few(
    people: Mapping[int, Facts],
    now: datetime,
    known: Standing,
    reason: Because,
    told: Mapping[int, Sequence[Told]] | None = None,
    listed: Mapping[int, frozenset[int]] | None = None,
) -> Settled:
    """Put these customers into the segments their facts say; clusters and lists first: conditions may name them.

    `people` are facts by customer id, with `customer_id` being what chances draw by; `segments` and
    `customer_segment` are added to them here. `told` are the events of customers, in order; those that a condition
    reads say why somebody moves, instead of `reason`. `listed` are the lists of those whose identifiers changed. Nobody
    enters a segment that was never computed for everybody.
    """
    before = stays_of(people)
    listed = listed or {}
    entering: list[tuple[int, int]] = []
    leaving: list[tuple[int, int]] = []
    after: dict[int, frozenset[int]] = {}
    for customer, facts in people.items():
        held = before.get(customer, frozenset())
        then = _clustered(held, facts, known)
        if customer in listed:
            then = (then - known.lists) | (listed[customer] & known.lists)
        name_segments(facts, then, known)
        then = _judged(then, facts, now, known)
        entering += [(segment, customer) for segment in sorted(then - held)]
        leaving += [(segment, customer) for segment in sorted(held - then)]
        after[customer] = then
    reasons = _reasons([*entering, *leaving], told or {}, known)
    moved = segments.enter_and_leave(entering, leaving, now, reason, reasons)
    # Found in a segment that was never computed before: that is no entry.
    entered = tuple(pair for pair in moved.entered if pair[0] not in known.first)
    return Settled(replace(moved, entered=entered), after)


def _reasons(pairs: Sequence[Pair], told: Mapping[int, Sequence[Told]], known: Standing) -> dict[Pair, Because]:
    """Why each moved: the last event that its segment's condition reads, or the last of all where none is known to."""
    found: dict[Pair, Because] = {}
    for segment, customer in pairs:
        if mine := told.get(customer):
            read = known.read_by.get(segment)
            fitting = [one for one in mine if one.event in read] if read else []
            found[segment, customer] = (fitting or mine)[-1].because
    return found


def stays_of(people: Collection[int]) -> dict[int, frozenset[int]]:
    """The segments these customers are in."""
    found: dict[int, set[int]] = {}
    with arrays.direct() as raw:
        for segment, customer in raw.execute(STAYS, [arrays.bigints([*people])], prepare=True):
            found.setdefault(customer, set()).add(segment)
    return {customer: frozenset(held) for customer, held in found.items()}


def _clustered(held: frozenset[int], facts: Facts, known: Standing) -> frozenset[int]:
    """The stays with the customer's cluster put right."""
    if known.clusters is None or not known.cluster_segments:
        return held - set(known.cluster_segments.values())
    key = clusters.segment_key(known.clusters.clusters[known.clusters.assign(facts)])
    mine = known.cluster_segments.get(key)
    others = held - set(known.cluster_segments.values())
    return others | {mine} if mine is not None else others


def _judged(held: frozenset[int], facts: Facts, now: datetime, known: Standing) -> frozenset[int]:
    """The stays with every condition put right, and `facts` told of them.

    A condition that asks for facts nobody has yet waits for the refresh of all.
    """
    then = set(held)
    told = True
    for audience in known.audiences:
        if not audience.histories <= known.histories.keys():
            continue
        if audience.nested and not told:
            name_segments(facts, then, known)
            told = True
        if matches(audience.condition, facts, now) != (audience.id in then):
            then ^= {audience.id}
            told = False
    if not told:
        name_segments(facts, then, known)
    return frozenset(then)


def name_segments(facts: Facts, held: Collection[int], known: Standing) -> None:
    """Write the facts `segments` (keys) and `customer_segment` (keys, then names) of the stays in active segments."""
    pairs = sorted(known.segments[pk] for pk in held if pk in known.segments)
    keys = [key for key, _ in pairs]
    facts["segments"] = keys
    facts["customer_segment"] = keys + [name for _, name in pairs]


def place(facts: pl.DataFrame, ids: Sequence[int], now: datetime, only: Sequence[int] | None = None) -> Placed:
    """The same for a frame of facts of any number of customers; `only` some segments by condition.

    Customers found in a segment that was never computed before did not enter it: that is no move.
    """
    moved = segments.move(clusters.assign(facts), ids, now) if only is None else Moves((), ())
    order = facts["customer_id"].to_list()
    frame = with_segments(facts, ids).with_columns(units(order))
    wanted: dict[int, list[int]] = {}
    first: set[int] = set()
    for segment, condition in segments.conditions():
        if only is not None and segment.pk not in only:
            continue
        # Nobody has the facts it asks for yet; everybody will with the next refresh of all.
        if not needs([condition]).keys() <= set(frame.columns):
            continue
        hit = matching_frame(condition, frame, now)
        wanted[segment.pk] = [customer for customer, yes in zip(order, hit, strict=True) if yes]
        if segment.refreshed_at is None:
            first.add(segment.pk)
    then = segments.move(wanted, ids, now)
    entered = tuple(pair for pair in then.entered if pair[0] not in first)
    return Placed(moved.entered + entered, moved.left + then.left, computed=tuple(wanted))


def units(ids: Sequence[int]) -> pl.Series:
    """What chances draw by, a row a customer id, as the column `customer_id`: the same as in decisions."""
    rows = Customer.objects.exclude(merged_into__isnull=False).values_list("pk", "key", "unit")
    named = {pk: unit or key for pk, key, unit in (rows.filter(pk__in=ids) if len(ids) < FEW else rows)}
    return pl.Series("customer_id", [named.get(pk) for pk in ids], dtype=pl.String)


def with_segments(facts: pl.DataFrame, ids: Sequence[int]) -> pl.DataFrame:
    """The facts with the columns `segments` (keys) and `customer_segment` (keys and names) of current stays."""
    stays = Membership.objects.filter(left_at__isnull=True, segment__active=True)
    if len(ids) < FEW:
        stays = stays.filter(customer_id__in=ids)
    keys: dict[int, list[str]] = {}
    names: dict[int, list[str]] = {}
    for customer, key, name in stays.values_list("customer_id", "segment__key", "segment__name").order_by(
        "segment__key"
    ):
        keys.setdefault(customer, []).append(key)
        names.setdefault(customer, []).append(name)
    order = facts["customer_id"].to_list()
    return facts.with_columns(
        pl.Series("segments", [keys.get(pk, []) for pk in order], dtype=pl.List(pl.String)),
        pl.Series("customer_segment", [keys.get(pk, []) + names.get(pk, []) for pk in order], dtype=pl.List(pl.String)),
    )
