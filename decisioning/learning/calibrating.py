"""Chances for rows that a scorer has not seen, and what came of them, in; the curve that makes them true, out.

Two curves are tried: a sigmoid (Platt 1999) and an isotonic one (Zadrozny and Elkan 2002); Niculescu-Mizil and Caruana
(2005) compare them for trees. They are learned from the earlier half of the rows and judged on the later half by log
loss; where neither gains more than a standard error over leaving the chances alone, they are left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.evaluation import calibration_error
from decisioning.learning.later import Later
from decisioning.learning.sigmoid import Sigmoid
from decisioning.learning.tempering import Floats, counted, logit, losses, surely

isotonic = Later("sklearn.isotonic")
FEWEST: Final = 100  # rows of the rarer outcome that a curve is learned from and judged by, each
DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Same:
    """Chances stay as they are."""

    kind: ClassVar[str] = "none"

    def chances(self, scores: Floats) -> Floats:
        return scores

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind}


@dataclass(frozen=True, slots=True)
class Platt:
    """A sigmoid over the log-odds."""

    sigmoid: Sigmoid
    kind: ClassVar[str] = "platt"

    @classmethod
    def fitted(cls, scores: Floats, y: Floats, weights: Floats | None = None) -> Self:
        return cls(Sigmoid.fitted(logit(scores), y, weights))

    def chances(self, scores: Floats) -> Floats:
        return self.sigmoid.chances(logit(scores))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "sigmoid": self.sigmoid.to_list()}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Straight lines between points (score, chance) that rise, so that different scores stay in their order.

    A point stands in the middle of each of the steps that pooling neighbours gives, with Laplace's two rows added to
    its step, so that no chance is 0 or 1.
    """

    scores: tuple[float, ...]
    rates: tuple[float, ...]
    kind: ClassVar[str] = "isotonic"

    @classmethod
    def fitted(cls, scores: Floats, y: Floats, weights: Floats | None = None) -> Self:
        share = counted(len(scores), weights)
        order = np.argsort(scores, kind="stable")
        x, hits, share = scores[order], (np.asarray(y) > 0).astype(np.float64)[order], share[order]
        # Rows of one score are one row of their mean.
        at = np.cumsum(np.r_[False, np.diff(x) > 0])
        total = np.bincount(at, share)
        steps = isotonic.isotonic_regression(np.bincount(at, share * hits) / total, sample_weight=total)
        step = np.cumsum(np.r_[False, np.diff(steps) > 0])[at]
        size = np.bincount(step, share)
        middle = np.bincount(step, share * x) / size
        rates = (np.bincount(step, share * hits) + 1.0) / (size + 2.0)
        return cls(_plain(middle), _plain(np.maximum.accumulate(rates)))

    def chances(self, scores: Floats) -> Floats:
        return np.asarray(np.interp(scores, self.scores, self.rates), np.float64)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "scores": list(self.scores), "rates": list(self.rates)}


Curve = Same | Platt | Isotonic


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The curve, and the expected calibration error on rows that it was not learned from, without and with it."""

    curve: Curve
    before: float
    after: float


def calibrated(scores: Floats, y: npt.ArrayLike, weights: Floats | None = None) -> Calibrated:
    """The curve for chances of rows in the order of time, all arrays (rows,).

    The one judged best is learned again from all rows. Nothing is changed where fewer than `FEWEST` rows of the rarer
    outcome stand on either side.
    """
    hits = (np.asarray(y) > 0).astype(np.float64)
    half = len(hits) // 2
    early, late = slice(None, half), slice(half, None)
    if min(_rarer(hits[early]), _rarer(hits[late])) < FEWEST:
        found = calibration_error(hits.astype(np.int8), scores) if len(hits) else 0.0
        return Calibrated(Same(), found, found)
    share = counted(len(hits), weights)
    before = losses(hits[late], scores[late])
    best: tuple[Floats, type[Platt] | type[Isotonic] | None, Curve] = (before, None, Same())
    for kind in (Platt, Isotonic):
        curve: Curve = kind.fitted(scores[early], hits[early], share[early])
        told = losses(hits[late], curve.chances(scores[late]))
        if surely(best[0] - told, share[late] / share[late].sum()):
            best = (told, kind, curve)
    truth = hits[late].astype(np.int8)
    errors = [calibration_error(truth, one.chances(scores[late])) for one in (Same(), best[2])]
    whole: Curve = best[1].fitted(scores, hits, share) if best[1] else Same()
    return Calibrated(whole, *errors)


def curve_from(stored: Mapping[str, Any]) -> Curve:
    """The curve that `to_dict` stored; raises `ValueError` for anything else."""
    kind = stored["kind"]
    if kind == Same.kind:
        return Same()
    if kind == Platt.kind:
        return Platt(Sigmoid.from_list(stored["sigmoid"]))
    scores, rates = tuple(map(float, stored["scores"])), tuple(map(float, stored["rates"]))
    if kind != Isotonic.kind or len(scores) != len(rates) or not scores or not (_rise(scores) and _rise(rates)):
        raise ValueError("this is no curve of chances")
    return Isotonic(scores, rates)


def _rise(values: Sequence[float]) -> bool:
    return all(first <= second for first, second in pairwise(values))


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(values.round(DIGITS).tolist())


def _rarer(hits: Floats) -> float:
    return float(min(hits.sum(), len(hits) - hits.sum()))
