"""Comes in: a formula with one customer's facts, or with a frame of everybody's. Goes out: its value, or its column.

Each sign stands once, with its two shapes. A missing operand, one that is no number, a division by zero and what is no
finite number give a missing value. Numbers are floats (IEEE 754, binary64) in both shapes, so the results are equal to
the last bit.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from rules.language.columns import Column
from rules.language.formulas import Calculation, Formula, Number
from rules.language.frames import Schema, find
from rules.language.lookup import fact_of
from rules.language.nodes import History, Named
from rules.language.printer import operand_text


@dataclass(frozen=True, slots=True)
class Sign:
    """What one sign does: `one` with two floats (None: missing), `column` with two columns of floats."""

    one: Callable[[float, float], float | None]
    column: Callable[[pl.Expr, pl.Expr], pl.Expr]


def _over(left: float, right: float) -> float | None:
    return left / right if right != 0 else None


def _over_column(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return left / pl.when(right != 0).then(right)


SIGNS: Final[dict[str, Sign]] = {
    "+": Sign(operator.add, operator.add),
    "-": Sign(operator.sub, operator.sub),
    "*": Sign(operator.mul, operator.mul),
    "/": Sign(_over, _over_column),
}


# -- one customer


def calculate(node: Calculation | Number, facts: Mapping[str, Any]) -> float | None:
    """The value for one customer; `facts` holds histories too, by their canonical texts."""
    return _calculated(node, facts)


def _calculated(node: Formula, facts: Mapping[str, Any]) -> float | None:
    if isinstance(node, Number):
        return float(node.value)
    if not isinstance(node, Calculation):
        return as_float(operand_of(node, facts))
    left, right = _calculated(node.left, facts), _calculated(node.right, facts)
    if left is None or right is None:
        return None
    value = SIGNS[node.sign].one(left, right)
    # No fact is -0.0: it prints as one number and sorts as another.
    return None if value is None or not math.isfinite(value) else value or 0.0


def operand_of(node: Named | History, facts: Mapping[str, Any]) -> Any:
    """What a fact or a history holds, None where it is missing."""
    return fact_of(node.name, facts) if isinstance(node, Named) else facts.get(operand_text(node))


def as_float(value: Any) -> float | None:
    """A finite number as a float; None for anything else."""
    if type(value) is not float and type(value) is not int:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


# -- everybody


def calculated_column(node: Calculation | Number, schema: Schema) -> pl.Expr:
    """The same for a frame with one column a fact; a column that is not there is missing for all."""
    return _column(node, schema)


def _column(node: Formula, schema: Schema) -> pl.Expr:
    if isinstance(node, Number):
        # One number for all rows, a literal or `pl.repeat`, is divided by as by its reciprocal, which is not Python's
        # quotient: each row gets its own.
        return pl.int_range(pl.len()).cast(pl.Float64) * 0.0 + float(node.value)
    if not isinstance(node, Calculation):
        return float_column(find(node, schema))
    value = SIGNS[node.sign].column(_column(node.left, schema), _column(node.right, schema))
    return pl.when(value == 0).then(pl.lit(0.0)).otherwise(_finite(value))


def float_column(column: Column | None) -> pl.Expr:
    """The numbers of a column as floats, null for what is none."""
    found = [] if column is None else [view.expr for view in column.views if view.kind in ("whole", "number")]
    if not found:
        return pl.repeat(None, pl.len(), dtype=pl.Float64)
    return _finite(pl.coalesce([expr.cast(pl.Float64) for expr in found]))


def _finite(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_finite()).then(value)
