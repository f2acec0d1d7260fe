"""Comes in: a frame's columns. Goes out: each one as typed views, so that an operator meets one type at a
time.

A column usually has one view. A `variant` (what an event's property or LAST(…) can be: text here, number
there) is a struct of the fields in `VARIANT`, of which at most one kind is filled in each row, and has a view
for each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from rules.language.values import plain

ROW = "\0row"  # a column that is always there, so that a constant condition has the frame's height
SAFE_DIGITS = 15  # before the point: what a float holds
DataType = pl.DataType | type[pl.DataType]
VARIANT: dict[str, DataType] = {
    "text": pl.String(),
    "whole": pl.Int128(),
    "number": pl.Float64(),
    "flag": pl.Boolean(),
    "texts": pl.List(pl.String()),
    "numbers": pl.List(pl.Float64()),
    "flags": pl.List(pl.Boolean()),
    "odd": pl.Boolean(),
}


@dataclass(frozen=True, slots=True)
class View:
    """One type of a column: kind is text, whole, number, flag, moment, list, odd or other; null where it has
    no such value.

    A list view also has the kind of its items; for an `odd` value no test is true; an `other` view is
    answered in Python, value by value.
    """

    kind: str
    expr: pl.Expr
    dtype: DataType
    item: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A fact for all customers: is it there, what are its views, and where Python finds its values.

    The value of a row is that of the first of `sources` that has one.
    """

    present: pl.Expr
    views: tuple[View, ...]
    sources: tuple[pl.Expr, ...]


def column_of(expr: pl.Expr, dtype: DataType) -> Column:
    """The views of one column."""
    if isinstance(dtype, pl.Struct) and [field.name for field in dtype.fields] == list(VARIANT):
        return _variant(expr)
    if isinstance(dtype, pl.Decimal):
        return _decimal(expr, dtype)
    view = _view(expr, dtype)
    return Column(view.expr.is_not_null(), (view,), (expr,))


def _decimal(expr: pl.Expr, dtype: pl.Decimal) -> Column:
    """Whole ones digit by digit, where a float could lose one."""
    number = expr.cast(pl.Float64)
    if dtype.precision is not None and dtype.precision - dtype.scale <= SAFE_DIGITS:
        return Column(expr.is_not_null(), (View("number", number, pl.Float64()),), (expr,))
    whole, is_whole = expr.cast(pl.Int128), expr == expr.floor()
    views = (
        View("whole", pl.when(is_whole).then(whole), pl.Int128()),
        View("number", pl.when(~is_whole).then(number), pl.Float64()),
    )
    return Column(expr.is_not_null(), views, (expr,))


def _variant(expr: pl.Expr) -> Column:
    odd = View("odd", expr.struct.field("odd"), pl.Boolean())
    named = [(name, dtype) for name, dtype in VARIANT.items() if name != "odd"]
    views = (*(_view(expr.struct.field(name), dtype) for name, dtype in named), odd)
    return Column(pl.any_horizontal(view.expr.is_not_null() for view in views), views, (expr,))


def _view(expr: pl.Expr, dtype: DataType) -> View:
    if dtype == pl.String:
        return View("text", expr, pl.String())
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return View("text", expr.cast(pl.String), pl.String())
    if dtype == pl.Boolean:
        return View("flag", expr, dtype)
    if dtype.is_integer():
        return View("whole", expr, dtype)
    if dtype.is_float() or dtype.is_decimal():
        return View("number", expr.cast(pl.Float64).fill_nan(None), pl.Float64())
    if dtype == pl.Datetime or dtype == pl.Date:
        return View("moment", expr.cast(_micros_dtype(dtype)).to_physical(), pl.Int64())
    if isinstance(dtype, pl.List | pl.Array):
        return _list_view(expr, dtype)
    return View("other", expr, dtype)


def _micros_dtype(dtype: DataType) -> pl.Datetime:
    return pl.Datetime("us", getattr(dtype, "time_zone", None))


def _list_view(expr: pl.Expr, dtype: pl.List | pl.Array) -> View:
    lists = expr.arr.to_list() if isinstance(dtype, pl.Array) else expr
    inner: Any = dtype.inner
    if inner.is_float() or inner.is_decimal():
        return View("list", lists.cast(pl.List(pl.Float64)), pl.Float64(), "number")
    if isinstance(inner, pl.Categorical | pl.Enum) or inner == pl.String:
        return View("list", lists.cast(pl.List(pl.String)), pl.String(), "text")
    kind = "flag" if inner == pl.Boolean else "whole" if inner.is_integer() else "none" if inner == pl.Null else ""
    return View("list", lists, inner, kind) if kind else View("other", expr, dtype)


def either(first: Column, second: Column) -> Column:
    """The first column where it is present, else the second."""
    views = tuple(View(v.kind, pl.when(~first.present).then(v.expr), v.dtype, v.item) for v in second.views)
    return Column(first.present | second.present, (*first.views, *views), first.sources + second.sources)


def by_value(expr: pl.Expr, answer: Callable[[Any], bool | None]) -> pl.Expr:
    """Asks Python once for each distinct value of a column; for what Polars has no equal word for."""

    def answers(values: pl.Series) -> pl.Series:
        known = values.unique()
        told = pl.Series([None if value is None else answer(value) for value in known], dtype=pl.Boolean)
        return values.replace_strict(known, told, default=None, return_dtype=pl.Boolean)

    return expr.map_batches(answers, return_dtype=pl.Boolean)


def by_row(columns: Sequence[Column | None], answer: Callable[[list[Any]], bool | None]) -> pl.Expr:
    """Asks Python for each row in which all columns have a value; for the rare types and mixes of them."""
    sources = [() if column is None else column.sources for column in columns]

    def row_answer(row: dict[str, Any]) -> bool | None:
        found = [[from_frame(row[f"{i}.{j}"]) for j, _ in enumerate(own)] for i, own in enumerate(sources)]
        values = [next((value for value in each if value is not None), None) for each in found]
        return None if None in values else answer(values)

    def answers(rows: pl.Series) -> pl.Series:
        return pl.Series([row_answer(row) for row in rows], dtype=pl.Boolean)

    named = [expr.alias(f"{i}.{j}") for i, own in enumerate(sources) for j, expr in enumerate(own)]
    return pl.struct(named).map_batches(answers, return_dtype=pl.Boolean)


def from_frame(value: Any) -> Any:
    """A frame's value as plain Python; a variant becomes the one value it holds."""
    if isinstance(value, pl.Series):
        return plain(value.to_list())
    if isinstance(value, dict) and list(value) == list(VARIANT):
        return variant_value(value)
    return plain(value)


def variant_value(fields: dict[str, Any]) -> Any:
    """The one value of a variant, or None."""
    lists = [fields[name] for name in ("texts", "numbers", "flags") if fields[name] is not None]
    if lists:
        return [item for part in lists for item in part]
    found = [fields[name] for name in ("text", "whole", "number", "flag") if fields[name] is not None]
    return found[0] if found else plain({}) if fields["odd"] else None
