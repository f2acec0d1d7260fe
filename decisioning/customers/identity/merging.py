"""Identities about which something new is known in; their groups applied to whose they are, and what changed, out.

Nothing is remembered here about how people came together: the links are, and the groups follow from all of them. So a
merge and its undoing are the same step with other links. Events stay with their identities and are never rewritten.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from ..models import Customer, Identity
from .components import Component, Kin, TooLarge, load
from .evidence import Code, Groups, Verdict
from .known import key_of
from .linking import group
from .succession import Heirs, succeed

LOCK: Final = "SELECT id FROM customers_customer WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
MOVE: Final = """
UPDATE customers_identity i SET customer_id = v.customer FROM unnest(%s::bigint[], %s::bigint[]) AS v(id, customer)
WHERE i.id = v.id
"""
JUDGE: Final = """
UPDATE customers_link l SET followed = v.followed, code = v.code, reason = v.reason
FROM unnest(%s::bigint[], %s::boolean[], %s::text[], %s::text[]) AS v(id, followed, code, reason) WHERE l.id = v.id
"""
TOO_LARGE: Final = """
UPDATE customers_link SET code = %s, reason = %s WHERE code = '' AND (one_id = %s OR other_id = %s)
"""
UNJUDGED: Final = "SELECT one_id, other_id FROM customers_link WHERE code = '' ORDER BY id LIMIT %s"


@dataclass(frozen=True, slots=True)
class Changed:
    """What followed: customers whose identities, unit or whereabouts changed (ids), merges made and undone (ids).

    `postponed` identities wait for a customer whom another transaction holds; their links stay without a verdict and
    `unjudged` finds them again.
    """

    customers: frozenset[int] = frozenset()
    merged: tuple[int, ...] = ()
    undone: tuple[int, ...] = ()
    postponed: frozenset[int] = frozenset()


def apply(
    identity_ids: Collection[int],
    now: datetime,
    *,
    by: int | None = None,
    wait: bool = False,
    held: Collection[int] = (),
) -> Changed:
    """Bring customers in line with what is known about these identities. Must run in the caller's transaction.

    Locks every customer concerned, beside those that the caller holds (`held`). With `wait` it waits for them, and the
    caller must hold `unite.LOCK`; without, it leaves out what somebody else holds. `by` is the id of the user who
    decided it; None is the evidence by itself.
    """
    ids = set(identity_ids)
    try:
        component, postponed = _hold(ids, set(held), wait)
    except TooLarge as error:
        if len(ids) > 1:
            return _summed([apply([pk], now, by=by, wait=wait, held=held) for pk in sorted(ids)])
        return _refuse(ids.pop(), str(error))
    if not component.core:
        return Changed(postponed=frozenset(postponed))
    found = group(component.nodes(), component.edges())
    _judge(component, found)
    heirs = _heirs(component, found)
    moved = {pk: heirs.of[pk] for pk, one in component.core.items() if one.customer != heirs.of[pk]}
    _move(moved)
    succession = succeed(component, found, heirs, now, by)
    touched = {component.core[pk].customer for pk in moved} | set(moved.values()) | succession.customers
    return Changed(frozenset(touched), succession.merged, succession.undone, frozenset(postponed))


def unjudged(limit: int = 1000) -> set[int]:
    """Identities with links that nobody could judge yet, the oldest first: to be passed to `apply` again."""
    with connection.cursor() as cursor:
        cursor.execute(UNJUDGED, [limit])
        return {pk for pair in cursor.fetchall() for pk in pair}


def _summed(parts: Sequence[Changed]) -> Changed:
    return Changed(
        frozenset().union(*(part.customers for part in parts)),
        tuple(pk for part in parts for pk in part.merged),
        tuple(pk for part in parts for pk in part.undone),
        frozenset().union(*(part.postponed for part in parts)),
    )


def _hold(ids: set[int], locked: set[int], wait: bool) -> tuple[Component, set[int]]:
    """The component with all its customers locked, and the identities of those parts that somebody else holds.

    It is read again after locking: what another transaction committed meanwhile is part of it.
    """
    postponed: set[int] = set()
    while True:
        component = load(ids)
        wanted = component.customers() - locked
        if not wanted:
            return component, postponed
        locked |= _lock(wanted, wait)
        for part in component.parts():
            # A customer deleted meanwhile counts as held; its identities are gone at the next reading.
            if not component.customers(part) <= locked:
                postponed |= ids & part
                ids = ids - part


def _lock(customers: Iterable[int], wait: bool) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(LOCK if wait else f"{LOCK} SKIP LOCKED", [sorted(customers)])
        return {pk for (pk,) in cursor.fetchall()}


def _refuse(identity: int, reason: str) -> Changed:
    """Follow nothing new here: a person has to see what ties so many together."""
    with connection.cursor() as cursor:
        cursor.execute(TOO_LARGE, [Code.TOO_LARGE, f"{reason} Nothing more is joined to them.", identity, identity])
    return Changed()


def _judge(component: Component, found: Groups) -> None:
    """Write the verdicts that are new."""
    rows: list[tuple[int, Verdict]] = []
    for tie in component.ties.values():
        verdict = found.verdicts[tie.id]
        if (tie.followed, tie.code, tie.reason) != (verdict.followed, verdict.code, verdict.reason):
            rows.append((tie.id, verdict))
    if rows:
        told = [verdict for _, verdict in rows]
        followed, codes = [one.followed for one in told], [str(one.code) for one in told]
        with connection.cursor() as cursor:
            cursor.execute(JUDGE, [[pk for pk, _ in rows], followed, codes, [one.reason for one in told]])


def _heirs(component: Component, found: Groups) -> Heirs:
    """Whose each identity is from now on: the home of its group's leader, which is made where there is none."""
    heirs = Heirs({}, {pk: one.home for pk, one in component.core.items() if one.home is not None})
    taken: set[int] = set()
    for one in found.groups:
        leader = component.core.get(one.leader)
        # Behind something shared: not ours to judge.
        if leader is None:
            continue
        home = heirs.homes.get(leader.id)
        if home is None or home in taken:
            home = _home(leader, taken | set(heirs.homes.values()))
            heirs.homes[leader.id] = home
        taken.add(home)
        heirs.of.update((pk, home) for pk in one.members if pk in component.core)
    return heirs


def _home(leader: Kin, others: set[int]) -> int:
    """A customer of its own for somebody who never had one: the one it has, if nobody came into being with that."""
    if leader.customer not in others and not Identity.objects.filter(home=leader.customer).exists():
        home = leader.customer
    else:
        key = key_of(leader.kind, leader.value)
        home = Customer.objects.get_or_create(key=key)[0].pk
        if home in others:
            home = Customer.objects.create(key=f"{key[:200]}#{leader.id}").pk
    Identity.objects.filter(pk=leader.id).update(home=home)
    return home


def _move(moved: dict[int, int]) -> None:
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(MOVE, [list(moved), list(moved.values())])
