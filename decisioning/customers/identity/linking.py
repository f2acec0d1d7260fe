"""Identifiers and the ties between them in; groups, each of them one person, and a verdict on each tie, out. Pure.

The answer depends on what is known alone, never on the order in which it came to be known: ties are taken in the order
in which they happened, and what is counted ("seen with two user ids") is counted over all of them first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from .evidence import KINDS, PERSONAL, STRENGTH, USER, Code, Edge, Group, Groups, Node, Verdict

# From how many user ids on an identifier is nobody's. A device outlives logins, so a second user id says it is shared;
# a browser may see a second one when somebody borrows it, a third makes it a kiosk. Of an e-mail, a phone or a loyalty
# id the second claim is for a person to review, but ten claims are an office's address or a till's default.
USERS_TO_SHARE = {"device_id": 2, "anonymous_id": 3, "phone": 10, "email": 10, "loyalty_id": 10}
# The same for machines of people without user ids: three e-mails on one browser are three visitors.
CONTACTS_TO_SHARE = 3

Rank = tuple[int, datetime, str]


def group(nodes: Iterable[Node], edges: Iterable[Edge]) -> Groups:
    """Who is who. Near linear in nodes and edges.

    Raises ValueError for an edge to a node that is not given.
    """
    known = {node.id: node for node in nodes}
    ranks = {pk: node.order for pk, node in known.items()}
    ordered = sorted(edges, key=lambda edge: _order(edge, ranks))
    people = _People(known, ranks, [edge for edge in ordered if edge.refused])
    verdicts = {edge.id: _by_hand(edge, people) for edge in ordered if edge.how == "person"}
    shared = _shared([edge for edge in ordered if edge.how != "person"], people)
    verdicts |= {edge.id: _judge(edge, people, shared) for edge in ordered if edge.how != "person"}
    return Groups(people.groups(), verdicts)


def _order(edge: Edge, ranks: dict[int, Rank]) -> tuple[object, ...]:
    """By time; at the same moment by what was said, and by row ids only where all else is equal."""
    try:
        ends = sorted((ranks[edge.one], ranks[edge.other]))
    except KeyError as missing:
        raise ValueError(f"Edge {edge.id} names node {missing}, which is not among the nodes; pass it too.") from None
    return edge.at, edge.message_id, ends, edge.how, edge.id


class _People:
    """Disjoint sets of nodes, the leader of each, and which of them a person keeps apart.

    Union by size with path halving: R. E. Tarjan and J. van Leeuwen, "Worst-case Analysis of Set Union Algorithms",
    Journal of the ACM 31(2), 1984.
    """

    def __init__(self, known: dict[int, Node], ranks: dict[int, Rank], refused: Sequence[Edge]) -> None:
        self.known, self.ranks = known, ranks
        self.parent = {pk: pk for pk in known}
        self.members = {pk: [pk] for pk in known}
        self.first = dict(known)
        self.tie: dict[int, Edge] = {}
        self.apart: dict[int, set[int]] = {}
        for edge in refused:
            if edge.one != edge.other:
                self.apart.setdefault(edge.one, set()).add(edge.other)
                self.apart.setdefault(edge.other, set()).add(edge.one)

    def root(self, pk: int) -> int:
        parent = self.parent
        while parent[pk] != pk:
            parent[pk] = pk = parent[parent[pk]]
        return pk

    def ends(self, edge: Edge) -> tuple[Node, Node]:
        """The stronger end and the weaker one."""
        one, other = self.known[edge.one], self.known[edge.other]
        return (one, other) if self.ranks[one.id] <= self.ranks[other.id] else (other, one)

    def join(self, edge: Edge) -> None:
        """Make the sets of both ends one, and note the tie for whom it was the first."""
        big, small = self.root(edge.one), self.root(edge.other)
        if len(self.members[big]) < len(self.members[small]):
            big, small = small, big
        self.parent[small] = big
        self.members[big] += self.members.pop(small)
        self.first[big] = min(self.first[big], self.first.pop(small), key=lambda node: self.ranks[node.id])
        for enemy in self.apart.pop(small, ()):
            self.apart[enemy].discard(small)
            if enemy != big:
                self.apart[enemy].add(big)
                self.apart.setdefault(big, set()).add(enemy)
        self.tie.setdefault(edge.one, edge)
        self.tie.setdefault(edge.other, edge)

    def groups(self) -> list[Group]:
        ordered = sorted(self.first.items(), key=lambda pair: self.ranks[pair[1].id])
        return [Group(leader.id, frozenset(self.members[root])) for root, leader in ordered]


def _by_hand(edge: Edge, people: _People) -> Verdict:
    """A person's word is followed whatever the guards say, until a person takes it back."""
    strong, weak = people.ends(edge)
    if edge.refused:
        return _refused(strong, weak)
    if people.root(edge.one) == people.root(edge.other):
        return Verdict(True, Code.SAME, f"{weak.opening()} and {strong} were one already.")
    people.join(edge)
    return Verdict(True, Code.JOINED, f"Joined {edge}: {weak} and {strong} are one person.")


