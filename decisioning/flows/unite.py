"""A person's word about who is who in; customers made one or two again, with their facts and profiles, out.

Proposals are for a person to decide: nobody becomes one with somebody else because they look alike.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Final

from django.db import connection, transaction
from django.db.models import Q

from ..customers.identity.evidence import STRENGTH
from ..customers.identity.family import head_of
from ..customers.identity.merging import Changed, apply
from ..customers.models import Identity, Link, Merge, Proposal
from ..store import publishing
from .propose import propose, propose_claimed
from .react import resettle

__all__ = ["LOCK", "NotPossible", "decide", "keep_apart", "merge", "propose", "propose_claimed", "sides", "undo"]

# People's decisions about identity are made one after the other, so that none waits for another in a circle.
LOCK: Final = 7_011_975


class NotPossible(ValueError):
    """What was asked for makes no sense any more; the message says why."""


def merge(one: int, other: int, by: int | None, now: datetime) -> Changed:
    """Make two customers one because the user `by` (id) says so. Raises NotPossible."""
    with transaction.atomic():
        _in_turn()
        sides = [_identities(head_of(pk)) for pk in (one, other)]
        if sides[0][0].customer_id == sides[1][0].customer_id:
            raise NotPossible("They are one customer already.")
        first, second = (min(side, key=_strength) for side in sides)
        Link.objects.filter(_between(*sides), refused_at__isnull=False).update(refused_at=None, refused_by=None)
        if not Link.objects.filter(_between([first], [second]), how=Link.How.PERSON).exists():
            Link.objects.create(one=first, other=second, how=Link.How.PERSON, at=now)
        return _apply([first, second], by, now)


def undo(merge_id: int, by: int | None, now: datetime) -> Changed:
    """Make them two again: every tie between them is refused, and no other way joins them later. Raises NotPossible."""
    with transaction.atomic():
        _in_turn()
        merge = Merge.objects.select_related("loser").get(pk=merge_id)
        if merge.undone_at is not None:
            raise NotPossible(f"This merge was undone on {merge.undone_at:%Y-%m-%d %H:%M} already.")
        leaving, staying = sides(merge)
        if not leaving or not staying:
            raise NotPossible("Nothing is left that tells the two apart: one of them has no identity of its own.")
        keep_apart(leaving, staying, by, now)
        changed = _apply([*leaving, *staying], by, now, quiet=True)
        _dismiss(merge.winner_id, merge.loser_id, merge.reason, by, now)
        return changed


def decide(proposal_id: int, accept: bool, by: int | None, now: datetime) -> Changed:
    """Answer a proposal: make them one, or note that they are not the same. Raises NotPossible."""
    with transaction.atomic():
        _in_turn()
        proposal = Proposal.objects.select_for_update().get(pk=proposal_id)
        if proposal.state != Proposal.State.OPEN:
            raise NotPossible(f"This proposal was decided already: {proposal.get_state_display()}.")
        changed = merge(proposal.one_id, proposal.other_id, by, now) if accept else Changed()
        proposal.state = Proposal.State.ACCEPTED if accept else Proposal.State.DISMISSED
        proposal.decided_at, proposal.decided_by_id = now, by
        proposal.save()
        return changed


def sides(merge: Merge) -> tuple[list[Identity], list[Identity]]:
    """Who would leave with the loser if this merge were undone, and who would stay."""
    members = _identities(head_of(merge.loser_id))
    leaving = _side(members, _absorbed(merge.loser_id))
    return [one for one in members if one in leaving], [one for one in members if one not in leaving]


def keep_apart(some: Collection[Identity], others: Collection[Identity], by: int | None, now: datetime) -> None:
    """Refuse every tie between these identities; where there is none, a new one says so."""
    between = _between(some, others)
    Link.objects.filter(between, refused_at__isnull=True).update(refused_at=now, refused_by_id=by)
    if not Link.objects.filter(between).exists():
        first, second = (min(side, key=_strength) for side in (some, others))
        Link.objects.create(one=first, other=second, how=Link.How.PERSON, at=now, refused_at=now, refused_by_id=by)


def _in_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _apply(identities: Iterable[Identity], by: int | None, now: datetime, *, quiet: bool = False) -> Changed:
    changed = apply([one.pk for one in identities], now, by=by, wait=True)
    resettle(changed.customers, now, quiet=quiet)
    publishing.part(changed.undone)
    return changed


def _identities(customer: int) -> list[Identity]:
    found = list(Identity.objects.filter(customer=customer))
    if not found:
        raise NotPossible(f"Customer {customer} is known by nothing, so there is nothing to tell them by.")
    return found


def _strength(one: Identity) -> tuple[int, str]:
    return STRENGTH[one.kind], one.value


def _between(some: Collection[Identity], others: Collection[Identity]) -> Q:
    """Links with an end on each side."""
    return Q(one__in=some, other__in=others) | Q(one__in=others, other__in=some)


def _absorbed(customer: int) -> set[int]:
    """This customer and all who had become part of it before it became part of another."""
    found, ahead = {customer}, {customer}
    while ahead:
        rows = Merge.objects.filter(winner__in=ahead, undone_at__isnull=True).values_list("loser_id", flat=True)
        ahead = set(rows) - found
        found |= ahead
    return found


def _side(members: list[Identity], homes: set[int]) -> set[Identity]:
    """Who leaves with these customers. What has no home of its own goes with whom it was first seen."""
    sides = {one.pk: one.home_id in homes for one in members if one.home_id is not None}
    ties: dict[int, list[tuple[bool, datetime, str, int, int]]] = {}
    for link in Link.objects.filter(one__in=members, other__in=members, followed=True):
        order = (link.how != Link.How.PERSON, link.at, link.message_id)
        ties.setdefault(link.one_id, []).append((*order, link.one_id, link.other_id))
        ties.setdefault(link.other_id, []).append((*order, link.other_id, link.one_id))
    # The earliest tie goes first, wherever it is: Prim's algorithm from both sides at once.
    ahead = [tie for pk in sides for tie in ties.get(pk, ())]
    heapify(ahead)
    while ahead:
        *_, here, there = heappop(ahead)
        if there not in sides:
            sides[there] = sides[here]
            for tie in ties[there]:
                heappush(ahead, tie)
    return {one for one in members if sides.get(one.pk, False)}


def _dismiss(winner: int, loser: int, reason: str, by: int | None, now: datetime) -> None:
    """Who were told apart by hand are not proposed again."""
    one, other = sorted((winner, loser))
    said = {"state": Proposal.State.DISMISSED, "decided_at": now, "decided_by_id": by}
    new = {**said, "score": 1.0, "reasons": [reason], "at": now}
    Proposal.objects.update_or_create(one_id=one, other_id=other, defaults=said, create_defaults=new)
