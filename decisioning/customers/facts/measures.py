"""A column or one value comes in; the amount, age or hour that facts are made of comes out: each in its two shapes.

Sums are taken over whole numbers, so that neither the order of events nor how many customers are computed together
can show in the last digit. `DIGITS` after the point is what facts keep.
"""

import math
from collections.abc import Sequence
from typing import Final

import polars as pl

DAY: Final = 86_400_000_000  # microseconds
HOUR: Final = 3_600_000_000
YEAR: Final = 365
WINDOWS: Final = (7, 30, 90, YEAR)  # days
LARGEST: Final = 1e9  # an amount beyond it is a mistake and counts as missing
UNITS: Final = 10_000  # of an amount: hundredths of a cent
DIGITS: Final = 6
WAVE: Final = 1_000_000_000  # sines are summed in whole billionths
MINUTES, WEEKDAYS, SEASON = 1440, 7, 366


def rounded(value: float) -> float:
    """One fact's value as Polars' `round(DIGITS)` makes it."""
    return round(value * 1e6) / 1e6


def within(days: int) -> pl.Expr:
    """True for rows of the last `days` days: now − days < at ≤ now."""
    return pl.col("age") < days * DAY


def within_hours(days: int) -> pl.Expr:
    """The same by the whole hour a row falls in: `hour_age` is how long ago that hour began."""
    return pl.col("hour_age") < days * DAY


# -- amounts, in whole `UNITS`


def believable(amount: pl.Expr) -> pl.Expr:
    return pl.when(amount.abs() <= LARGEST).then(amount)


def believed(amount: float | None) -> float | None:
    return amount if amount is not None and -LARGEST <= amount <= LARGEST else None


def units(amount: pl.Expr) -> pl.Expr:
    """Halves are rounded up; a missing amount is nothing."""
    return (believable(amount) * UNITS + 0.5).floor().fill_null(0).cast(pl.Int64)


def units_of(amount: float | None) -> int:
    known = believed(amount)
    return 0 if known is None else math.floor(known * UNITS + 0.5)


def cents(units: pl.Expr) -> pl.Expr:
    return (units + UNITS // 200) // (UNITS // 100)


def cents_of(units: int) -> int:
    return (units + UNITS // 200) // (UNITS // 100)


def money(units: pl.Expr) -> pl.Expr:
    """A sum of units as an amount in whole cents."""
    # Polars multiplies by 0.01 where Python divides by 100; rounding makes it the same number again.
    return (cents(units) / 100).round(2)


def money_of(units: int) -> float:
    return (units + UNITS // 200) // (UNITS // 100) / 100


# -- ages, in microseconds


def days(age: pl.Expr) -> pl.Expr:
    """Days with `DIGITS` after the point."""
    return ((age + DAY // 2_000_000) // (DAY // 1_000_000) / 1e6).round(DIGITS)


def days_of(age: int | None) -> float | None:
    return None if age is None else (age + DAY // 2_000_000) // (DAY // 1_000_000) / 1e6


def hours(age: pl.Expr) -> pl.Expr:
    """Hours with `DIGITS` after the point."""
    return ((age + HOUR // 2_000_000) // (HOUR // 1_000_000) / 1e6).round(DIGITS)


def hours_of(age: int | None) -> float | None:
    return None if age is None else (age + HOUR // 2_000_000) // (HOUR // 1_000_000) / 1e6


# -- quotients


def ratio_of(above: float, below: float) -> float | None:
    """A quotient as a fact; None below a positive number, so where there is nothing to divide by."""
    return round(above / below * 1e6) / 1e6 if below > 0 else None


def ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """The same for a column, before it is rounded with all others."""
    return pl.when(below > 0).then(above / below)


# -- points on a circle


def mean_wave(column: str, period: int, half: str, rows: pl.Expr) -> pl.Expr:
    """The mean sine or cosine of a column of whole numbers below `period`, over those rows."""
    angle = pl.col(column).filter(rows).cast(pl.Float64) * (2 * math.pi / period)
    wave = angle.sin() if half == "sin" else angle.cos()
    return ratio((wave * WAVE).round().cast(pl.Int64).sum(), rows.sum().cast(pl.Int64) * WAVE)


def mean_wave_of(values: Sequence[int], period: int, half: str) -> float | None:
    table = TABLES[period, half]
    return ratio_of(sum([table[value] for value in values]), len(values) * WAVE)


def _table(period: int, half: str) -> list[int]:
    wave = math.sin if half == "sin" else math.cos
    return [round(wave(step * (2 * math.pi / period)) * WAVE) for step in range(period)]


TABLES: Final = {
    (period, half): _table(period, half) for period in (MINUTES, WEEKDAYS, SEASON) for half in ("sin", "cos")
}
