"""Who is who: what is followed, what is not and why, and that no order of arrival changes it."""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.customers.identity.evidence import KINDS, USER, Code, Edge, Groups, Node
from decisioning.customers.identity.linking import CONTACTS_TO_SHARE, USERS_TO_SHARE, group
from tests.examples import examples

START = datetime(2026, 3, 1, tzinfo=UTC)
SHORT = {"u": "user_id", "l": "loyalty_id", "e": "email", "p": "phone", "d": "device_id", "a": "anonymous_id"}


class World:
    """Identifiers named by letter and number (`u1`, `a2`) and ties between them, a day apart."""

    def __init__(self, *ties: str) -> None:
        """Ties are written `a1 u1`, `a1 u1 person` or `e1 u1 event refused`."""
        self.ids: dict[str, int] = {}
        self.edges = [self._tie(number, *text.split()) for number, text in enumerate(ties)]

    def _tie(self, number: int, one: str, other: str, how: str = "event", refused: str = "") -> Edge:
        at = START + timedelta(days=number)
        return Edge(number, self.id(one), self.id(other), how, at, f"m-{number}", bool(refused))

    def id(self, name: str) -> int:
        return self.ids.setdefault(name, len(self.ids))

    @property
    def nodes(self) -> list[Node]:
        return [Node(pk, SHORT[name[0]], f"{name[0]}-{name[1:]}", START) for name, pk in self.ids.items()]

    def people(self) -> set[str]:
        """Each person as the sorted names of what they are known by."""
        names = {pk: name for name, pk in self.ids.items()}
        groups = group(self.nodes, self.edges).groups
        return {" ".join(sorted(names[pk] for pk in one.members)) for one in groups}

    def verdict(self, number: int) -> tuple[bool, str, str]:
        found = group(self.nodes, self.edges).verdicts[number]
        return found.followed, found.code, found.reason


@pytest.mark.parametrize(
    ("ties", "people"),
    [
        (["a1 u1"], {"a1 u1"}),
        (["a1 e1", "e1 u1", "d1 u1"], {"a1 d1 e1 u1"}),
        # An anonymous id with two user ids stays with the first; with three it is a kiosk.
        (["a1 u1", "a1 u2"], {"a1 u1", "u2"}),
        (["a1 u1", "a1 u2", "a1 u3"], {"a1", "u1", "u2", "u3"}),
        # A device with two user ids is shared, and takes nothing else along.
        (["d1 u1", "d1 u2", "d1 a1"], {"d1", "u1", "u2", "a1"}),
        # Three e-mails on one browser are three visitors, unless they are known to be one user's.
        (["a1 e1", "a1 e2", "a1 e3"], {"a1", "e1", "e2", "e3"}),
        (["a1 u1", "e1 u1", "e2 u1", "e3 u1", "a1 e1", "a1 e2", "a1 e3"], {"a1 e1 e2 e3 u1"}),
        # The first user id keeps an e-mail.
        (["e1 u1", "e1 u2", "a1 u2"], {"e1 u1", "a1 u2"}),
        (["e1 u0"] + [f"e1 u{number}" for number in range(1, 10)], {"e1"} | {f"u{number}" for number in range(10)}),
        # Two user ids meet neither directly nor through a chain.
        (["u1 u2 alias"], {"u1", "u2"}),
        (["a1 u1", "e1 u2", "a1 e1"], {"a1 u1", "e1 u2"}),
        (["a1 u1", "a1 a2 alias", "a2 p1", "p1 u2"], {"a1 a2 p1 u1", "u2"}),
        # A person's word joins them, and then they are one to the guards.
        (["u1 u2 person"], {"u1 u2"}),
        (["d1 u1", "d1 u2", "u1 u2 person"], {"d1 u1 u2"}),
        (["a1 u1", "a1 u2", "a1 u3", "a1 u2 person"], {"u1", "a1 u2", "u3"}),
        # A refused tie is not followed, and no other path joins its ends.
        (["a1 u1 event refused"], {"a1", "u1"}),
        (["a1 u1 event refused", "a1 e1", "e1 u1"], {"a1 e1", "u1"}),
        (["a1 u1 event refused", "a1 u2"], {"u1", "a1 u2"}),
    ],
)
def test_people_are_who_the_guards_say(ties: list[str], people: set[str]) -> None:
    assert World(*ties).people() == people


