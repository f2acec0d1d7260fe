"""Groups and whose each identity is in; what becomes of the customers: merged into whom and why, or back again.

The rows of `Merge` are the history of it. A customer is one of a group as long as following its merges ends at the
group's customer; where that no longer holds the merge is marked undone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection

from ..models import Customer, Identity, Merge
from .components import Component
from .evidence import Code, Groups, Node
from .family import hand_down_refusals
from .known import key_of
from .stays import carry_over, give_back

UPDATE: Final = """
UPDATE customers_customer c SET merged_into_id = v.head, unit = v.unit
FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS v(id, head, unit) WHERE c.id = v.id
"""


@dataclass(frozen=True, slots=True)
class Heirs:
    """Identity id -> the customer it belongs to from now on, and identity id -> the customer that was born with it."""

    of: dict[int, int]
    homes: dict[int, int]


@dataclass(slots=True)
class Succession:
    """Customers that changed, merges made and merges undone (ids)."""

    customers: set[int] = field(default_factory=set)
    merged: tuple[int, ...] = ()
    undone: tuple[int, ...] = ()


def succeed(component: Component, found: Groups, heirs: Heirs, now: datetime, by: int | None) -> Succession:
    """Write what becomes of every customer of this component. The caller holds their rows."""
    nodes = {node.id: node for node in component.nodes()}
    heads = _heads(component, heirs, nodes)
    active = {merge.loser_id: merge for merge in Merge.objects.filter(loser__in=heads, undone_at__isnull=True)}
    ending = [
        merge for loser, merge in active.items() if heads[loser] == loser or heads.get(merge.winner_id) != heads[loser]
    ]
    ended = {merge.loser_id for merge in ending}
    starting = [
        loser for loser, head in sorted(heads.items()) if loser != head and (loser not in active or loser in ended)
    ]
    before = {row.pk: row for row in Customer.objects.filter(pk__in=heads).only("key", "unit", "merged_into")}
    _part(ending, before, now, by)
    ties = _ties_between(component, found, heirs, nodes) if starting else {}
    rows = [_merge(loser, heads[loser], ties.get(loser), found, now, by) for loser in starting]
    merges = Merge.objects.bulk_create(rows)
    changed = _write(before, heads, _units(component, heirs, nodes, before))
    carry_over([(heads[loser], loser) for loser in starting], now)
    return Succession(changed, tuple(row.pk for row in merges), tuple(merge.pk for merge in ending))


def _heads(component: Component, heirs: Heirs, nodes: dict[int, Node]) -> dict[int, int]:
    """Customer id -> the customer it is part of, or itself: where the identity went that it came into being with."""
    ordered = sorted(component.core, key=lambda pk: nodes[pk].order)
    heads = {head: head for head in heirs.of.values()}
    for pk in ordered:
        if pk in heirs.homes:
            heads.setdefault(heirs.homes[pk], heirs.of[pk])
    # One that came into being with nobody who is known goes where the strongest of its identities went.
    for pk in ordered:
        heads.setdefault(component.core[pk].customer, heirs.of[pk])
    return heads


def _part(ending: Iterable[Merge], before: dict[int, Customer], now: datetime, by: int | None) -> None:
    """These merges hold no longer. Who leaves keeps refusals said meanwhile, and goes on with their own stays."""
    parting = [(before[merge.loser_id].merged_into_id or merge.winner_id, merge.loser_id, merge.at) for merge in ending]
    hand_down_refusals(parting)
    give_back([(loser, since) for _, loser, since in parting])
    Merge.objects.filter(pk__in=[merge.pk for merge in ending]).update(undone_at=now, undone_by=by)


def _ties_between(component: Component, found: Groups, heirs: Heirs, nodes: dict[int, Node]) -> dict[int, int]:
    """Customer id -> the link that made it one with its group: on the way to the leader, the one that came last.

    Ties that joined are a tree, taken in the order of time, so the last one on a way is the one that closed it; a
    person's word goes before.
    """
    beside: dict[int, list[tuple[int, int]]] = {}
    for tie in component.ties.values():
        if found.verdicts[tie.id].code == Code.JOINED:
            beside.setdefault(tie.one, []).append((tie.id, tie.other))
            beside.setdefault(tie.other, []).append((tie.id, tie.one))
    born = {home: pk for pk, home in sorted(heirs.homes.items(), key=lambda pair: nodes[pair[0]].order, reverse=True)}
    made: dict[int, int] = {}
    for one in found.groups:
        if one.leader in component.core and len(one.members) > 1:
            last = _last_ties(one.leader, beside, component)
            made.update((home, last[pk]) for home, pk in born.items() if pk in last)
    return made


def _last_ties(leader: int, beside: dict[int, list[tuple[int, int]]], component: Component) -> dict[int, int]:
    """Identity id -> the id of the latest link between it and the leader."""
    last: dict[int, int] = {}
    stack = [(leader, 0)]
    seen = {leader}
    while stack:
        here, so_far = stack.pop()
        for link, there in beside.get(here, ()):
            if there not in seen:
                seen.add(there)
                last[there] = max((pk for pk in (so_far, link) if pk), key=lambda pk: _weight(component, pk))
                stack.append((there, last[there]))
    return last


def _weight(component: Component, link: int) -> tuple[bool, datetime, str]:
    tie = component.ties[link]
    return tie.how == "person", tie.at, tie.message_id


def _merge(loser: int, winner: int, link: int | None, found: Groups, now: datetime, by: int | None) -> Merge:
    reason = found.verdicts[link].reason if link is not None else "They were found together when identities came up."
    return Merge(winner_id=winner, loser_id=loser, link_id=link, reason=reason, at=now, by_id=by)


def _units(component: Component, heirs: Heirs, nodes: dict[int, Node], rows: dict[int, Customer]) -> dict[int, str]:
    """Customer id -> what chances draw by: the key of whom of the group was seen first.

    At one moment that is the visitor without a name, whom pages may have asked decisions for before anything was told
    of them; else the stronger.
    """
    first: dict[int, Node] = {}
    for pk in component.core:
        node, head = nodes[pk], heirs.of[pk]
        if head not in first or _met(node) < _met(first[head]):
            first[head] = node
    return {head: _key(node, rows.get(heirs.homes.get(node.id, 0))) for head, node in first.items()}


def _met(node: Node) -> tuple[datetime, bool, tuple[int, datetime, str]]:
    return node.first_at, node.kind != Identity.Kind.ANONYMOUS, node.order


def _key(node: Node, home: Customer | None) -> str:
    return key_of(node.kind, node.value) if home is None else home.key


def _write(before: dict[int, Customer], heads: dict[int, int], units: dict[int, str]) -> set[int]:
    """Store where customers are and what chances draw by; those for whom it changed."""
    rows: list[tuple[int, int | None, str]] = []
    for pk, row in before.items():
        head = None if heads[pk] == pk else heads[pk]
        unit = units.get(pk, "")
        unit = "" if unit == row.key else unit
        if (row.merged_into_id, row.unit) != (head, unit):
            rows.append((pk, head, unit))
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(UPDATE, [list(column) for column in zip(*rows, strict=True)])
    return {pk for pk, _, _ in rows}
