"""Facts come in, of one customer or of all; the same numbers on a scale where distances mean something come out.

Three scales are searched, for facts of different shapes: `log` for money and counts (a few big values must not be
groups of their own), `standard` for facts that are even already, `quantile` for facts of any shape (ranks). `raw`
leaves values as they are: for facts of one unit, such as shares, and only when asked for.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, partial
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.features import LARGEST, Facts, number

Floats = npt.NDArray[np.float64]
One = Callable[[float], float]
Table = tuple[tuple[float, ...], tuple[float, ...]]

SCALINGS: Final = ("log", "standard", "quantile")
KINDS: Final = (*SCALINGS, "raw")
KNOTS: Final = 65  # of the table that turns a value into its quantile
DIGITS: Final = 9  # what is learned is rounded, so that no order of summation shows in the bytes
LONG_AGO: Final = ("recency", "days_since")  # facts whose absence means "never": filled with the longest


def signed_log(values: Floats) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values))


def signed_log_of(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def clipped_log(values: Floats) -> Floats:
    return np.log1p(np.maximum(values, 0.0))


def clipped_log_of(value: float) -> float:
    return math.log1p(max(value, 0.0))


def plain(values: Floats) -> Floats:
    return values


CURVES: Final[dict[str, tuple[Callable[[Floats], Floats], One]]] = {
    # for everybody's column, for one value; `log1p` is what artefacts of format 1 were made with
    "log": (signed_log, signed_log_of),
    "log1p": (clipped_log, clipped_log_of),
    "standard": (plain, float),
    "raw": (plain, float),
}


def between(knots: Sequence[float], heights: Sequence[float], value: float) -> float:
    """What `numpy.interp` gives, for one value."""
    right = bisect_right(knots, value)
    if right == 0:
        return heights[0]
    if right == len(knots):
        return heights[-1]
    left = right - 1
    slope = (heights[right] - heights[left]) / (knots[right] - knots[left])
    return slope * (value - knots[left]) + heights[left]


@dataclass(frozen=True)
class Scaler:
    """How facts become coordinates: a curve of `kind` for each, then standard deviations (`scale`) from `mean`.

    A missing value counts as `missing[i]`, in the fact's own unit. `tables` are knots and their quantiles (0 to 1),
    one pair a fact, for `quantile` alone.
    """

    facts: tuple[str, ...]
    kind: str
    missing: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    tables: tuple[Table, ...] = ()

    @classmethod
    def learned(cls, kind: str, facts: tuple[str, ...], raw: Floats) -> Self:
        """From (customers, facts) with NaN for what is missing. A fact that never differs counts for nothing."""
        if kind not in KINDS:
            raise ValueError(f"There is no scaling {kind!r}; take some of {', '.join(KINDS)}.")
        missing = tuple(filler(raw[:, i], name) for i, name in enumerate(facts))
        filled = np.where(np.isfinite(raw), raw, np.array(missing))
        tables = tuple(quantiles(column) for column in filled.T) if kind == "quantile" else ()
        rough = cls(facts, kind, missing, (), (), tables)
        moved = rough.moved(raw)
        mean, spread = (moved.mean(axis=0), moved.std(axis=0)) if kind != "raw" else (np.zeros(len(facts)),) * 2
        return cls(facts, kind, missing, floats(mean), floats(np.where(spread > 1e-9, spread, 1)), tables)

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Self:
        lists = {name: tuple(body[name]) for name in ("facts", "missing", "mean", "scale")}
        tables = tuple((tuple(knots), tuple(heights)) for knots, heights in body["tables"])
        return cls(kind=str(body["kind"]), tables=tables, **lists)

    def moved(self, raw: Floats) -> Floats:
        """Missing values filled and curves applied; not yet standardised."""
        filled = np.where(np.isfinite(raw), raw, np.array(self.missing))
        if self.kind == "quantile":
            columns = [np.interp(column, *table) for column, table in zip(filled.T, self.tables, strict=True)]
            return np.column_stack(columns)
        return CURVES[self.kind][0](filled)

    def scaled(self, raw: Floats) -> Floats:
        """(customers, facts) in standard deviations from the mean of those it was learned from."""
        return (self.moved(raw) - np.array(self.mean)) / np.array(self.scale)

    def scaled_frame(self, frame: pl.DataFrame) -> Floats:
        return self.scaled(raw_matrix(frame, self.facts))

    @cached_property
    def steps(self) -> tuple[tuple[str, One, float], ...]:
        """For each fact its name, its curve, and what a missing value becomes."""
        ones: list[One] = [partial(between, *table) for table in self.tables]
        curves = ones if self.kind == "quantile" else [CURVES[self.kind][1]] * len(self.facts)
        return tuple(
            (name, curve, curve(absent)) for name, curve, absent in zip(self.facts, curves, self.missing, strict=True)
        )

    def moved_one(self, facts: Facts) -> list[float]:
        """The same as `moved`, for one customer; whatever is no number is missing."""
        get = facts.get
        try:
            return [
                curve(value) if (value := get(name)) is not None and -LARGEST <= value <= LARGEST else absent
                for name, curve, absent in self.steps
            ]
        except TypeError:  # a text, a list: comparing it with a number fails
            known = {name: number(get(name)) for name in self.facts}
            return [absent if math.isnan(known[name]) else curve(known[name]) for name, curve, absent in self.steps]


def filler(column: Floats, name: str) -> float:
    """What a missing value counts as."""
    known = column[np.isfinite(column)]
    return float(known.max()) if len(known) and name.startswith(LONG_AGO) else 0.0


def quantiles(column: Floats) -> Table:
    """Different knots from the least to the most, with their mean rank: ties stand in the middle of their ranks."""
    ranks = np.linspace(0, 1, KNOTS)
    knots, place = np.unique(np.quantile(column, ranks), return_inverse=True)
    heights = np.bincount(place, weights=ranks) / np.bincount(place)
    return floats(knots), floats(heights)


def raw_matrix(frame: pl.DataFrame, facts: tuple[str, ...]) -> Floats:
    """(customers, facts) with NaN for what is missing or no number. Raises `ValueError` naming facts it lacks."""
    if absent := [name for name in facts if name not in frame.columns]:
        meant = ", ".join(name for one in absent for name in get_close_matches(one, frame.columns, 1))
        raise ValueError(
            f"The frame lacks the facts {', '.join(absent)} that clusters are made from."
            f"{f' Did you mean {meant}?' if meant else ''} Cluster on others; what was published just now is there"
            " after the next refresh of all, within the hour."
        )
    return np.column_stack([numbers_of(frame[name]) for name in facts])


def numbers_of(series: pl.Series) -> Floats:
    """A column as float64, NaN for what is missing, no number, or beyond all measure."""
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        return np.full(len(series), np.nan)
    values = series.cast(pl.Float64).to_numpy()
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def floats(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), DIGITS) for value in values)