@pytest.mark.parametrize(
    ("ties", "number", "expected"),
    [
        (
            ["a1 u1"],
            0,
            (True, Code.JOINED, "Anonymous id a-1 was first seen with user id u-1 in event m-0 on 2026-03-01."),
        ),
        (
            ["a1 u1", "a1 u1 alias"],
            1,
            (
                True,
                Code.SAME,
                "Anonymous id a-1 was seen with user id u-1 in alias call m-1 on 2026-03-02 too; "
                "they were one already.",
            ),
        ),
        (
            ["u1 u2 person"],
            0,
            (True, Code.JOINED, "Joined by hand on 2026-03-01: user id u-2 and user id u-1 are one person."),
        ),
        (
            ["a1 u1 import", "a1 u2"],
            1,
            (
                False,
                Code.BELONGS_ELSEWHERE,
                "Anonymous id a-1 was first seen with user id u-1 in an import on 2026-03-01; it stays there.",
            ),
        ),
        (
            ["a1 e1", "a1 u1", "e1 u2"],
            2,
            (
                False,
                Code.CONFLICT,
                "E-mail e-1 was first seen with anonymous id a-1 (who is user id u-1) in event m-0 on 2026-03-01; "
                "it stays there, though user id u-2 was seen with it in event m-2 on 2026-03-03. Please review.",
            ),
        ),
        (
            ["e1 u1", "p1 u2", "e1 p1"],
            2,
            (
                False,
                Code.CONFLICT,
                "Phone p-1 was first seen with user id u-2 in event m-1 on 2026-03-02; it stays there, though "
                "e-mail e-1 of user id u-1 was seen with it in event m-2 on 2026-03-03. Please review.",
            ),
        ),
        (
            ["u1 u2 alias"],
            0,
            (
                False,
                Code.TWO_USER_IDS,
                "User id u-2 and user id u-1 met in alias call m-0 on 2026-03-01; "
                "two user ids become one only when a person says so.",
            ),
        ),
        (
            ["d1 u1", "d1 u2", "a1 d1"],
            2,
            (False, Code.SHARED, "Device id d-1 was seen with 2 user ids or more: it is shared and belongs to nobody."),
        ),
        (
            ["a1 u1", "a1 u2", "a1 u3"],
            0,
            (False, Code.KIOSK, "Anonymous id a-1 was seen with 3 user ids or more: a kiosk, which belongs to nobody."),
        ),
        (
            ["a1 u1 event refused"],
            0,
            (False, Code.REFUSED, "A person said that anonymous id a-1 and user id u-1 are not the same."),
        ),
        (
            ["a1 u1 event refused", "a1 e1", "e1 u1"],
            2,
            (
                False,
                Code.KEPT_APART,
                "E-mail e-1 was seen with user id u-1 in event m-2 on 2026-03-03, "
                "but a person said that e-mail e-1 and user id u-1 are not the same.",
            ),
        ),
    ],
)
def test_each_tie_says_why(ties: list[str], number: int, expected: tuple[bool, str, str]) -> None:
    world = World(*ties)
    # Names come into the world in any order; the reasons rest on kinds, times and values.
    assert world.verdict(number) == expected


def test_the_strongest_kind_leads_then_who_came_first_then_the_value() -> None:
    nodes = [
        Node(1, "anonymous_id", "a", START),
        Node(2, "email", "b", START + timedelta(days=2)),
        Node(3, "email", "c", START + timedelta(days=1)),
        Node(4, "email", "a", START + timedelta(days=2)),
    ]
    edges = [Edge(number, 1, pk, "person", START, "") for number, pk in enumerate((2, 3, 4))]
    assert group(nodes, edges).groups[0].leader == 3
    assert group([nodes[0], nodes[1], nodes[3]], edges[::2]).groups[0].leader == 4


