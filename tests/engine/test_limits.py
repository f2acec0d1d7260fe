"""Each limit is held exactly, names what is over it and the cure, and lets a site over it be mended step by step."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.engine import limits
from decisioning.engine.resolver import resolve
from decisioning.engine.types import ContentItem, PlacementItem, RuleItem, SegmentItem, SnapshotData
from tests.examples import examples

from .builders import NOW, ask, content, placement, prepared, rule

STOP = "IF a = 1 THEN STOP"


def actions(many: int) -> RuleItem:
    half = ", ".join(['HIDE "apple"'] * (many // 2))
    rest = ", ".join(['HIDE "apple"'] * (many - many // 2))
    return rule("long", f"IF age > 5 THEN {half} ELSE {rest}")


def slots(many: int) -> tuple[PlacementItem, ...]:
    return tuple(placement(key=f"p{n}") for n in range(many))


def contents(many: int) -> tuple[ContentItem, ...]:
    return tuple(content(f"c{n:04}") for n in range(many))


# The field of a snapshot that is filled, what fills it with so many, whose limit it is, and its figure.
CASES: dict[str, tuple[str, Callable[[int], Any], str, int]] = {
    "placements": ("placements", slots, "The site", limits.PLACEMENTS),
    "segments": ("segments", lambda n: (SegmentItem("s", "S"),) * n, "The site", limits.SEGMENTS),
    "rules": ("rules", lambda n: (rule("r", STOP),) * n, "Placement hero", limits.RULES_PER_PLACEMENT),
    "contents": ("contents", contents, "Placement hero", limits.CONTENTS_PER_PLACEMENT),
    "default contents": (
        "placements",
        lambda n: (placement(defaults=("d",) * n),),
        "Placement hero",
        limits.DEFAULTS_PER_PLACEMENT,
    ),
    "tags": ("contents", lambda n: (content("x", ("t",) * n),), "Content x", limits.TAGS_PER_CONTENT),
    "attributes": (
        "contents",
        lambda n: (content("x", attributes=dict.fromkeys(map(str, range(n)), 1)),),
        "Content x",
        limits.ATTRIBUTES_PER_CONTENT,
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_as_many_as_allowed_are_well_and_one_more_is_named_with_its_cure(what: str) -> None:
    field, make, whose, most = CASES[what]
    here = {"placements": (placement(),)}
    assert limits.sizes(SnapshotData(**{**here, field: make(most)})) == []
    (found,) = limits.sizes(SnapshotData(**{**here, field: make(most + 1)}))
    assert str(found) == f"{whose} has {most + 1:,} {what}; at most {most:,} are allowed: {found.cure}."
    assert found.cure


def test_a_rules_text_is_held_to_its_actions_and_tests() -> None:
    tests = " AND ".join(["a = 1"] * limits.TESTS_PER_RULE)
    assert limits.of_rule("long", actions(limits.STEPS_PER_RULE).text) == []
    assert limits.of_rule("r", f"IF {tests} THEN STOP") == []
    (many,) = limits.of_rule("long", actions(limits.STEPS_PER_RULE + 1).text)
    assert many == "Rule long has 51 actions; at most 50 are allowed: aim at TAGGED or WHERE instead."
    (deep,) = limits.of_rule("r", f"IF {tests} AND b = 1 THEN STOP")
    assert deep == "Rule r has 201 tests; at most 200 are allowed: make its condition a segment."
    assert limits.used_by_rule(STOP) == [limits.Use("actions", 1, 50), limits.Use("tests", 1, 200)]
    assert limits.used_by_rule("IF THEN") == []


def test_the_whole_is_judged_with_rules_that_cannot_be_read() -> None:
    data = SnapshotData(
        contents=(content("x", ("t",) * 101),), rules=(rule("broken", "IF THEN"), rule("half", "a = 1"))
    )
    tags, broken, half = limits.limits(data)
    assert tags.startswith("Content x has 101 tags")
    assert broken.startswith("Rule broken cannot be read")
    assert half.startswith("Rule half has no THEN")
    assert limits.limits(prepared().data) == []


def test_a_site_over_a_limit_may_shrink_and_change_elsewhere_but_not_grow() -> None:
    before, same, less, more = (
        limits.sizes(SnapshotData(contents=(content("x", ("t",) * n),))) for n in (105, 105, 103, 106)
    )
    assert limits.worse(before, same) == limits.worse(before, less) == []
    assert limits.worse(before, more) == [more[0]]


def test_at_the_limit_every_content_is_scored_once_and_only_the_slots_are_filled() -> None:
    many = contents(limits.CONTENTS_PER_PLACEMENT)
    rates = {each.key: n / len(many) for n, each in enumerate(many)}
    found = resolve(prepared(contents=many, priors=rates), ask(), NOW)
    assert len(found.scores) == limits.CONTENTS_PER_PLACEMENT
    assert [item.content.key for item in found.items] == ["c1999", "c1998"]


@examples(50)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=3), max_size=12))
def test_rules_are_counted_once_for_all_placements(many: list[list[str]]) -> None:
    # An iterator is walked once, however many placements are asked about.
    crowd = limits.Crowd(iter(many))
    for one in "abcd":
        expected = sum(1 for places in many if not places or one in places)
        assert limits.rules_at(one, crowd).number == crowd.at(one) == expected
