"""Groups are compared by who is selected, who of those with the outcome is reached, and what they see."""

import numpy as np
import pytest

from decisioning.learning.fairness import UNKNOWN, audit, grouped, selected

ROWS = 1000
RNG = np.random.default_rng(4)
OLD = RNG.random(ROWS) < 0.4
NAMES = np.where(OLD, "old", "young").tolist()
SCORES = RNG.random(ROWS) - 0.2 * OLD
Y = RNG.random(ROWS) < SCORES.clip(0.05, 0.9)
PEOPLE = np.arange(ROWS)


def test_impact_and_opportunity_are_what_they_are_by_hand() -> None:
    found = audit("age", NAMES, SCORES, Y, PEOPLE, np.random.default_rng(0), share=0.25)
    chosen = selected(SCORES, 0.25)
    rates = [chosen[OLD].mean(), chosen[~OLD].mean()]
    assert found.impact is not None and found.opportunity is not None
    assert found.impact.value == pytest.approx(rates[0] / rates[1])
    assert found.impact.low < found.impact.value < found.impact.high < 1
    assert found.opportunity.value == pytest.approx(chosen[~OLD & Y].mean() - chosen[OLD & Y].mean())
    assert [(group.name, group.rows) for group in found.groups] == [("old", OLD.sum()), ("young", (~OLD).sum())]


def test_contents_that_only_one_group_sees_show_in_the_exposure() -> None:
    contents = np.where(OLD, "loan", "trip").tolist()
    apart = audit("age", NAMES, SCORES, Y, PEOPLE, np.random.default_rng(0), contents)
    assert apart.groups[0].exposure == {"loan": 1.0}
    chosen = selected(SCORES, 0.2)
    assert apart.exposure_gap == pytest.approx((~OLD)[chosen].mean()), "who is farther from what everybody sees"
    alike = audit("age", NAMES, SCORES, Y, PEOPLE, np.random.default_rng(0), ["loan"] * ROWS)
    assert alike.exposure_gap == 0.0


def test_small_groups_are_named_and_not_judged() -> None:
    names = ["few"] * 40 + NAMES[40:]
    found = audit("age", names, SCORES, Y, PEOPLE, np.random.default_rng(0))
    assert found.left_out == ("few",)
    one = audit("age", ["same"] * ROWS, SCORES, Y, PEOPLE, np.random.default_rng(0))
    assert (one.impact, one.opportunity) == (None, None)


def test_a_customer_with_many_rows_counts_once() -> None:
    assert audit("age", NAMES, SCORES, Y, PEOPLE % 45, np.random.default_rng(0)).left_out == ("old", "young")


def test_numbers_become_fourths_and_nothing_a_group_of_its_own() -> None:
    assert grouped([1, 2, 3, 4, 5, None, float("nan")]) == [
        "up to 2", "up to 2", "up to 3", "up to 4", "over 4", UNKNOWN, UNKNOWN,
    ]  # fmt: skip
    assert grouped([True, False, "x"]) == ["True", "False", "x"]


def test_the_best_share_is_selected_and_equals_share_their_fate() -> None:
    assert selected(np.arange(10.0), 0.2).tolist() == [False] * 8 + [True] * 2
    assert selected(np.ones(10), 0.2).all()
    assert selected([1, 1, 1, 5], 0.2).tolist() == [False] * 3 + [True]
    assert not len(selected([], 0.2))
