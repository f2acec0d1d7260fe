"""The index finds exactly the rules a walk over every tree finds."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import RuleIndex, matches, nodes, parse
from rules.language import index as index_module
from rules.language.nodes import Condition, Named, leaves
from rules.language.terms import wanted_values
from tests.examples import examples
from tests.language.people import facts_for
from tests.language.strategies import NOW, everything


@examples(200)
@given(st.data(), st.lists(everything, min_size=1, max_size=8))
def test_it_finds_what_the_walk_finds(data: st.DataObject, conditions: list[Condition]) -> None:
    index = RuleIndex(enumerate(conditions))
    for _ in range(3):
        facts = data.draw(facts_for(conditions))
        for now in (NOW, NOW + timedelta(days=1)):
            walked = [key for key, condition in enumerate(conditions) if matches(condition, facts, now)]
            assert index.matching(facts, now) == walked
            assert index.first(facts, now) == (walked[0] if walked else None)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65])
def test_it_keeps_the_order_and_counts_at_the_borders_of_bytes_and_words(size: int) -> None:
    index = RuleIndex([(f"rule {place}", parse(f"x >= {place} OR y = {place}")) for place in range(size)])
    assert index.matching({"x": size}, NOW) == [f"rule {place}" for place in range(size)]
    assert index.matching({"y": size - 1}, NOW) == [f"rule {size - 1}"]
    assert index.matching({}, NOW) == []


def test_it_looks_only_among_the_rules_it_is_told_to() -> None:
    index = RuleIndex([("a", parse("x = 1")), ("b", parse("x = 1")), ("c", parse("x > 0"))])
    among = index.among({"b", "c"})
    assert index.matching({"x": 1}, NOW, among) == ["b", "c"]
    assert index.first({"x": 1}, NOW, among) == "b"
    assert index.mask({"x": 1}, NOW) == 0b111


def test_it_takes_any_hashable_key_and_no_rules_at_all() -> None:
    assert RuleIndex([]).matching({"x": 1}, NOW) == []
    assert RuleIndex([]).first({"x": 1}, NOW) is None
    assert RuleIndex([(("a", 1), parse("x = 1"))]).matching({"x": 1}, NOW) == [("a", 1)]


def test_it_works_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "BLOCK", 4)
    index = RuleIndex([(place, parse(f"x = {place % 3} OR y = {place}")) for place in range(10)])
    assert index.matching({"x": 1}, NOW) == [1, 4, 7]
    assert index.matching({"y": 9}, NOW) == [9]
    assert index.mask({"x": 0}, NOW) == sum(1 << place for place in (0, 3, 6, 9))


def test_it_counts_from_the_clock_it_is_given() -> None:
    index = RuleIndex([("fresh", parse("seen WITHIN LAST 2 DAYS")), ("today", parse("seen >= TODAY"))])
    seen = datetime(2026, 3, 28, 12, tzinfo=NOW.tzinfo)
    assert index.matching({"seen": seen}, NOW) == ["fresh"]
    assert index.matching({"seen": seen}, NOW - timedelta(hours=10)) == ["fresh", "today"]
    assert index.matching({"seen": seen}, NOW + timedelta(days=3)) == []


def test_it_keeps_a_condition_whole_that_would_have_too_many_terms() -> None:
    text = " AND ".join(f"(a{i} = 1 OR b{i} = 1 OR c{i} = 1)" for i in range(6))
    index = RuleIndex([("wide", parse(text))])
    facts = {f"b{i}": 1 for i in range(6)}
    assert index.matching(facts, NOW) == ["wide"]
    assert index.matching(facts | {"b5": 2}, NOW) == []


@examples(200)
@given(st.data(), st.lists(everything, min_size=1, max_size=4))
def test_a_misfit_is_a_fact_every_test_of_which_met_the_wrong_type(
    data: st.DataObject, conditions: list[Condition]
) -> None:
    facts = data.draw(facts_for(conditions))
    for name in RuleIndex(enumerate(conditions)).misfits(facts, NOW):
        for condition in conditions:
            for leaf in leaves(condition):
                if isinstance(leaf, nodes.Test) and isinstance(leaf.operand, Named) and leaf.operand.name == name:
                    wrong: dict[str, int] = {}
                    matches(leaf, facts, NOW, wrong)
                    compared = any(isinstance(value, Named) for value in wanted_values(leaf))
                    assert compared or leaf.operator == "IS MISSING" or sum(wrong.values()) == 1


def test_it_names_the_facts_of_a_wrong_type() -> None:
    index = RuleIndex(
        [("a", parse('age > 5 AND city = "x" AND seen < 2024-01-01')), ("b", parse("tags = 5 AND vip = TRUE"))]
    )
    assert index.misfits({"age": "5", "city": "y", "seen": "2024-01-01", "tags": [1], "vip": True}, NOW) == {"age"}
    assert index.misfits({"age": 5, "city": 5, "seen": 5, "tags": "5", "vip": 1}, NOW) == {
        "city",
        "seen",
        "tags",
        "vip",
    }
    assert index.misfits({}, NOW) == set()


def test_matches_counts_the_tests_that_met_a_wrong_type() -> None:
    wrong: dict[str, int] = {}
    assert matches(parse('age > 5 OR age = 3 OR city = "x"'), {"age": "5", "city": 1}, NOW, wrong) is False
    assert wrong == {"age": 2, "city": 1}