def test_it_says_what_to_pass_where_a_node_is_missing() -> None:
    with pytest.raises(ValueError, match="names node 2, which is not among the nodes; pass it too"):
        group([Node(1, "email", "a", START)], [Edge(7, 1, 2, "event", START, "m")])


# Few identifiers and few moments, so that ties, chains and equal moments are common.
NAMES = ["u1", "u2", "u3", "u4", "l1", "e1", "e2", "e3", "p1", "d1", "d2", "a1", "a2", "a3", "a4"]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    moments = st.integers(0, 4).map(lambda days: START + timedelta(days=days))
    nodes = [Node(pk, SHORT[name[0]], name, draw(moments)) for pk, name in enumerate(NAMES)]
    hows = st.sampled_from(["event", "event", "event", "event", "alias", "import", "person"])
    ends = st.lists(st.sampled_from(range(len(NAMES))), min_size=2, max_size=2, unique=True)
    ties = draw(st.lists(st.tuples(ends, hows, moments, st.integers(0, 9), st.booleans()), max_size=25))
    unique = {(*sorted(pair), how): (at, said, no) for pair, how, at, said, no in ties}
    return nodes, [
        Edge(number, one, other, how, at, f"m-{said}", no and said < 3)
        for number, ((one, other, how), (at, said, no)) in enumerate(unique.items())
    ]


def meaning(found: Groups) -> tuple[object, ...]:
    return tuple((one.leader, one.members) for one in found.groups), found.verdicts


@examples(300)
@given(worlds(), st.randoms(use_true_random=False))
def test_no_order_of_arrival_changes_the_answer(world: tuple[list[Node], list[Edge]], dice: random.Random) -> None:
    nodes, edges = world
    before = group(nodes, edges)
    # Row ids are given in the order of arrival, so they change with it.
    node_ids, edge_ids = list(range(100, 100 + len(nodes))), list(range(500, 500 + len(edges)))
    dice.shuffle(node_ids)
    dice.shuffle(edge_ids)
    others = [replace(node, id=node_ids[node.id]) for node in nodes]
    ties = [replace(edge, id=edge_ids[edge.id], one=node_ids[edge.other], other=node_ids[edge.one]) for edge in edges]
    dice.shuffle(others)
    dice.shuffle(ties)
    after = group(others, ties)
    assert [(node_ids[one.leader], {node_ids[pk] for pk in one.members}) for one in before.groups] == [
        (one.leader, one.members) for one in after.groups
    ]
    assert {edge_ids[pk]: verdict for pk, verdict in before.verdicts.items()} == after.verdicts


