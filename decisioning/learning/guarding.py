"""Decisions ranked by two scorers, and what came of them, come in; how much more the newer one brings comes out.

Placements differ in what comes of a decision, so the two are compared within each, and the differences are weighed by
how often the newer one decided there. A customer's decisions are no independent trials: the error of a share is that of
a ratio over customers (cluster-robust; Liang and Zeger 1986).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from decisioning.learning.evaluation import Estimate

SURE: Final = 1.96  # standard errors: 95 %
FEWEST: Final = 30  # outcomes that the former brought, and that the newer would have brought at the same rate


class Row(NamedTuple):
    """One customer in one placement: decisions by one of the two scorers, and how many of them had the outcome."""

    newer: bool
    placement: str
    decisions: int
    outcomes: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Decisions and outcomes of each, in placements where both decided; `gain` outcomes a decision, None untold."""

    newer: tuple[int, int] = (0, 0)
    former: tuple[int, int] = (0, 0)
    gain: Estimate | None = None

    @property
    def worse(self) -> bool:
        """Whether the newer one brings less, beyond chance."""
        return self.gain is not None and self.gain.high < 0

    @property
    def words(self) -> str:
        """For people."""
        if self.gain is None:
            return f"not enough data yet: both need about {FEWEST} outcomes in the same placements"
        said = "less than" if self.worse else "no less than"
        return f"a decision brings {said} with the former: {self.gain} outcomes by {self.newer[0]:,} decisions"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        known = {} if self.gain is None else {"gain": self.gain.value, "low": self.gain.low, "high": self.gain.high}
        sides = {"decisions": self.newer[0], "outcomes": self.newer[1]}
        before = {"decisions of the former": self.former[0], "outcomes of the former": self.former[1]}
        return {"verdict": self.words, **sides, **before, **known}


def compared(rows: Iterable[Row]) -> Compared:
    """The newer beside the former."""
    places: dict[str, dict[bool, list[tuple[int, int]]]] = {}
    for row in rows:
        sides = places.setdefault(row.placement, {True: [], False: []})
        sides[row.newer].append((row.decisions, row.outcomes))
    both = [sides for sides in places.values() if sides[True] and sides[False]]
    newer, former = (_summed(sides[side] for sides in both) for side in (True, False))
    found = [(_share(sides[True]), _share(sides[False]), sum(n for n, _ in sides[True])) for sides in both]
    expected = sum(theirs[0] * weight for _, theirs, weight in found)
    if min(former[1], expected) < FEWEST:
        return Compared(newer, former)
    weights = np.array([weight for *_, weight in found]) / newer[0]
    gain = float(sum(w * (ours[0] - theirs[0]) for w, (ours, theirs, _) in zip(weights, found, strict=True)))
    spread = sum(w**2 * (ours[1] + theirs[1]) for w, (ours, theirs, _) in zip(weights, found, strict=True))
    half = SURE * float(np.sqrt(spread))
    return Compared(newer, former, Estimate(gain, gain - half, gain + half))


def _summed(sides: Iterable[Sequence[tuple[int, int]]]) -> tuple[int, int]:
    pairs = [pair for side in sides for pair in side]
    return sum(n for n, _ in pairs), sum(hits for _, hits in pairs)


def _share(customers: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Outcomes a decision, and the variance of that; a side of one customer is as uncertain as can be."""
    n, hits = np.array(customers, np.float64).T
    rate = hits.sum() / n.sum()
    if len(n) < 2:
        return float(rate), 1.0
    left = ((hits - rate * n) ** 2).sum() / n.sum() ** 2 * len(n) / (len(n) - 1)
    return float(rate), float(left)
