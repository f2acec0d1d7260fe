"""Small counts and the rates expected of them in; how much weight those expectations deserve, out.

Empirical Bayes: the weight is estimated from how far the groups' own rates scatter beyond what chance alone explains.
"""

from collections.abc import Iterable
from typing import Final

# Showings: the expectation never weighs less, or a group of one would speak for itself, and never more.
LEAST: Final = 1.0
MOST: Final = 10_000.0


def strength(groups: Iterable[tuple[int, int, float]]) -> float:
    """The weight, in trials, of the expected rate of each group (successes, trials, expected rate in [0, 1]).

    Successes are beta-binomial with the mean n·μ and the overdispersion ρ = 1 / (weight + 1). As in Williams 1982
    (Applied Statistics 31, method II), ρ is where Pearson's X² = Σ (y − nμ)² / (nμ(1 − μ)) has the expectation
    Σ 1 + (n − 1)·ρ. Groups that scatter no more than by chance give the most, 10,000.
    """
    surprise, room = 0.0, 0
    for successes, trials, rate in groups:
        spread = trials * rate * (1.0 - rate)
        if spread > 0.0:
            surprise += (successes - trials * rate) ** 2 / spread - 1.0
            room += trials - 1
    if room <= 0 or surprise <= 0.0:
        return MOST
    return min(MOST, max(LEAST, room / surprise - 1.0))


def shrunken(successes: int, trials: int, rate: float, weight: float) -> float:
    """The posterior mean of a rate: (successes + weight · expected rate) / (trials + weight)."""
    return (successes + weight * rate) / (trials + weight)
