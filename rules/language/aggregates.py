"""Comes in: the readings of a customer's events, one by one or as a frame. Goes out: each aggregate in its
two shapes.

This is the only list of aggregates. A state is plain JSON, so a profile can store it. Sums are kept in whole
millionths, so they do not depend on the order of events and 0.1 + 0.2 is 0.3; amounts beyond ±10^15 are not
counted. Of two readings at the same instant the later is the larger one: truth values before numbers before
texts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from rules.language.values import DAY

State = Any
Scalar = bool | float | str
MILLION = 1_000_000
LARGEST = 1e15


@dataclass(frozen=True, slots=True)
class Readings:
    """What a history reads from a frame of events, null wherever an event does not count."""

    micros: pl.Expr
    text: pl.Expr
    number: pl.Expr
    flag: pl.Expr


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate. `takes` says what it reads: any event, a number, or a scalar (text, number, truth
    value).

    `step(state, micros, value)` folds one reading into a state (None at the start) and `result(state, now)`
    is the fact's value (None: missing); `column(readings, now)` is the same fact for a whole group of events.
    """

    takes: str
    step: Callable[[State, int, Any], State]
    result: Callable[[State, int], Any]
    column: Callable[[Readings, int], pl.Expr]


def millionths(value: float) -> int:
    """A number in whole millionths, halves rounded up."""
    scaled = value * MILLION + 0.5
    return int(scaled // 1)


def rank(value: Scalar) -> tuple[int, Scalar]:
    """Orders values of any type."""
    return (0 if type(value) is bool else 1 if type(value) is float else 2), value


# -- COUNT


def _count(state: State, micros: int, value: Any) -> State:
    return (state or 0) + 1


def _counted(state: State, now: int) -> int:
    return state or 0


def _count_column(read: Readings, now: int) -> pl.Expr:
    return read.micros.count().cast(pl.Int64)


# -- SUM, AVG


def _add(state: State, micros: int, value: float) -> State:
    number, total = state or (0, 0)
    return [number + 1, total + millionths(value)]


def _sum(state: State, now: int) -> float:
    return float(state[1]) / MILLION if state else 0.0


def _average(state: State, now: int) -> float | None:
    return float(state[1]) / (MILLION * state[0]) if state else None


def _scaled(read: Readings) -> pl.Expr:
    """The sum in millionths."""
    return (read.number * MILLION + 0.5).floor().cast(pl.Int128).sum().cast(pl.Float64)


def _total(read: Readings) -> pl.Expr:
    # Polars divides by a literal by multiplying with 0.000001, which would not be Python's quotient.
    million = read.number.count() * 0.0 + MILLION
    return _scaled(read) / million


def _sum_column(read: Readings, now: int) -> pl.Expr:
    return _total(read).fill_null(0.0)


def _average_column(read: Readings, now: int) -> pl.Expr:
    number = read.number.count()
    return pl.when(number > 0).then(_scaled(read) / (number.cast(pl.Float64) * MILLION))


# -- MIN, MAX


def _least(state: State, micros: int, value: float) -> State:
    return value if state is None or value < state else state


def _most(state: State, micros: int, value: float) -> State:
    return value if state is None or value > state else state


def _kept(state: State, now: int) -> Any:
    return state


def _least_column(read: Readings, now: int) -> pl.Expr:
    return read.number.min()


def _most_column(read: Readings, now: int) -> pl.Expr:
    return read.number.max()


# -- FIRST, LAST


def _first(state: State, micros: int, value: Scalar) -> State:
    if state is None or (micros, rank(value)) < (state[0], rank(state[1])):
        return [micros, value]
    return state


def _last(state: State, micros: int, value: Scalar) -> State:
    if state is None or (micros, rank(value)) > (state[0], rank(state[1])):
        return [micros, value]
    return state


def _value(state: State, now: int) -> Scalar | None:
    return state[1] if state else None


def _first_column(read: Readings, now: int) -> pl.Expr:
    return _ordered(read, nulls_last=True).first()


def _last_column(read: Readings, now: int) -> pl.Expr:
    return _ordered(read, nulls_last=False).last()


def _ordered(read: Readings, nulls_last: bool) -> pl.Expr:
    """The values by their time and rank; a row that does not count has no time and stands at the far end."""
    text, number, flag = (pl.lit(order, dtype=pl.Int8) for order in (2, 1, 0))
    kind = pl.when(read.text.is_not_null()).then(text).when(read.number.is_not_null()).then(number).otherwise(flag)
    values = pl.struct(read.text.alias("text"), read.number.alias("number"), read.flag.alias("flag"))
    return values.sort_by([read.micros, kind, read.flag, read.number, read.text], nulls_last=nulls_last)


# -- DISTINCT


def _collect(state: State, micros: int, value: Scalar) -> State:
    known = state or []
    return known if any(type(one) is type(value) and one == value for one in known) else [*known, value]


def _collected(state: State, now: int) -> int:
    return len(state or [])


def _distinct_column(read: Readings, now: int) -> pl.Expr:
    kinds = [kind.drop_nulls().n_unique().cast(pl.Int64) for kind in (read.text, read.number, read.flag)]
    return pl.sum_horizontal(kinds)


# -- DAYS SINCE


def _latest(state: State, micros: int, value: Any) -> State:
    return micros if state is None or micros > state else state


def _days_since(state: State, now: int) -> int | None:
    return None if state is None else max(0, (now - state) // DAY)


def _days_since_column(read: Readings, now: int) -> pl.Expr:
    return ((now - read.micros.max()) // DAY).clip(lower_bound=0)


AGGREGATES: dict[str, Aggregate] = {
    "COUNT": Aggregate("any", _count, _counted, _count_column),
    "SUM": Aggregate("number", _add, _sum, _sum_column),
    "AVG": Aggregate("number", _add, _average, _average_column),
    "MIN": Aggregate("number", _least, _kept, _least_column),
    "MAX": Aggregate("number", _most, _kept, _most_column),
    "FIRST": Aggregate("scalar", _first, _value, _first_column),
    "LAST": Aggregate("scalar", _last, _value, _last_column),
    "DISTINCT": Aggregate("scalar", _collect, _collected, _distinct_column),
    "DAYS SINCE": Aggregate("any", _latest, _days_since, _days_since_column),
}
