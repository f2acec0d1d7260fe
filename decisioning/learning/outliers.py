"""A column of numbers comes in; the fences beyond which a value is an outlier, and the values held within, come out.

Two ways to draw them: from the quartiles (Tukey, *Exploratory Data Analysis*, 1977), which outliers hardly move, and
from mean and standard deviation (Z score), which they do: of n values none is further than (n − 1)/√n deviations away.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
IQR, Z = "iqr", "z"
METHODS: Final = (IQR, Z)
WIDTH: Final = 3.0
FEWEST: Final = 20  # values below this number have no telling shape


@dataclass(frozen=True, slots=True)
class Fence:
    """From `low` to `high`, both within; a value beyond is an outlier."""

    low: float
    high: float

    def outside(self, values: Values) -> npt.NDArray[np.bool_]:
        """Which values are outliers; what is missing (NaN) is none."""
        return (values < self.low) | (values > self.high)

    def clip(self, values: Values) -> Values:
        """The values held within; what is missing stays so."""
        return np.clip(values, self.low, self.high)

    def clip_one(self, value: float) -> float:
        """One value held within."""
        return self.low if value < self.low else min(value, self.high)


def fences(values: Values, method: str = IQR, width: float = WIDTH) -> Fence | None:
    """The fence of these numbers (NaN is skipped); None where they are too few, or all the same.

    "iqr": `width` interquartile ranges beyond the quartiles. Where half of the values or more are one value (counts
    that are mostly 0), the quartiles are those of the others, and the common value lies within all the same.
    "z": `width` standard deviations around the mean. Raises `ValueError` for another method or a width of 0 or less.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}; take one of {', '.join(METHODS)}.")
    if not width > 0:
        raise ValueError(f"The width is {width}; it must be more than 0, commonly 1.5 to 3.")
    known = values[np.isfinite(values)]
    if len(known) < FEWEST:
        return None
    return _by_quartiles(known, width) if method == IQR else _by_deviation(known, width)


def _by_quartiles(known: Values, width: float) -> Fence | None:
    lower, middle, upper = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
    if upper > lower:
        reach = width * (upper - lower)
        return Fence(lower - reach, upper + reach)
    others = known[known != middle]
    if len(others) < FEWEST:
        return None
    lower, upper = (float(q) for q in np.quantile(others, (0.25, 0.75)))
    reach = width * (upper - lower)
    return Fence(min(lower - reach, middle), max(upper + reach, middle)) if upper > lower else None


def _by_deviation(known: Values, width: float) -> Fence | None:
    mean, reach = float(known.mean()), width * float(known.std())
    return Fence(mean - reach, mean + reach) if reach > 0 else None
