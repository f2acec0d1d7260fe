"""Columns of numbers and whose they are come in; figures made of their sums, with 95 % intervals, come out.

Whole customers (or slates) are drawn with replacement, because the rows of one are alike. The intervals are
bias-corrected and accelerated (BCa; Efron 1987, JASA 82): a plain percentile interval of rare clicks misses too often
on one side. Everything that is a function of sums needs the rows once only, however often one draws.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.evaluation import Estimate

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Figure = Callable[[Floats], Floats]
DRAWS: Final = 1000
LOW, HIGH = 0.025, 0.975
NORMAL: Final = NormalDist()
AT_ONCE: Final = 4_000_000  # drawn numbers in memory


class Sums:
    """Sums of the columns by unit (customer), ready for any number of figures over the same draws.

    `units` names each row's unit by any number; there must be at least one row. Raises `ValueError` without one.
    """

    def __init__(
        self, columns: Sequence[npt.ArrayLike], units: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        _, place = np.unique(units, return_inverse=True)
        if not len(place):
            raise ValueError("There are no rows to judge by; choose a longer span of time.")
        number = int(place.max()) + 1
        summed = [np.bincount(place, np.asarray(column, np.float64), number) for column in columns]
        self.each: Floats = np.asarray(np.stack(summed, axis=1), np.float64)
        self.total = self.each.sum(axis=0)
        self.drawn = drawn(self.each, rng)

    def __len__(self) -> int:
        return len(self.each)

    def interval(self, figure: Figure) -> Estimate:
        """The figure of all, and its interval; `figure` maps sums (n, columns) to n values."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(figure(self.total[None, :])[0])
            draws = figure(self.drawn)
            left_out = figure(self.total - self.each)
        return Estimate(value, *ends(value, draws[np.isfinite(draws)], left_out[np.isfinite(left_out)]))


def drawn(each: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Floats:
    """(draws, columns) sums over as many units as there are, drawn with replacement."""
    number, found = len(each), np.empty((draws, each.shape[1]))
    some = max(1, AT_ONCE // number)
    for start in range(0, draws, some):
        size = min(some, draws - start)
        chosen = rng.integers(0, number, (size, number))
        flat = np.bincount((chosen + number * np.arange(size)[:, None]).ravel(), minlength=size * number)
        found[start : start + size] = flat.reshape(size, number) @ each
    return found


def ends(value: float, draws: Floats, left_out: Floats) -> tuple[float, float]:
    """Both ends of the BCa interval, from bootstrap draws and the figures with one unit left out each."""
    if not len(draws) or draws.min() == draws.max():
        return value, value
    below = (np.sum(draws < value) + np.sum(draws == value) / 2) / len(draws)
    bias = NORMAL.inv_cdf(min(max(below, 1 / len(draws)), 1 - 1 / len(draws)))
    away = left_out.mean() - left_out
    spread = float((away**2).sum())
    bent = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    return float(np.quantile(draws, moved(LOW, bias, bent))), float(np.quantile(draws, moved(HIGH, bias, bent)))


def moved(share: float, bias: float, bent: float) -> float:
    """The quantile of the draws that stands for a share, once bias and acceleration are taken out."""
    z = bias + NORMAL.inv_cdf(share)
    return NORMAL.cdf(bias + z / (1 - bent * z)) if bent * z < 1 else 1.0


def ratio(above: int, below: int) -> Figure:
    """The figure: one column's sum over another's."""
    return lambda sums: sums[:, above] / sums[:, below]
