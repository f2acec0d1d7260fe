"""Rows that a scorer has not seen, its scores, and those of somebody else come in; figures with intervals come out.

A figure is told so that people know it (a lower log loss is better), and its gain so that more is always better.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning import gains
from decisioning.learning.evaluation import TINY, Estimate, auc_gain, auc_interval, calibration_error
from decisioning.learning.family import CHANCE, ORDER, UPLIFT, VALUE
from decisioning.learning.resampling import Floats, Ints, Sums, ratio

AUC, LOG_LOSS, CALIBRATION, SQUARED = "AUC", "log loss", "calibration error", "squared error"
NDCG, MRR = "nDCG@10", "MRR"
# What a scorer of each task must be better by.
DECIDING: Final = {CHANCE: (AUC, LOG_LOSS), ORDER: (NDCG,), VALUE: (SQUARED,), UPLIFT: ()}
BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows with outcomes; all arrays (rows,): `y` 0/1, a grade or money, the decision, the customer."""

    y: Floats
    decisions: Ints
    customers: Ints

    def __len__(self) -> int:
        return len(self.y)

    def only(self, rows: npt.NDArray[np.bool_]) -> "Seen":
        """Some of the rows."""
        return Seen(self.y[rows], self.decisions[rows], self.customers[rows])

    @property
    def fewer(self) -> int:
        """How many rows have the rarer of the two outcomes, something and nothing."""
        good = int((self.y > 0).sum())
        return min(good, len(self) - good)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a scorer, the same of whom it is compared with, and the gain (more is better; None: no such)."""

    metric: str
    value: Estimate
    baseline: float | None
    gain: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            **self.value.to_dict(),
            "baseline": self.baseline,
            "gain": self.gain.to_dict() if self.gain else None,
        }


def figures(seen: Seen, scores: Floats, others: Floats, task: str, rng: np.random.Generator) -> list[Figure]:
    """All that can be said of a scorer of this task on these rows, beside `others` scores of the same rows.

    Order is only told where slates hold more than one content and more than one outcome.
    """
    found: list[Figure] = []
    if task == CHANCE:
        found += [_auc(seen, scores, others, rng), _losses(LOG_LOSS, seen, *_logs(seen, scores, others), rng)]
        found.append(Figure(CALIBRATION, calibration(seen, scores, rng), _gap(seen, others), None))
    if task == VALUE:
        found.append(_losses(SQUARED, seen, (seen.y - scores) ** 2, (seen.y - others) ** 2, rng))
    # Of money the gain is the money itself: 2^log2(1 + y) − 1.
    graded = replace(seen, y=np.log2(1.0 + np.maximum(seen.y, 0.0))) if task == VALUE else seen
    return found + _orders(graded, scores, others, rng)


def _auc(seen: Seen, scores: Floats, others: Floats, rng: np.random.Generator) -> Figure:
    y = (seen.y > 0).astype(np.int8)
    theirs = auc_interval(y, others, seen.customers, rng).value
    value, gain = auc_interval(y, scores, seen.customers, rng), auc_gain(y, scores, others, seen.customers, rng)
    return Figure(AUC, value, theirs, gain)


def _logs(seen: Seen, scores: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Negative log likelihoods in nats, a row each."""
    sides = (np.clip(side, TINY, 1 - TINY) for side in (scores, others))
    ours, theirs = (-np.where(seen.y > 0, np.log(side), np.log1p(-side)) for side in sides)
    return ours, theirs


def _losses(metric: str, seen: Seen, ours: Floats, theirs: Floats, rng: np.random.Generator) -> Figure:
    """A mean of losses, less is better."""
    sums = Sums([ours, theirs, np.ones(len(seen))], seen.customers, rng)
    gain = sums.interval(lambda s: (s[:, 1] - s[:, 0]) / s[:, 2])
    return Figure(metric, sums.interval(ratio(0, 2)), float(theirs.mean()), gain)


def _orders(seen: Seen, scores: Floats, others: Floats, rng: np.random.Generator) -> list[Figure]:
    found = []
    for metric, measure in ((NDCG, gains.ndcg), (MRR, gains.mrr)):
        ours = measure(seen.y, scores, seen.decisions, seen.customers)
        theirs = measure(seen.y, others, seen.decisions, seen.customers)
        if len(ours):
            gain = gains.gain(ours, theirs, rng)
            found.append(Figure(metric, gains.mean(ours, rng), float(theirs.figures.mean()), gain))
    return found


def calibration(seen: Seen, scores: Floats, rng: np.random.Generator) -> Estimate:
    """Expected calibration error over ten bins of equal size, which stay as they are while customers are resampled."""
    bins = _bins(scores)
    columns = [np.where(bins == b, (seen.y > 0) - scores, 0.0) for b in range(BINS)]
    sums = Sums([*columns, np.ones(len(seen))], seen.customers, rng)
    return sums.interval(lambda s: np.abs(s[:, :BINS]).sum(axis=1) / s[:, BINS])


def _gap(seen: Seen, scores: Floats) -> float:
    return calibration_error((seen.y > 0).astype(np.int8), scores)


def calibration_by_chance(scores: Floats) -> float:
    """What the calibration error of perfect chances would come to on so few rows: E|N(0, σ)| = σ √(2/π) a bin."""
    bins, spread = _bins(scores), np.clip(scores, 0, 1) * (1 - np.clip(scores, 0, 1))
    deviations = np.sqrt(np.bincount(bins, spread, BINS))
    return float(np.sqrt(2 / np.pi) * deviations.sum() / max(len(scores), 1))


def _bins(scores: Floats) -> Ints:
    """Which of ten bins of equal size a row's score is in."""
    bins = np.empty(len(scores), np.int64)
    for number, part in enumerate(np.array_split(np.argsort(scores, kind="stable"), BINS)):
        bins[part] = number
    return bins
