"""A fall is told where it is there, and where it is not no oftener than promised."""

import numpy as np
import pytest

from decisioning.learning.guarding import FEWEST, Row, compared


def rows(newer: bool, rate: float, customers: int, rng: np.random.Generator, placement: str = "home") -> list[Row]:
    """Customers of one to six decisions each, some of whom always buy and some never."""
    habits = rng.beta(rate * 3, (1 - rate) * 3, customers)
    sizes = rng.integers(1, 7, customers)
    return [Row(newer, placement, int(n), int(rng.binomial(n, p))) for n, p in zip(sizes, habits, strict=True)]


def test_a_fall_is_seen_and_a_rise_is_none():
    rng = np.random.default_rng(1)
    fallen = compared([*rows(True, 0.1, 800, rng), *rows(False, 0.2, 800, rng)])
    risen = compared([*rows(True, 0.2, 800, rng), *rows(False, 0.1, 800, rng)])
    assert fallen.worse and fallen.gain.value == pytest.approx(-0.1, abs=0.04)
    assert not risen.worse and risen.gain.low > 0


def test_equals_are_called_worse_no_oftener_than_one_in_forty():
    rng = np.random.default_rng(2)
    called = [compared([*rows(True, 0.2, 300, rng), *rows(False, 0.2, 300, rng)]).worse for _ in range(400)]
    assert np.mean(called) < 0.05


def test_another_mix_of_placements_is_no_fall():
    """Within each placement nothing changed; the newer only decides more often where little is bought."""
    rng = np.random.default_rng(3)
    found = compared(
        [
            *rows(True, 0.05, 900, rng, "foot"),
            *rows(True, 0.4, 100, rng, "head"),
            *rows(False, 0.05, 100, rng, "foot"),
            *rows(False, 0.4, 900, rng, "head"),
        ]
    )
    assert not found.worse
    plain = found.newer[1] / found.newer[0] - found.former[1] / found.former[0]
    assert plain < -0.2 < found.gain.value


@pytest.mark.parametrize(
    "some",
    [
        [],
        [Row(True, "home", 900, 0)],
        [Row(True, "home", 900, 0), Row(False, "elsewhere", 900, 90)],
        [Row(True, "home", 900, 0), Row(False, "home", 900, FEWEST - 1)],
        [Row(True, "home", 50, 0), Row(False, "home", 900, 90)],
    ],
)
def test_little_data_tells_nothing(some):
    found = compared(some)
    assert found.gain is None and not found.worse
    assert "not enough data" in found.to_dict()["verdict"]
