"""Comes in: a condition, a frame with one column per fact, the clock. Goes out: a column of booleans, one per
customer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from rules.language import nodes
from rules.language.columns import ROW, Column, View, by_row, by_value, column_of, either
from rules.language.comparing import Answer, AskPython
from rules.language.exact import COMPARE, between_columns
from rules.language.lookup import ALIASES, CUSTOMER_ID, draw, limit_of
from rules.language.operators import OPERATORS
from rules.language.printer import operand_text
from rules.language.properties import typed
from rules.language.values import plain, to_micros

Schema = Mapping[str, pl.DataType]


def matching_frame(node: nodes.Node, frame: pl.DataFrame, now: datetime) -> pl.Series:
    """Which rows of `frame` the condition holds for: a boolean Series without nulls, as long as the frame.

    Columns are named as facts are, a history's by its canonical text; a column that is not there is missing
    for all.
    """
    return matching_frames({"matches": node}, frame, now)["matches"]


def matching_frames(conditions: Mapping[str, nodes.Node], frame: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """One boolean column per key of `conditions`; tests they share are computed once."""
    clock, frame = to_micros(now), _typed(frame)
    columns = [expression(nodes.condition_of(node), frame.schema, clock).alias(key) for key, node in conditions.items()]
    return _rows(frame).select(columns)


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without columns of Python objects, of which Polars knows nothing."""
    objects = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
    return frame.with_columns(typed([plain(value) for value in frame[name]]).alias(name) for name in objects)


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with a column that is always there, so that a constant condition has the frame's height."""
    return frame.with_columns(pl.lit(True).alias(ROW))


def expression(condition: nodes.Condition, schema: Schema, now: int) -> pl.Expr:
    """The condition as an expression of true and false, never null."""
    if isinstance(condition, nodes.All):
        return pl.all_horizontal([expression(part, schema, now) for part in condition.parts])
    if isinstance(condition, nodes.Any):
        return pl.any_horizontal([expression(part, schema, now) for part in condition.parts])
    if isinstance(condition, nodes.Not):
        return ~expression(condition.part, schema, now)
    return _chance(condition, schema) if isinstance(condition, nodes.Chance) else _test(condition, schema, now)


def _always(answer: bool) -> pl.Expr:
    return pl.col(ROW) == pl.lit(answer)


def _test(test: nodes.Test, schema: Schema, now: int) -> pl.Expr:
    column = find(test.operand, schema)
    if test.operator == "IS MISSING":
        if column is None:
            return _always(not test.negated)
        return column.present if test.negated else ~column.present
    answer = None if column is None else _answer(test, column, schema, now)
    if answer is None:
        return _always(False)
    return (~answer if test.negated else answer).fill_null(False)


def find(operand: nodes.Operand, schema: Schema) -> Column | None:
    """The column a fact or history is in; under its other name, or inside a struct, where it is null."""
    if isinstance(operand, nodes.History):
        name = operand_text(operand)
        return _named(name, schema)
    column = _named(operand.name, schema)
    other = _elsewhere(operand.name, schema)
    if column is None or other is None:
        return other if column is None else column
    return either(column, other)


def _named(name: str, schema: Schema) -> Column | None:
    dtype = schema.get(name)
    return None if dtype is None or dtype == pl.Null else column_of(pl.col(name), dtype)


def _elsewhere(name: str, schema: Schema) -> Column | None:
    if name in ALIASES:
        return _named(ALIASES[name], schema)
    first, *steps = name.split(".")
    if not steps or first not in schema:
        return None
    expr, dtype = pl.col(first), schema[first]
    for step in steps:
        fields = {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}
        if step not in fields:
            return None
        expr, dtype = expr.struct.field(step), fields[step]  # type: ignore[assignment]
    return None if dtype == pl.Null else column_of(expr, dtype)


def _answer(test: nodes.Test, column: Column, schema: Schema, now: int) -> pl.Expr | None:
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    if any(isinstance(value, nodes.Named) for value in values):
        return _compared_with_facts(test, column, schema, now)
    lists = sum(view.kind == "list" for view in column.views)
    if test.operator == "IS EMPTY" and lists > 1:  # a list is empty when its texts, numbers and flags all are
        return by_row([column], lambda row: _one(test, row[0], test.value, now))
    try:
        return _merged([(view, _viewed(test, view, now)) for view in column.views])
    except AskPython:
        return by_row([column], lambda row: _one(test, row[0], test.value, now))


def _viewed(test: nodes.Test, view: View, now: int) -> pl.Expr | None:
    if view.kind == "other":
        raise AskPython
    return OPERATORS[test.operator].frame(view, test.value, now, test.ignoring_case)


def _one(test: nodes.Test, value: Any, wanted: Any, now: int) -> Answer:
    return OPERATORS[test.operator].one(value, wanted, now, test.ignoring_case)


def _merged(answers: list[tuple[View, pl.Expr | None]]) -> pl.Expr | None:
    """One answer from those of the views: a row has a value in one of them, but in all its list views at
    once.
    """
    lists = [answer for view, answer in answers if view.kind == "list" and answer is not None]
    others = [answer for view, answer in answers if view.kind != "list" and answer is not None]
    if lists:
        known = pl.any_horizontal(answer.is_not_null() for answer in lists)
        others.append(pl.when(known).then(pl.any_horizontal(answer.fill_null(False) for answer in lists)))
    if not others:
        return None
    return others[0] if len(others) == 1 else pl.coalesce(others)


def _compared_with_facts(test: nodes.Test, column: Column, schema: Schema, now: int) -> pl.Expr | None:
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    columns = [find(value, schema) for value in values if isinstance(value, nodes.Named)]
    found = [other for other in columns if other is not None]
    if len(found) == 1 and not isinstance(test.value, tuple):
        native = _native(test, column, found[0])
        if native is not None:
            return native
    return by_row([column, *columns], lambda row: _one(test, row[0], _filled(test, row[1:]), now))


def _native(test: nodes.Test, left: Column, right: Column) -> pl.Expr | None:
    """Two columns of one type each, compared by Polars."""
    if test.operator not in COMPARE or test.ignoring_case or len(left.views) + len(right.views) > 2:
        return None
    mine, other = left.views[0], right.views[0]
    if mine.kind in ("whole", "number") and other.kind in ("whole", "number"):
        return between_columns(test.operator, mine, other)
    same = mine.kind == other.kind and mine.kind in ("text", "moment")
    return COMPARE[test.operator](mine.expr, other.expr) if same else None


def _filled(test: nodes.Test, others: Sequence[Any]) -> Any:
    """The right side of the test with one row's values in the place of the facts it names."""
    rest = iter(others)
    if not isinstance(test.value, tuple):
        return next(rest)
    return tuple(next(rest) if isinstance(value, nodes.Named) else value for value in test.value)


def _chance(chance: nodes.Chance, schema: Schema) -> pl.Expr:
    column = find(nodes.Named(CUSTOMER_ID), schema)
    limit = limit_of(chance.percent)
    views = [] if column is None else [view for view in column.views if view.kind in ("text", "whole")]
    drawn = [by_value(view.expr, lambda one: draw(chance.name, str(one)) < limit) for view in views]
    return pl.coalesce(drawn).fill_null(False) if drawn else _always(False)
