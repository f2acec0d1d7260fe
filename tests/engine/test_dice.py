"""The dice say the same for the same text, differ for different names, and have the distributions they claim."""

import numpy as np
import pytest
from scipy.stats import gumbel_r, kstest, norm, uniform

from decisioning.engine.counting import BLOCK, COUNTED, rewards
from decisioning.engine.dice import Dice

# Draws to count with, of more contents than are made at once; at mean 9 none of them is below 0.
MANY = rewards(range(BLOCK + 6), [(9.0, 1.0)] * (BLOCK + 6), [1.0] * (BLOCK + 6))
UNIFORM = 0.1519007090043566  # a replay years from now must throw this again


def test_the_same_text_gives_the_same_numbers_for_ever():
    dice = Dice("ann\x1frequest")
    assert dice("explore-1") == 0.6597175474582225
    assert dice.uniforms("x", 1).tolist() == [UNIFORM]
    assert dice.uniforms("x", 3).tolist() == Dice("ann\x1frequest").uniforms("x", 3).tolist()
    assert dice.uniforms("x", 5)[:3].tolist() == dice.uniforms("x", 3).tolist()
    assert not set(dice.uniforms("x", 99)) & set(dice.uniforms("y", 99))
    assert not set(dice.uniforms("x", 99)) & set(Dice("bob").uniforms("x", 99))


@pytest.mark.parametrize(
    ("drawn", "claimed"),
    [
        (Dice("a").uniforms("n", 50_000), uniform),
        (Dice("a").gumbels("n", 50_000), gumbel_r),
        (Dice("a").normals("n", 50_000), norm),
        (MANY.ravel() - 9.0, norm),
    ],
)
def test_many_have_the_distribution_they_claim(drawn: np.ndarray, claimed):
    assert np.isfinite(drawn).all()
    assert kstest(drawn, claimed.cdf).pvalue > 0.001


def test_the_draws_to_count_with_are_the_same_however_many_contents_compete():
    few = rewards(range(3), [(9.0, 1.0)] * 3, [1.0] * 3)
    assert MANY.shape == (COUNTED, BLOCK + 6)
    assert few.tolist() == MANY[:, :3].tolist()
    assert len({tuple(column) for column in MANY.T.tolist()}) == BLOCK + 6
