"""Scores of any scale and what came of them in; the sigmoid that turns such scores into chances, out.

Platt, *Probabilistic outputs for support vector machines* (1999), with his targets, which keep a score that was always
right from becoming certain, fitted by Newton's method (Lin, Lin and Weng 2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STEPS: Final = 100
RIDGE: Final = 1e-12
CLOSE: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """chance = 1 / (1 + e^-(slope × (score − middle) / spread + shift))"""

    slope: float
    shift: float
    middle: float
    spread: float

    @classmethod
    def fitted(cls, scores: Floats, y: Floats, weights: Floats | None = None) -> Self:
        """The one of greatest likelihood; with equal scores it says the common rate. Raises ValueError without rows."""
        if not len(scores):
            raise ValueError("A sigmoid needs scores and what came of them.")
        share = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
        yes, no = float(share[y > 0].sum()), float(share[y <= 0].sum())
        wanted = np.where(y > 0, (yes + 1) / (yes + 2), 1 / (no + 2))
        middle, spread = float(scores.mean()), float(scores.std()) or 1.0
        x = np.column_stack([(scores - middle) / spread, np.ones(len(scores))])
        found = np.array([0.0, np.log((yes + 1) / (no + 1))])
        for _ in range(STEPS):
            chance = 1 / (1 + np.exp(-x @ found))
            slope = x.T @ (share * (wanted - chance))
            curve = (x * (share * chance * (1 - chance))[:, None]).T @ x + RIDGE * np.eye(2)
            step = np.linalg.solve(curve, slope)
            found = found + np.clip(step, -5.0, 5.0)
            if np.abs(step).max() < CLOSE:
                break
        # A score that orders the wrong way round says nothing; turning it would be learning from the test.
        return cls(max(float(found[0]), 0.0), float(found[1]), middle, spread)

    def chances(self, scores: Floats) -> Floats:
        """Chances between 0 and 1, in the order of the scores."""
        line = self.slope * (np.asarray(scores, np.float64) - self.middle) / self.spread + self.shift
        return 1 / (1 + np.exp(-np.clip(line, -35.0, 35.0)))

    def to_list(self) -> list[float]:
        """JSON-able."""
        return [self.slope, self.shift, self.middle, self.spread]

    @classmethod
    def from_list(cls, stored: Sequence[float]) -> Self:
        """Raises ValueError for anything but four numbers."""
        if len(stored) != 4:
            raise ValueError("a sigmoid has four numbers")
        return cls(*map(float, stored))
