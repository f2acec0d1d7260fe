"""Intervals of rates and of their difference, against published figures and against simulated truth."""

import numpy as np
import pytest

from decisioning.experiments.statistics import Group, difference, wilson


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe 1998, table II, method 10.
        (Group(70, 56), Group(80, 48), 0.0524, 0.3339),
        (Group(10, 9), Group(10, 3), 0.1705, 0.8090),
        (Group(10, 10), Group(10, 0), 0.6075, 1.0000),
        (Group(10, 0), Group(10, 0), -0.2775, 0.2775),
    ],
)
def test_the_interval_of_a_difference_is_the_published_one(
    first: Group, second: Group, low: float, high: float
) -> None:
    found = difference(first, second)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert found.tells == (low > 0)


def test_nobody_tells_nothing() -> None:
    assert wilson(Group(0, 0)) == (0.0, 1.0)
    found = difference(Group(0, 0), Group(100, 50))
    assert not found.tells and found.low >= -1.0 and found.high <= 1.0


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    dice = np.random.default_rng(11)
    held = 0
    for _ in range(2000):
        first, second = Group(300, int(dice.binomial(300, 0.06))), Group(4000, int(dice.binomial(4000, 0.04)))
        found = difference(first, second)
        held += found.low <= 0.02 <= found.high
    assert held / 2000 == pytest.approx(0.95, abs=0.02)
