"""A scorer, rows and a feature come in; how the mean score moves with that feature comes out.

Partial dependence (Friedman, *Greedy function approximation*, 2001): every row is given the same value of the feature,
and the scores are averaged; once for each of some values. The band holds the middle eight tenths of the rows, so a
feature that works one way for some and the other way for others does not look flat (Goldstein et al. 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.family import Scorer
from decisioning.learning.features import Matrix

ROWS: Final = 1_000
VALUES: Final = 20
BAND: Final = (0.1, 0.9)


@dataclass(frozen=True, slots=True)
class Point:
    """The mean score with one value, and the band of the rows' scores; with `value` None it is missing."""

    value: float | str | None
    mean: float
    low: float
    high: float


def dependence(
    scorer: Scorer, X: Matrix, name: str, seed: int, most: int = ROWS, contents: Sequence[str] = ()
) -> list[Point]:
    """Points for the feature's values by rising value, levels in their order; missing comes last, where it occurs.

    Numbers are tried at up to `VALUES` of their quantiles; `contents` are the rows' keys, if known. Raises `ValueError`
    for a name that is no feature.
    """
    if name not in scorer.schema.names:
        raise ValueError(f"The scorer has no feature {name}; it has {', '.join(scorer.schema.names)}.")
    place = scorer.schema.names.index(name)
    column = scorer.schema.columns[place]
    drawn = np.random.default_rng(seed).permutation(len(X))[:most]
    rows, keys = X[drawn].copy(), [contents[row] for row in drawn.tolist()] if contents else []
    values: list[float] = [float(at) for at in range(len(column.levels))] if column.levels else _grid(X[:, place])
    if np.isnan(X[:, place]).any():
        values.append(np.nan)
    found = []
    for value in values:
        rows[:, place] = value
        found.append(_point(_said(value, column.levels), scorer.score(rows, scorer.schema.hash, keys)))
    return found


def _grid(column: npt.NDArray[np.float32]) -> list[float]:
    known = column[~np.isnan(column)]
    if not len(known):
        return []
    return [float(value) for value in np.unique(np.quantile(known, np.linspace(0, 1, VALUES), method="nearest"))]


def _said(value: float, levels: tuple[str, ...]) -> float | str | None:
    if np.isnan(value):
        return None
    return levels[int(value)] if levels else value


def _point(value: float | str | None, scores: npt.NDArray[np.float64]) -> Point:
    low, high = np.quantile(scores, BAND)
    return Point(value, float(scores.mean()), float(low), float(high))