def _refused(strong: Node, weak: Node) -> Verdict:
    return Verdict(False, Code.REFUSED, f"A person said that {weak} and {strong} are not the same.")


def _shared(edges: Sequence[Edge], people: _People) -> dict[int, str]:
    """The identifiers that several people use: node id -> what they were seen with, in words.

    User ids that a person joined by hand are one. An e-mail that has a user id is not counted beside it.
    """
    pairs = [people.ends(edge) for edge in edges]
    claimed = {weak.id for strong, weak in pairs if strong.kind == USER}
    met: dict[int, dict[str, set[int]]] = {}
    for strong, weak in pairs:
        if strong.kind == USER or (strong.kind in PERSONAL - {weak.kind} and strong.id not in claimed):
            met.setdefault(weak.id, {}).setdefault(strong.kind, set()).add(people.root(strong.id))
    found = {}
    for pk, kinds in met.items():
        for kind in sorted(kinds, key=STRENGTH.__getitem__, reverse=True):
            enough = _enough(people.known[pk].kind, kind)
            if len(kinds[kind]) >= enough:
                found[pk] = f"{enough:.0f} {KINDS[kind]}s or more"
    return found


def _enough(kind: str, met: str) -> float:
    """How many different identifiers of the kind `met` make one of this kind nobody's."""
    if met == USER:
        return USERS_TO_SHARE.get(kind, float("inf"))
    return float("inf") if kind in PERSONAL else CONTACTS_TO_SHARE


def _judge(edge: Edge, people: _People, shared: dict[int, str]) -> Verdict:
    """Whether the guards let this edge be followed; if so, its ends are joined."""
    strong, weak = people.ends(edge)
    one, other = people.root(strong.id), people.root(weak.id)
    if edge.refused:
        return _refused(strong, weak)
    if one == other:
        return Verdict(True, Code.SAME, f"{weak.opening()} was seen with {strong} {edge} too; they were one already.")
    for node in (weak, strong):
        if node.id in shared:
            return _nobodys(node, shared[node.id])
    if other in people.apart.get(one, ()):
        sides = f"{people.first[other]} and {people.first[one]}"
        reason = f"{weak.opening()} was seen with {strong} {edge}, but a person said that {sides} are not the same."
        return Verdict(False, Code.KEPT_APART, reason)
    if people.first[one].kind == USER == people.first[other].kind:
        return _claimed_twice(edge, strong, weak, people)
    people.join(edge)
    return Verdict(True, Code.JOINED, f"{weak.opening()} was first seen with {strong} {edge}.")


def _nobodys(node: Node, met: str) -> Verdict:
    seen = f"{node.opening()} was seen with {met}"
    if node.kind == "anonymous_id":
        return Verdict(False, Code.KIOSK, f"{seen}: a kiosk, which belongs to nobody.")
    return Verdict(False, Code.SHARED, f"{seen}: it is shared and belongs to nobody.")


def _claimed_twice(edge: Edge, strong: Node, weak: Node, people: _People) -> Verdict:
    """Both sides have a user id already: the first claim holds, and a person may look at it."""
    if weak.kind == USER:
        reason = f"{weak.opening()} and {strong} met {edge}; two user ids become one only when a person says so."
        return Verdict(False, Code.TWO_USER_IDS, reason)
    stays = f"{_first_claim(weak, people)}; it stays there"
    if weak.kind not in PERSONAL:
        return Verdict(False, Code.BELONGS_ELSEWHERE, f"{stays}.")
    owner = people.first[people.root(strong.id)]
    whose = "" if owner is strong else f" of {owner}"
    return Verdict(False, Code.CONFLICT, f"{stays}, though {strong}{whose} was seen with it {edge}. Please review.")


def _first_claim(weak: Node, people: _People) -> str:
    """How this node came to the person it belongs to."""
    tie, owner = people.tie[weak.id], people.first[people.root(weak.id)]
    beside = people.known[tie.other if tie.one == weak.id else tie.one]
    through = "" if beside is owner else f" (who is {owner})"
    return f"{weak.opening()} was {'joined' if tie.how == 'person' else 'first seen'} with {beside}{through} {tie}"
