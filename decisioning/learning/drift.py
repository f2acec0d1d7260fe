"""Numbers of then and of now come in; how far they moved, and whether scores still mean what they say, come out.

PSI (Siddiqi 2006) compares shares of bins, tenths of then and one more for what is missing; below 0.1 is steady, 0.25
and more has moved. KS is the greatest distance of the two distribution functions, with Smirnov's chance of one as great
among equal ones (Press et al., Numerical Recipes, 14.3.3). With many rows KS finds the slightest move, so that the
verdict stands on PSI and asks KS only whether the move could be chance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.drifting import DRIFTING, ENOUGH, REFIT, binned, inner_edges, psi
from decisioning.learning.evaluation import Estimate
from decisioning.learning.resampling import Floats, Ints, Sums, ratio

CHANCE: Final = 0.01
STEADY, MOVING, MOVED, UNTOLD = "steady", "moving", "moved", "unknown"
DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Move:
    """One feature, score or share of segments: `psi` ≥ 0, `ks` in [0, 1], `chance` that equals differ as much."""

    name: str
    psi: float
    ks: float
    chance: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def moved(name: str, then: npt.ArrayLike, now: npt.ArrayLike) -> Move:
    """A column of numbers, nan where missing; fewer than 200 rows on a side are "unknown"."""
    before, after = np.asarray(then, np.float64), np.asarray(now, np.float64)
    edges = inner_edges(before)
    index = psi(np.array(binned(before, edges)), np.array(binned(after, edges)))
    distance, chance = ks(before[np.isfinite(before)], after[np.isfinite(after)])
    return Move(name, index, distance, chance, verdict(index, chance, min(len(before), len(after))))


def verdict(index: float, chance: float, rows: int) -> str:
    """By PSI; a move of present values that may be chance, and is not large, is none."""
    if rows < ENOUGH:
        return UNTOLD
    if index >= REFIT:
        return MOVED
    return MOVING if index >= DRIFTING and chance < CHANCE else STEADY


def ks(then: Floats, now: Floats) -> tuple[float, float]:
    """The greatest distance of the two distribution functions, and the chance of one as great; (0, 1) of nothing."""
    if not len(then) or not len(now):
        return 0.0, 1.0
    every = np.sort(np.concatenate([then, now]))
    below = [np.searchsorted(np.sort(side), every, side="right") / len(side) for side in (then, now)]
    distance = float(np.abs(below[0] - below[1]).max())
    return distance, smirnov(distance, len(then) * len(now) / (len(then) + len(now)))


def smirnov(distance: float, effective: float) -> float:
    """Kolmogorov's series 2 Σ (−1)^(j−1) e^(−2 j² λ²) with Stephens' correction of λ."""
    root = math.sqrt(effective)
    scale = (root + 0.12 + 0.11 / root) * distance
    if scale < 0.2:
        return 1.0
    terms = ((-1) ** (j - 1) * math.exp(-2.0 * j * j * scale * scale) for j in range(1, 101))
    return min(1.0, max(0.0, 2.0 * sum(terms)))


def moved_columns(names: Sequence[str], then: npt.ArrayLike, now: npt.ArrayLike) -> list[Move]:
    """Every column of two matrices (rows, columns), those that moved most first."""
    before, after = np.asarray(then, np.float64), np.asarray(now, np.float64)
    found = [moved(name, before[:, place], after[:, place]) for place, name in enumerate(names)]
    return sorted(found, key=lambda move: (-move.psi, move.name))


def moved_shares(name: str, then: Mapping[str, int], now: Mapping[str, int]) -> Move:
    """Counts by name, such as customers by segment; a name that only one side knows counts 0 on the other.

    Names have no order: KS goes by the shares of then, the greatest first.
    """
    keys = sorted({*then, *now}, key=lambda key: (-then.get(key, 0), key))
    sides = [np.array([side.get(key, 0) for key in keys], np.float64) for side in (then, now)]
    totals = [max(side.sum(), 1.0) for side in sides]
    shares = [side / total for side, total in zip(sides, totals, strict=True)]
    index = psi(shares[0], shares[1]) if keys else 0.0
    distance = float(np.abs(np.cumsum(shares[0]) - np.cumsum(shares[1])).max()) if keys else 0.0
    chance = smirnov(distance, totals[0] * totals[1] / (totals[0] + totals[1]))
    return Move(name, index, distance, chance, verdict(index, chance, int(min(totals))))


@dataclass(frozen=True, slots=True)
class Period:
    """A span of `days` from `start` (microseconds since 1970, UTC): what came of it, and what the scores had said."""

    start: int
    rows: int
    rate: Estimate
    expected: float

    @property
    def holds(self) -> bool:
        """Whether the scores' mean lies within the interval of what came of it."""
        return self.rate.low <= self.expected <= self.rate.high


def calibration_over_time(
    at: Ints,
    y: npt.ArrayLike,
    scores: npt.ArrayLike,
    customers: Ints,
    rng: np.random.Generator,
    days: int = 7,
    fewest: int = ENOUGH,
) -> list[Period]:
    """Rate and mean score of each span, in order; spans of fewer rows than `fewest` are left out."""
    outcomes, chances = np.asarray(y, np.float64), np.asarray(scores, np.float64)
    span = at // (days * DAY_US)
    found = []
    for number in np.unique(span):
        mine = span == number
        rows = int(mine.sum())
        if rows >= fewest:
            sums = Sums([outcomes[mine], np.ones(rows)], customers[mine], rng)
            start = int(number) * days * DAY_US
            found.append(Period(start, rows, sums.interval(ratio(0, 1)), float(chances[mine].mean())))
    return found
