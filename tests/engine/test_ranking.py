"""Slots are filled with true propensities: what is claimed is what happens."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.engine.ranking import order, pick

KEYS = ["a", "b", "c", "d"]


def claimed(exploration: float, count: int) -> dict[str, float]:
    """The propensity the policy states for each first choice, gathered over draws."""
    seen: dict[str, float] = {}
    dice = Random(3)
    for _ in range(2000):
        first = pick(KEYS, frozenset(), {}, count, exploration, lambda name: dice.random())[0]
        seen[first.key] = first.propensity
    return seen


def test_propensities_of_a_slot_sum_to_one():
    assert sum(claimed(0.4, 1).values()) == pytest.approx(1.0)


def test_frequencies_agree_with_propensities_by_chi_square():
    dice, draws = Random(11), 100_000
    seen = Counter(pick(KEYS, frozenset(), {}, 1, 0.4, lambda name: dice.random())[0].key for _ in range(draws))
    expected = claimed(0.4, 1)
    chi = sum((seen[key] - draws * expected[key]) ** 2 / (draws * expected[key]) for key in KEYS)
    assert chi < 21.1  # the 0.9999 quantile of chi-square with 3 degrees of freedom; the seed is fixed


def test_exploration_stays_within_what_a_rule_shows():
    dice = Random(5)
    ranked = order(KEYS, {"a": 0.9, "c": 0.2}, frozenset({"b", "c"}))
    assert ranked[:2] == ["c", "b"]
    first = {pick(ranked, frozenset({"b", "c"}), {}, 1, 1.0, lambda name: dice.random())[0].key for _ in range(200)}
    assert first == {"b", "c"}


@given(
    st.permutations(KEYS),
    st.integers(1, 6),
    st.floats(0, 1),
    st.dictionaries(st.integers(1, 4), st.sampled_from(KEYS), max_size=2),
    st.randoms(use_true_random=False),
)
def test_slots_hold_distinct_contents_pins_and_sane_propensities(ranked, count, exploration, pins, random):
    unique = {position: key for position, key in pins.items() if list(pins.values()).count(key) == 1}
    picks = pick(ranked, frozenset(), unique, count, exploration, lambda name: random.random())
    assert len({choice.key for choice in picks}) == len(picks)
    assert [choice.rank for choice in picks] == sorted(choice.rank for choice in picks)
    for choice in picks:
        assert 0 < choice.propensity <= 1 or exploration == 1
        if choice.rank in unique:
            assert choice.key == unique[choice.rank]
