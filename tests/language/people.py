"""Comes in: nothing. Goes out: hypothesis strategies for customers, their events, and frames of customers.

A customer mostly has what the condition at hand asks about, in values of any type: many tests are true.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import strategies as st

from rules.language import nodes
from rules.language.values import Moment, Relative, Span
from tests.language.strategies import DATES, NAMES, NOW, NUMBERS, conditions, texts

json_values = st.one_of(
    texts,
    st.sampled_from([number for number in NUMBERS if abs(number) < 1e200]),
    st.booleans(),
    st.none(),
    st.lists(st.one_of(texts, st.integers(-5, 5), st.booleans(), st.none()), max_size=3),
    st.just({"id": 5}),
)
event_times = st.sampled_from((0, 1, 59, 60, 1439, 1440, 1441, 43200, 43201, -5, -2000, 999_999)).map(
    lambda minutes: NOW - timedelta(minutes=minutes)
)
keys = st.sampled_from(("price", "category", "a", "item", "shipping cost"))
events = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(("1", "2")),
        "name": st.sampled_from(("purchase", "purchase", "Order Completed", "sum", "view")),
        "timestamp": event_times,
        "properties": st.dictionaries(keys, json_values, max_size=3),
    }
)

# -- one customer: anything a caller might hand over

_times = st.sampled_from(
    [
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 3, 29, 1, 30),
        datetime(2026, 3, 27, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
        datetime(2024, 1, 1).date(),
    ]
)
_lists = st.lists(st.one_of(texts, st.sampled_from(NUMBERS), st.booleans(), st.none(), st.just([1])), max_size=3)
_odd = st.sampled_from(
    [
        float("nan"), float("inf"), float("-inf"), -0.0, Decimal("1.5"), Decimal("NaN"), {"y": 5},
        {"y": {"z": "a"}}, b"a", ("a", 1), frozenset({"a"}), {"deep": {}}, "\ud800", object(), 10**400,
        timedelta(1),
    ]
)  # fmt: skip
values = st.one_of(texts, texts, st.sampled_from(NUMBERS), st.booleans(), st.none(), _times, _lists, _odd)
_fact_names = st.sampled_from((*NAMES, "x", "x.y"))
customers = st.dictionaries(_fact_names, values, max_size=9)

# -- many customers: a frame with one type per column

_int64 = st.sampled_from([number for number in NUMBERS if isinstance(number, int) and -(2**63) <= number < 2**63])
_floats = st.sampled_from(
    [0.0, -0.0, 0.5, 1.0, 1.5, 2.0**53, 2.0**63, 1e300, float("nan"), float("inf"), float("-inf"), 0.1]
)
_small = st.sampled_from((0, 1, 5, 127))
_wide = st.sampled_from([number for number in NUMBERS if isinstance(number, int)])
_utc = _times.filter(lambda one: isinstance(one, datetime) and 1900 < one.year < 2100).map(
    lambda one: one.replace(tzinfo=None) if one.tzinfo is None else one.astimezone(UTC).replace(tzinfo=None)
)
COLUMNS: list[tuple[pl.DataType, st.SearchStrategy[Any]]] = [
    (pl.String(), texts),
    (pl.Int64(), _int64),
    (pl.UInt64(), st.sampled_from((0, 1, 5, 2**63, 2**64 - 1))),
    (pl.Int8(), _small),
    (pl.Int128(), _wide),
    (pl.Float64(), _floats),
    (pl.Float32(), st.sampled_from((0.5, 1.0, 1.5, float("nan")))),
    (pl.Boolean(), st.booleans()),
    (pl.Datetime("us"), _utc),
    (pl.Datetime("ms", "Europe/Berlin"), _utc),
    (pl.Datetime("us", "UTC"), _utc),
    (pl.Date(), _utc.map(lambda one: one.date())),
    (pl.List(pl.String()), st.lists(texts | st.none(), max_size=3)),
    (pl.List(pl.Int64()), st.lists(_int64, max_size=3)),
    (pl.List(pl.Float64()), st.lists(_floats, max_size=3)),
    (pl.List(pl.Boolean()), st.lists(st.booleans(), max_size=2)),
    (pl.Categorical(), texts),
    (pl.Decimal(10, 2), st.sampled_from((Decimal("1.50"), Decimal("5"), Decimal("0.10")))),
    (pl.Null(), st.none()),
    (pl.Duration("us"), st.just(timedelta(1))),
    (pl.Struct({"y": pl.Int64(), "z": pl.String()}), st.fixed_dictionaries({"y": _small, "z": texts})),
]  # fmt: skip


def wanted_kinds(condition: nodes.Node) -> dict[str, str]:
    """For each fact a condition names, a type its tests would fit."""
    found: dict[str, str] = {}
    for leaf in nodes.leaves(condition):
        operand = getattr(leaf, "operand", None)
        if isinstance(operand, nodes.Named):
            value = leaf.value[0] if isinstance(leaf.value, tuple) else leaf.value
            found[operand.name] = KINDS.get(type(value), "text")
            if isinstance(value, nodes.Named):
                found.setdefault(value.name, "text")
    return found


KINDS = {int: "number", float: "number", bool: "flag", Moment: "date", Relative: "date", Span: "date"}
FITTING: dict[str, list[Any]] = {
    "text": [column for column in COLUMNS if column[0] in (pl.String, pl.Categorical, pl.List(pl.String()))],
    "number": [column for column in COLUMNS if column[0].is_numeric() or column[0] == pl.List(pl.Int64())],
    "flag": [column for column in COLUMNS if column[0] == pl.Boolean],
    "date": [column for column in COLUMNS if column[0].is_temporal() or column[0] == pl.String],
}
FITTING_VALUES = {
    "text": st.one_of(texts, _lists),
    "number": st.one_of(st.sampled_from(NUMBERS), _lists),
    "flag": st.booleans(),
    "date": st.one_of(_times, st.sampled_from(DATES)),
}


@st.composite
def conditions_and_frames(draw: st.DrawFn) -> tuple[nodes.Condition, pl.DataFrame]:
    """A condition and a few customers who mostly have what it asks about, in columns of any type."""
    condition = draw(conditions)
    height = draw(st.integers(3, 6))
    columns = [pl.Series("row", range(height))]
    kinds = wanted_kinds(condition) | dict.fromkeys(draw(st.lists(_fact_names, max_size=2)), "text")
    for name, kind in kinds.items():
        choices = FITTING[kind] if draw(st.integers(0, 3)) else COLUMNS
        dtype, values = draw(st.sampled_from(choices))
        data = draw(st.lists(st.one_of(values, values, values, st.none()), min_size=height, max_size=height))
        columns.append(pl.Series(name, data, dtype=dtype, strict=False))
    return condition, pl.DataFrame(columns)


@st.composite
def facts_for(draw: st.DrawFn, wanted: Sequence[nodes.Node]) -> dict[str, Any]:
    """One customer who mostly has what some conditions ask about."""
    facts = draw(customers)
    for condition in wanted:
        for name, kind in wanted_kinds(condition).items():
            if draw(st.integers(0, 3)):
                facts[name] = draw(FITTING_VALUES[kind])
    return facts
