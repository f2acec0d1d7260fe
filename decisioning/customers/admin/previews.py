"""Customers who may become one or two in; what exactly would stay, move and clash, out. Nothing is changed here."""

from dataclasses import dataclass, field
from typing import Any

from decisioning.console.tables import Row, rows_of
from decisioning.flows import unite

from ..identity.evidence import KINDS, USER, Node
from ..identity.family import head_of
from ..models import Customer, Identity, Merge

# A person has one of these as a rule; two of a kind are worth a second look.
SINGLE = ("user_id", "loyalty_id")


@dataclass(frozen=True, slots=True)
class Side:
    """One of two customers, as the page sets them beside each other."""

    customer: Customer
    identities: list[Identity]
    traits: list[Row]
    consents: list[Any]
    segments: list[str]
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Joining:
    """Two customers side by side; `typed` is what must be typed because both have a user id, "" otherwise."""

    sides: list[Side]
    warnings: list[str] = field(default_factory=list)
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Parting:
    """What an undone merge takes apart: who leaves, and whom they leave."""

    owner: Customer
    leaving: list[Identity]
    staying: list[Identity]

    @property
    def possible(self) -> bool:
        """Whether both sides have something to be told by."""
        return bool(self.leaving and self.staying)


def node_of(identity: Identity) -> Node:
    """The identity as the rule of who is who sees it."""
    return Node(identity.pk, identity.kind, identity.value, identity.first_at or identity.created_at)


def joining(one: Customer, other: Customer) -> Joining:
    """What merging these two would do; the one with the stronger identifier is who stays."""
    sides = [_side(one), _side(other)]
    leads = [min((node_of(each).order for each in side.identities), default=None) for side in sides]
    first = leads[1] is None or (leads[0] is not None and leads[0] <= leads[1])
    winner, loser = (sides[0], sides[1]) if first else (sides[1], sides[0])
    users = [side for side in sides if any(each.kind == USER for each in side.identities)]
    winner = Side(winner.customer, winner.identities, winner.traits, winner.consents, winner.segments, stays=True)
    return Joining([winner, loser], _warnings(winner, loser), loser.customer.key if len(users) == 2 else "")


def _side(customer: Customer) -> Side:
    identities = sorted(customer.identities.all(), key=lambda each: node_of(each).order)
    stays = customer.memberships.filter(left_at__isnull=True).select_related("segment")
    names = sorted(str(stay.segment) for stay in stays)
    return Side(customer, identities, rows_of(customer.traits), list(customer.consents.order_by("channel")), names)


def _warnings(winner: Side, loser: Side) -> list[str]:
    found = []
    for kind in SINGLE:
        values = [sorted(each.value for each in side.identities if each.kind == kind) for side in (winner, loser)]
        if all(values) and values[0] != values[1]:
            found.append(f"Both have a {KINDS[kind]}: {', '.join(values[0])} and {', '.join(values[1])}.")
    mine, theirs = dict(winner.traits), dict(loser.traits)
    differing = sorted(name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name])
    if differing:
        found.append(f"Traits that differ: {', '.join(differing)}. Of each, what was told last holds.")
    granted = {consent.channel: consent.granted for consent in winner.consents}
    for consent in loser.consents:
        if granted.get(consent.channel, consent.granted) != consent.granted:
            found.append(f"Consent to {consent.get_channel_display()} differs; the latest word holds.")
    return found


def parting(merge: Merge) -> Parting:
    """What undoing this merge would move, as the undoing itself will find it."""
    owner = Customer.objects.get(pk=head_of(merge.loser_id))
    if not owner.identities.exists():
        return Parting(owner, [], [])
    leaving, staying = (sorted(side, key=lambda each: node_of(each).order) for side in unite.sides(merge))
    return Parting(owner, leaving, staying)
