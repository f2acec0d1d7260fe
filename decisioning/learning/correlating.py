"""A matrix of numbers with gaps comes in; how each two of its columns move together comes out."""

from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
FEWEST: Final = 30  # rows in which both are known; of fewer nothing is said
TINY: Final = 1e-12


def pairwise(matrix: Values, fewest: int = FEWEST) -> Values:
    """Pearson's r of each two columns, from the rows in which both are known (not NaN).

    (rows, columns) comes in, (columns, columns) goes out; NaN where fewer than `fewest` rows have both, or where one
    of the two does not vary in them. Sums are of standardised values, so that large numbers cost no digits.
    """
    known = np.isfinite(matrix)
    filled = np.where(known, _standardised(matrix, known), 0.0)
    held = known.astype(np.float64)
    rows = held.T @ held
    sums, squares = filled.T @ held, (filled**2).T @ held
    count = np.maximum(rows, 1.0)
    covariance = filled.T @ filled - sums * sums.T / count
    spread = np.maximum(squares - sums**2 / count, 0.0)
    below = np.sqrt(spread * spread.T)
    told = (rows >= fewest) & (below > TINY * count)
    return np.where(told, np.clip(covariance / np.where(told, below, 1.0), -1.0, 1.0), np.nan)


def _standardised(matrix: Values, known: npt.NDArray[np.bool_]) -> Values:
    count = np.maximum(known.sum(axis=0), 1)
    plain = np.where(known, matrix, 0.0)
    mean = plain.sum(axis=0) / count
    away = np.where(known, plain - mean, 0.0)
    scale = np.sqrt((away**2).sum(axis=0) / count)
    return np.asarray(away / np.where(scale > 0, scale, 1.0), np.float64)
