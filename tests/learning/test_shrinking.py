"""The weight of an expectation is found again in counts that were drawn with it."""

import numpy as np
import pytest

from decisioning.learning.shrinking import LEAST, MOST, shrunken, strength


@pytest.mark.parametrize("weight", [5.0, 40.0, 300.0])
def test_the_weight_that_rates_were_drawn_with_is_estimated(weight: float) -> None:
    dice = np.random.default_rng(7)
    groups = []
    for rate in dice.uniform(0.05, 0.4, 3000):
        trials = int(dice.integers(50, 400))
        own = dice.beta(weight * rate, weight * (1 - rate))
        groups.append((int(dice.binomial(trials, own)), trials, float(rate)))
    assert strength(groups) == pytest.approx(weight, rel=0.15)


def test_groups_that_differ_by_chance_alone_or_not_at_all_leave_the_expectation_all_its_weight() -> None:
    assert strength([(10, 100, 0.1), (20, 200, 0.1)]) == MOST
    assert strength([]) == strength([(1, 1, 0.5)]) == strength([(0, 50, 0.0)]) == MOST


def test_groups_that_are_all_or_nothing_speak_for_themselves() -> None:
    assert strength([(100, 100, 0.5), (0, 100, 0.5)]) == LEAST


def test_the_estimate_solves_the_moment_equation() -> None:
    groups = [(30, 100, 0.2), (8, 60, 0.2), (45, 150, 0.25)]
    density = 1 / (strength(groups) + 1)
    squares = sum((y - n * rate) ** 2 / (n * rate * (1 - rate)) for y, n, rate in groups)
    assert squares == pytest.approx(sum(1 + (n - 1) * density for _, n, _ in groups))


def test_a_rate_is_drawn_towards_what_is_expected() -> None:
    assert shrunken(5, 10, 0.1, 30.0) == pytest.approx(8 / 40)
