"""What a scorer says of rows it has not seen, and what came of them, in; how far to trust it beside a constant, out.

A weight of 0 leaves the constant, 1 the scorer. A signal that later rows do not bear out beyond one standard error is
noise, and is not followed at all: that is how a scorer avoids losing to the best constant.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STEPS: Final = np.linspace(0.0, 1.0, 11)
CERTAIN: Final = 1e-6  # a chance is kept so far from 0 and 1, where the logit has no value


def logit(chances: npt.ArrayLike) -> Floats:
    """The logarithm of the odds, finite for every chance."""
    kept = np.clip(np.asarray(chances, np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(kept / (1 - kept)), np.float64)


def expit(odds: npt.ArrayLike) -> Floats:
    """The chance that has this logarithm of the odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(np.asarray(odds, np.float64), -35.0, 35.0))), np.float64)


def losses(y: npt.ArrayLike, chances: npt.ArrayLike) -> Floats:
    """Negative log likelihoods in nats, one a row."""
    kept = np.clip(np.asarray(chances, np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(-np.where(np.asarray(y) > 0, np.log(kept), np.log1p(-kept)), np.float64)


def blended(chances: npt.ArrayLike, constants: npt.ArrayLike, weight: float) -> Floats:
    """Chances between those of the scorer and the constants, in log-odds; exactly the constants at weight 0."""
    if weight == 0.0:
        return np.array(constants, np.float64)
    return expit(weight * logit(chances) + (1 - weight) * logit(constants))


def trusted(y: npt.ArrayLike, chances: npt.ArrayLike, constants: npt.ArrayLike, weights: Floats | None = None) -> float:
    """The weight of least log loss, in tenths; 0 unless it gains more over the constants than one standard error."""
    share = shares(len(np.asarray(y)), weights)
    tried = [losses(y, blended(chances, constants, float(weight))) for weight in STEPS]
    best = int(np.argmin([(share * loss).sum() for loss in tried]))
    return float(STEPS[best]) if surely(tried[0] - tried[best], share) else 0.0


def surely(gains: Floats, share: Floats) -> bool:
    """Whether the weighted mean of the gains is above 0 by more than its standard error; `share` sums to 1."""
    mean = float((share * gains).sum())
    error = float(np.sqrt((share**2 * (gains - mean) ** 2).sum()))
    return mean > error and mean > 0.0


def kept_slope(said: Floats, came: Floats, weights: Floats | None = None) -> float:
    """How much of differences that a scorer says to keep, between 0 and 1: the slope of what came on what was said.

    Drawn to 0 by the positive-part rule of James and Stein (1961): a slope of t standard errors keeps 1 − 1 / t², one
    of less than its own error nothing.
    """
    share = shares(len(said), weights)
    spread = float((share * said**2).sum())
    if spread <= 0.0:
        return 0.0
    slope = float((share * said * came).sum()) / spread
    error = float(np.sqrt((share**2 * said**2 * (came - slope * said) ** 2).sum())) / spread
    if slope <= error:
        return 0.0
    return min(slope * (1 - (error / slope) ** 2), 1.0)


def shares(rows: int, weights: Floats | None) -> Floats:
    """Weights that sum to 1; equal ones where none are given."""
    given = counted(rows, weights)
    return given / given.sum()


def counted(rows: int, weights: Floats | None) -> Floats:
    """The weights, or 1 for each row."""
    return np.ones(rows) if weights is None else np.asarray(weights, np.float64)
