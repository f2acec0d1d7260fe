"""One column of facts in; a picture of how its values lie, in a few numbers that can be stored, out."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.outliers import Fence

Values = npt.NDArray[np.float64]
BARS: Final = 24
WORDS: Final = 8
FEWEST: Final = 5
LONGEST: Final = 60
FAR: Final = 3
TAIL: Final = 0.01  # the picture ends here on both sides; what lies beyond is counted in its last bars


def shape_of(values: Values) -> dict[str, Any]:
    """Quantiles, mean, deviation, skewness and bars of a column of numbers (NaN is skipped); {} without any.

    `bars` are counts between `from` and `to`, which hold all but the outermost hundredth on each side.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return {}
    low, high = _ends(known)
    counts = np.histogram(np.clip(known, low, high), bins=_bins(known, low, high), range=(low, high))[0]
    quantiles = np.quantile(known, (0.25, 0.5, 0.75))
    return {
        "least": float(known.min()),
        "quarter": float(quantiles[0]),
        "median": float(quantiles[1]),
        "three quarters": float(quantiles[2]),
        "most": float(known.max()),
        "mean": float(known.mean()),
        "deviation": float(known.std()),
        "skewness": skewness(known),
        "from": low,
        "to": high,
        "bars": counts.tolist(),
    }


def skewness(known: Values) -> float:
    """The third standardised moment: 0 where both sides are alike, positive where few large values stand out."""
    away = known - known.mean()
    spread = float(np.sqrt((away**2).mean()))
    return float(((away / spread) ** 3).mean()) if spread > 0 else 0.0


def is_far(values: Values, fence: Fence) -> bool:
    """Whether the furthest outlier is out of all proportion: three fence's widths beyond, where no tail reaches."""
    known = values[np.isfinite(values)]
    width = fence.high - fence.low
    return bool(known.max() > fence.high + FAR * width or known.min() < fence.low - FAR * width)


def words_of(column: pl.Series) -> list[list[Any]]:
    """[value, times] of the commonest values of a column of texts, booleans or lists of texts.

    What fewer than `FEWEST` have is left out: it says little of a fact, and may say much of a person.
    """
    flat = column.explode() if column.dtype == pl.List else column
    texts = flat.drop_nulls().cast(pl.String)
    counts = texts.value_counts(sort=False, name="times").sort(["times", texts.name], descending=[True, False])
    return [[value[:LONGEST], times] for value, times in counts.head(WORDS).iter_rows() if times >= FEWEST]


def _ends(known: Values) -> tuple[float, float]:
    low, high = (float(end) for end in np.quantile(known, (TAIL, 1 - TAIL)))
    if high <= low:
        low, high = float(known.min()), float(known.max())
    return low, high if high > low else low + 1.0


def _bins(known: Values, low: float, high: float) -> int:
    """A bar a value for few whole numbers, so that no bar holds two of them and its neighbour one."""
    whole = bool((known == np.round(known)).all())
    return int(high - low) if whole and 1 <= high - low <= BARS else BARS