@examples(300)
@given(worlds())
def test_two_user_ids_are_one_person_only_by_a_persons_word(world: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = world
    by_hand = [edge for edge in edges if edge.how == "person" and not edge.refused]
    for one in group(nodes, edges).groups:
        users = {node.id for node in nodes if node.kind == USER and node.id in one.members}
        reached = spread(next(iter(users)), by_hand) if users else set()
        assert users <= reached


def spread(start: int, edges: Iterable[Edge]) -> set[int]:
    """Everything that the edges reach from `start`."""
    reached, grew = {start}, True
    while grew:
        more = {pk for edge in edges if {edge.one, edge.other} & reached for pk in (edge.one, edge.other)}
        grew = not more <= reached
        reached |= more
    return reached


@examples(300)
@given(worlds())
def test_groups_are_everybody_once_and_hang_together_by_followed_ties(world: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = world
    found = group(nodes, edges)
    assert found.verdicts.keys() == {edge.id for edge in edges}
    assert sorted(pk for one in found.groups for pk in one.members) == sorted(node.id for node in nodes)
    followed = [edge for edge in edges if found.verdicts[edge.id].followed]
    for one in found.groups:
        assert spread(one.leader, followed) == one.members
    # What joined is a tree: as many ties as there are members without the leader.
    joins = [edge for edge in followed if found.verdicts[edge.id].code == Code.JOINED]
    assert len(joins) == len(nodes) - len(found.groups)


@examples(200)
@given(worlds())
def test_ends_of_a_refused_tie_are_apart_unless_by_hand(world: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = world
    by_hand = [edge for edge in edges if edge.how == "person" and not edge.refused]
    groups = group(nodes, edges).groups
    for edge in edges:
        if edge.refused and edge.other not in spread(edge.one, by_hand):
            assert not any({edge.one, edge.other} <= one.members for one in groups)


@examples(200)
@given(worlds(), st.data())
def test_refusing_and_taking_it_back_leaves_no_trace(world: tuple[list[Node], list[Edge]], data: st.DataObject) -> None:
    nodes, edges = world
    if not edges:
        return
    chosen = data.draw(st.sampled_from(edges))
    before = group(nodes, edges)
    without = [replace(edge, refused=not edge.refused) if edge is chosen else edge for edge in edges]
    changed = group(nodes, without)
    assert changed.verdicts[chosen.id].followed is False or chosen.refused
    back = [replace(edge, refused=chosen.refused) if edge.id == chosen.id else edge for edge in without]
    assert meaning(group(nodes, back)) == meaning(before)


@examples(200)
@given(worlds())
def test_it_is_what_a_slow_and_plain_reading_of_the_rules_gives(world: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = world
    assert {one.members for one in group(nodes, edges).groups} == plainly(nodes, edges)


def plainly(nodes: list[Node], edges: list[Edge]) -> set[frozenset[int]]:
    """The rules once more, with sets alone and nothing clever."""
    known = {node.id: node for node in nodes}
    sets = {frozenset([node.id]) for node in nodes}
    refused = [{edge.one, edge.other} for edge in edges if edge.refused]

    def of(pk: int) -> frozenset[int]:
        return next(one for one in sets if pk in one)

    def join(edge: Edge) -> None:
        both = {of(edge.one), of(edge.other)}
        sets.difference_update(both)
        sets.add(frozenset().union(*both))

    ends = {edge.id: sorted((known[edge.one], known[edge.other]), key=lambda node: node.order) for edge in edges}
    in_time = sorted(
        edges, key=lambda edge: (edge.at, edge.message_id, [node.order for node in ends[edge.id]], edge.how)
    )
    for edge in in_time:
        if edge.how == "person" and not edge.refused:
            join(edge)
    evidence = [edge for edge in in_time if edge.how != "person"]
    with_user = {ends[edge.id][1].id for edge in evidence if ends[edge.id][0].kind == USER}
    shared = set()
    for node in nodes:
        for kind in ("user_id", "loyalty_id", "email", "phone"):
            beside = {
                ends[edge.id][0].id for edge in evidence if ends[edge.id][1] is node and ends[edge.id][0].kind == kind
            }
            beside -= with_user if kind != USER else set()
            machine = node.kind in ("device_id", "anonymous_id")
            limit = USERS_TO_SHARE.get(node.kind) if kind == USER else CONTACTS_TO_SHARE if machine else None
            if limit and len({of(pk) for pk in beside}) >= limit:
                shared.add(node.id)
    for edge in evidence:
        one, other = of(edge.one), of(edge.other)
        users = [any(known[pk].kind == USER for pk in side) for side in (one, other)]
        kept = any(pair & one and pair & other for pair in refused)
        if not (edge.refused or kept or {edge.one, edge.other} & shared or all(users)):
            join(edge)
    return sets


def test_ten_thousand_ties_of_one_person_take_a_moment() -> None:
    dice = random.Random(7)
    kinds = list(KINDS)[1:]
    nodes = [Node(pk, dice.choice(kinds) if pk else USER, f"v-{pk}", START) for pk in range(5000)]
    edges = [
        Edge(pk, dice.randrange(pk) if pk < 5000 else dice.randrange(5000), pk % 5000, "import", START, f"m-{pk}")
        for pk in range(1, 10_001)
    ]
    began = process_time()
    found = group(nodes, edges)
    # Far from the measured tenth of a second; what is quadratic takes a minute.
    assert process_time() - began < 5
    assert len(found.verdicts) == 10_000
