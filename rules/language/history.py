"""Comes in: the histories rules ask for, and events. Goes out: their values, folded one by one or over a
frame.

The value of a history is a fact whose name is its canonical text (`operand_text`). Both ways read the same
table of aggregates, and give the same values.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from rules.language import readings
from rules.language.aggregates import AGGREGATES, LARGEST, Readings, State
from rules.language.columns import ROW, VARIANT, Column
from rules.language.evaluate import holds
from rules.language.frames import expression, find
from rules.language.nodes import History, Named, Node, Test, histories, leaves
from rules.language.printer import operand_text
from rules.language.properties import property_columns
from rules.language.values import read_moment

CUSTOMER, MICROS = "\0customer", "\0micros"


def needs(nodes: Iterable[Node]) -> dict[str, History]:
    """Every history some conditions ask for, by the name of its fact."""
    return {operand_text(history): history for node in nodes for history in histories(node)}


def fold(history: History, state: State, event: Mapping[str, Any]) -> State:
    """The state (plain JSON; None at the start) after one more event, in whatever order events come.

    `event` has `name`, `timestamp` (datetime or ISO 8601 text) and `properties`; one that is unreadable, or
    does not count for this history, leaves the state as it was.
    """
    return readings.fold(history, state, event, holds)


def answer(history: History, state: State, now: int) -> Any:
    """The fact's value at `now` (microseconds since 1970 UTC), None when missing."""
    return readings.answer(history, state, now)


def prune(history: History, state: State, now: int) -> State:
    """The state without readings that have left the window for good; a profile calls it before storing."""
    if history.window is None or not state:
        return state
    return [kept for kept in state if kept[0] >= now - history.window.micros]


def columns(wanted: Mapping[str, History], events: pl.DataFrame, now: int, customers: pl.Series) -> pl.DataFrame:
    """One row per customer of `customers` (in that order, column `customer_id`) and one column per history.

    `events` has the columns `customer_id`, `name`, `timestamp` (a datetime or ISO 8601 text) and `properties`
    (JSON text or a struct).
    """
    table = pl.DataFrame({"customer_id": customers})
    for name in dict.fromkeys(history.event for history in wanted.values()):
        mine = {key: history for key, history in wanted.items() if history.event == name}
        grouped = _grouped(mine, _prepared(mine, events.filter(pl.col("name") == name)), now)
        table = table.join(grouped, left_on="customer_id", right_on=CUSTOMER, how="left", maintain_order="left")
    zeros = [pl.col(key).fill_null(0) for key, one in wanted.items() if one.aggregate in ("COUNT", "SUM", "DISTINCT")]
    return _settled(
        table.with_columns(zeros), [key for key, one in wanted.items() if one.aggregate in ("FIRST", "LAST")]
    )


def _prepared(wanted: Mapping[str, History], events: pl.DataFrame) -> pl.DataFrame:
    """The events of one name: who, when, and the properties that are asked for."""
    names = list(dict.fromkeys(name for history in wanted.values() for name in _property_names(history)))
    when = events["timestamp"]
    micros = (
        when.replace_strict(
            known := when.unique(),
            pl.Series([read_moment(one or "") for one in known], dtype=pl.Int64),
            return_dtype=pl.Int64,
        ).cast(pl.Int64)  # of no events at all Polars makes texts nevertheless
        if when.dtype == pl.String
        else when.cast(pl.Datetime("us", getattr(when.dtype, "time_zone", None))).to_physical()
    )
    found = [
        events["customer_id"].alias(CUSTOMER),
        micros.alias(MICROS),
        *property_columns(events["properties"], names),
    ]
    return pl.DataFrame(found).with_columns(pl.lit(True).alias(ROW)).filter(pl.col(MICROS).is_not_null())


def _property_names(history: History) -> list[str]:
    tests = [] if history.where is None else [leaf for leaf in leaves(history.where) if isinstance(leaf, Test)]
    named = [test.operand.name for test in tests if isinstance(test.operand, Named)]
    others = [value for test in tests for value in (test.value if isinstance(test.value, tuple) else (test.value,))]
    own = [] if history.attribute is None else [history.attribute]
    return own + named + [value.name for value in others if isinstance(value, Named)]


def _grouped(wanted: Mapping[str, History], events: pl.DataFrame, now: int) -> pl.DataFrame:
    read: list[pl.Expr] = []
    facts: list[pl.Expr] = []
    for index, (key, history) in enumerate(wanted.items()):
        names = [f"\0{index}{part}" for part in ("micros", "text", "number", "flag")]
        read += [expr.alias(name) for expr, name in zip(_reading(history, events, now), names, strict=True)]
        facts.append(AGGREGATES[history.aggregate].column(Readings(*map(pl.col, names)), now).alias(key))
    return events.select(pl.col(CUSTOMER), *read).group_by(CUSTOMER).agg(facts)


def _reading(history: History, events: pl.DataFrame, now: int) -> Sequence[pl.Expr]:
    """Time, text, number and truth value of each event, null where it does not count."""
    counts = pl.lit(True)
    if history.where is not None:
        counts = expression(history.where, events.schema, 0)
    if history.window is not None:
        counts &= pl.col(MICROS).is_between(now - history.window.micros, now)
    column = None if history.attribute is None else find(Named(history.attribute), events.schema)
    text, number, flag = _scalars(column)
    takes = AGGREGATES[history.aggregate].takes
    if takes == "any" and history.attribute is not None:
        counts &= pl.lit(False) if column is None else column.present
    elif takes == "number":
        counts &= number.is_between(-LARGEST, LARGEST).fill_null(False)
    elif takes == "scalar":
        counts &= text.is_not_null() | number.is_not_null() | flag.is_not_null()
    return [pl.when(counts).then(expr) for expr in (pl.col(MICROS), text, number, flag)]


def _scalars(column: Column | None) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    views = {} if column is None else {view.kind: view.expr for view in column.views}
    numbers = [views[kind].cast(pl.Float64) for kind in ("whole", "number") if kind in views]
    number = pl.coalesce(numbers) if numbers else pl.lit(None, dtype=pl.Float64)
    text = views.get("text", pl.lit(None, dtype=pl.String))
    return text, number, views.get("flag", pl.lit(None, dtype=pl.Boolean))


def _settled(table: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """FIRST and LAST as a column of one type where all customers' values have one, else as a variant."""
    for name in names:
        parts = table[name].struct.unnest()
        kinds = [kind for kind in parts.columns if parts[kind].null_count() < len(parts)]
        table = table.with_columns(parts[kinds[0]].alias(name) if len(kinds) == 1 else _as_variant(parts).alias(name))
    return table


def _as_variant(parts: pl.DataFrame) -> pl.Series:
    empty = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in VARIANT.items() if name not in parts.columns]
    return parts.with_columns(empty).select(list(VARIANT)).to_struct()
