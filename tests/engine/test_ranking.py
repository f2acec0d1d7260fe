"""Slots are filled with true propensities: what is claimed is what happens."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.engine.dice import Dice
from decisioning.engine.policies import GREEDY
from decisioning.engine.ranking import EXPLORED, NEW, Field, Pick, order, pick

KEYS = ["a", "b", "c", "d"]
SCORES = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}


def first(number: int, **more: object) -> Pick:
    """The first slot, with the dice of one request."""
    field = Field(SCORES, Dice(f"request {number}"), **{"exploration": 0.4, **more})
    return pick(KEYS, frozenset(), {}, 1, field)[0][0]


def test_propensities_of_a_slot_sum_to_one_and_are_those_of_epsilon_greedy():
    assert first(1).chances == pytest.approx({"a": 0.7, "b": 0.1, "c": 0.1, "d": 0.1})


def test_frequencies_agree_with_propensities_by_chi_square():
    draws = 15_000
    seen = Counter(first(number).key for number in range(draws))
    expected = first(1).chances
    chi = sum((seen[key] - draws * expected[key]) ** 2 / (draws * expected[key]) for key in KEYS)
    assert chi < 21.1  # the 0.9999 quantile of chi-square with 3 degrees of freedom; the dice are fixed


def test_new_contents_get_their_share_even_under_the_best_first():
    more = {"policy": GREEDY, "new": frozenset("cd"), "new_share": 0.3}
    assert first(1, **more).chances == pytest.approx({"a": 0.7, "b": 0.0, "c": 0.15, "d": 0.15})
    picks = [first(number, **more) for number in range(2000)]
    assert Counter(choice.key for choice in picks)["c"] == pytest.approx(300, abs=60)
    assert {choice.key for choice in picks if choice.notes == (NEW,)} == {"c", "d"}


def test_where_all_are_new_nobody_gets_a_share():
    assert first(1, policy=GREEDY, new=frozenset(KEYS), new_share=0.5).chances["a"] == 1.0


def test_exploration_stays_within_what_a_rule_shows():
    ranked = order(KEYS, {"a": 0.9, "c": 0.2}, frozenset({"b", "c"}))
    assert ranked[:2] == ["c", "b"]
    fields = [Field({"c": 0.2}, Dice(str(number)), exploration=1.0) for number in range(200)]
    picks = [pick(ranked, frozenset({"b", "c"}), {}, 1, field)[0][0] for field in fields]
    assert {choice.key for choice in picks} == {"b", "c"}
    assert all(choice.notes == (EXPLORED,) for choice in picks)


@given(
    st.permutations(KEYS),
    st.integers(1, 6),
    st.floats(0, 1),
    st.dictionaries(st.integers(1, 4), st.sampled_from(KEYS), max_size=2),
    st.text(max_size=5),
)
def test_slots_hold_distinct_contents_pins_and_sane_propensities(ranked, count, exploration, pins, unit):
    unique = {position: key for position, key in pins.items() if list(pins.values()).count(key) == 1}
    field = Field(dict.fromkeys(KEYS, 1.0), Dice(unit), exploration=exploration)
    picks, left = pick(ranked, frozenset(), unique, count, field)
    assert {choice.key for choice in picks} | left.keys() == set(KEYS)
    assert len({choice.key for choice in picks}) == len(picks)
    assert [choice.rank for choice in picks] == sorted(choice.rank for choice in picks)
    for choice in picks:
        assert 0 < choice.propensity <= 1 or exploration == 1
        assert sum(choice.chances.values()) == pytest.approx(1.0)
        if choice.rank in unique:
            assert choice.key == unique[choice.rank]
