"""Outcomes and scores come in; figures with intervals come out.

Intervals are percentile bootstraps (Efron and Tibshirani 1993) that resample customers, not rows, because the
rows of one customer are alike. The dice are an argument.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Outcomes = npt.NDArray[np.int8]
DRAWS: Final = 500
TINY: Final = 1e-15


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"

    def to_dict(self) -> dict[str, float]:
        """JSON-able."""
        return {"value": self.value, "low": self.low, "high": self.high}


class Ranking:
    """Scores sorted once, so that the AUC under any row weights takes one pass."""

    def __init__(self, y: Outcomes, scores: npt.ArrayLike) -> None:
        values = np.asarray(scores, np.float64)
        self.order = np.argsort(values, kind="stable")
        ranked = values[self.order]
        # Rows with equal scores form one step: they are neither above nor below each other.
        self.starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.array([], int)
        self.positive = np.asarray(y)[self.order] == 1

    def auc(self, weights: Floats | None = None) -> float:
        """P(score of a positive > score of a negative) + half the ties; 0.5 when a class has no weight."""
        if not len(self.order):
            return 0.5
        weight = np.ones(len(self.order)) if weights is None else weights[self.order]
        positive = np.add.reduceat(np.where(self.positive, weight, 0.0), self.starts)
        negative = np.add.reduceat(np.where(self.positive, 0.0, weight), self.starts)
        pairs = positive.sum() * negative.sum()
        if pairs == 0:
            return 0.5
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / pairs)


def auc(y: Outcomes, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve, ties counted half (Hanley and McNeil 1982)."""
    return Ranking(y, scores).auc()


def log_loss(y: Outcomes, scores: npt.ArrayLike) -> float:
    """Mean negative log likelihood in nats; scores are clipped to stay finite."""
    chance = np.clip(np.asarray(scores, np.float64), TINY, 1 - TINY)
    return float(-np.where(np.asarray(y) == 1, np.log(chance), np.log1p(-chance)).mean())


def calibration_error(y: Outcomes, scores: npt.ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: mean |rate − mean score| over bins of equal size (Naeini et al. 2015)."""
    values, outcomes = np.asarray(scores, np.float64), np.asarray(y, np.float64)
    parts = np.array_split(np.argsort(values, kind="stable"), bins)
    gaps = [len(part) * abs(outcomes[part].mean() - values[part].mean()) for part in parts if len(part)]
    return float(sum(gaps) / len(values))


def customer_weights(customers: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """How often each row is drawn when as many customers as there are are drawn with replacement."""
    _, rows = np.unique(customers, return_inverse=True)
    return times_drawn(rows, rng)


def times_drawn(rows: npt.NDArray[np.intp], rng: np.random.Generator) -> Floats:
    """The same for rows whose customers are numbered from 0 without gaps."""
    number = int(rows.max()) + 1 if len(rows) else 0
    return np.bincount(rng.integers(0, number, number), minlength=number)[rows].astype(np.float64)


def interval(
    value: float,
    figure: Callable[[Floats], float],
    customers: npt.NDArray[np.int64],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Estimate:
    """The estimate `value` with the middle 95 % of `figure(row weights)` over resampled customers."""
    _, rows = np.unique(customers, return_inverse=True)
    found = [figure(times_drawn(rows, rng)) for _ in range(draws)]
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def auc_interval(
    y: Outcomes, scores: npt.ArrayLike, customers: npt.NDArray[np.int64], rng: np.random.Generator
) -> Estimate:
    """AUC with its interval."""
    ranking = Ranking(y, scores)
    return interval(ranking.auc(), ranking.auc, customers, rng)


def auc_gain(
    y: Outcomes,
    scores: npt.ArrayLike,
    baseline: npt.ArrayLike,
    customers: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Estimate:
    """AUC of the scores minus AUC of the baseline, both on the same resampled customers."""
    ours, theirs = Ranking(y, scores), Ranking(y, baseline)

    def gain(weights: Floats) -> float:
        return ours.auc(weights) - theirs.auc(weights)

    return interval(ours.auc() - theirs.auc(), gain, customers, rng)


def rate_interval(y: Outcomes, customers: npt.NDArray[np.int64], rng: np.random.Generator) -> Estimate:
    """The share of positives with its interval."""
    outcomes = np.asarray(y, np.float64)

    def rate(weights: Floats) -> float:
        return float(np.average(outcomes, weights=weights))

    return interval(outcomes.mean(), rate, customers, rng)
