"""Comes in: nothing. Goes out: hypothesis strategies for conditions, rules, customers and frames of customers.

Names, texts and numbers come from small pools full of edges, so that tests meet values that are nearly equal.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import strategies as st

from rules.language import nodes
from rules.language.literals import whole
from rules.language.values import Moment, Relative, Span, Version, read_moment, read_version

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # minutes after the clocks changed in most of Europe
NAMES = ("a", "b", "c", "odd name", "ünï", "x.y", "x.y.z", "segments", "customer_segment", "customer_id", "and")
TEXTS = (
    "", "a", "A", "b", "ab", "abc", "ä", "Ä", "straße", "STRASSE", "İ", "i̇", "ﬁ", "fi", "5", "1", "1.0", "01",
    "2024-01-01", "2026-03-29T03:30:00+02:00", "2026-03-28", "2024-13-01", "1.2.3", "1.2.3-rc.1", "1.2.3-rc.10", "1.10.0",
    "v1.2", "1.2.3+x", '"', "\\", "\\d", "\n", "\t", " ", "🙂", "e\u0301", "\u00a0", "true", "NOW",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 5, 127, 128, 255, 256, 0.5, 1.5, -0.5, 0.1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63),
    -(2**63) - 1, 2**64 - 1, 2**64, 2**70, 2**127 - 1, 1e15, 1e16, 1e300, -1e300, 5e-324, 9007199254740993, 1.2,
)  # fmt: skip
DATES = ("2024-01-01", "2026-03-28", "2026-03-29", "2026-03-29T01:30:00Z", "2026-03-29T03:30:00+02:00", "1969-12-31", "0001-01-01", "9999-12-31T23:59:59.999999Z", "2026-02-27T01:30")  # fmt: skip
VERSIONS = ("1.2.3", "1.2", "1", "1.2.3-rc.1", "1.2.3-rc.2", "1.2.3-rc.10", "1.2.3-beta", "2.0.0+build.5", "10.0.0")
PATTERNS = ("^a", "a$", r"\d+", "(?i)A", "^$", "ß", r'"', r"\x{1F642}", "[a-c]{2}")
UNITS = ("MINUTE", "HOUR", "DAY", "WEEK")

texts = st.sampled_from(TEXTS)
numbers = st.sampled_from([whole(number) for number in NUMBERS])
moments = st.sampled_from([Moment(text, read_moment(text) or 0) for text in DATES])
versions = st.sampled_from([Version(text, read_version(text) or (0, 0, 0, True, ())) for text in VERSIONS])
spans = st.builds(Span, st.sampled_from((1, 2, 30, 1440)), st.sampled_from(UNITS))
relatives = st.one_of(
    st.sampled_from([Relative("NOW"), Relative("TODAY")]),
    st.builds(Relative, st.sampled_from(("AGO", "AHEAD")), spans),
)
named = st.builds(nodes.Named, st.sampled_from(NAMES))
scalars = st.one_of(texts, texts, numbers, numbers, st.booleans(), moments, relatives, versions, named)
steady = st.one_of(texts, numbers, st.booleans(), moments, versions)  # without the clock, and without other facts


def _tests(operands: st.SearchStrategy[Any], values: st.SearchStrategy[Any], clock: bool) -> st.SearchStrategy[Any]:
    yes = st.booleans()
    words = st.sampled_from(("=", "<", "<=", ">", ">=", "CONTAINS", "STARTS WITH", "ENDS WITH"))
    choices = [
        st.builds(nodes.Test, operands, st.just("="), values, yes, yes),
        st.builds(nodes.Test, operands, words, values, st.just(False), yes),
        st.builds(nodes.Test, operands, st.sampled_from(("CONTAINS", "STARTS WITH", "ENDS WITH")), values, yes, yes),
        st.builds(nodes.Test, operands, st.just("BETWEEN"), st.tuples(values, values), yes, yes),
        st.builds(nodes.Test, operands, st.just("IN"), st.lists(values, min_size=1, max_size=4).map(tuple), yes, yes),
        st.builds(nodes.Test, operands, st.just("MATCHES"), st.sampled_from(PATTERNS), yes, yes),
        st.builds(nodes.Test, operands, st.sampled_from(("BEFORE", "AFTER", "ON")), values, st.just(False), yes),
        st.builds(nodes.Test, operands, st.sampled_from(("IS MISSING", "IS EMPTY")), st.none(), yes),
    ]
    if clock:
        within = st.sampled_from(("WITHIN LAST", "WITHIN NEXT"))
        choices.append(st.builds(nodes.Test, operands, within, spans, st.just(False), yes))
    return st.one_of(choices)


segment_tests = st.builds(nodes.Test, st.just(nodes.Named("segments")), st.just("IN SEGMENT"), texts.filter(str.strip))
chances = st.builds(nodes.Chance, st.sampled_from((0.0, 0.5, 10.0, 50.0, 100.0)), st.sampled_from(("", "x", "spring sale")))


def _groups(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(nodes.All, several), st.builds(nodes.Any, several), st.builds(nodes.Not, parts))


fact_tests = _tests(named, scalars, clock=True)
leaves = st.one_of(fact_tests, fact_tests, fact_tests, fact_tests, segment_tests, chances)
conditions = st.recursive(leaves, _groups, max_leaves=6)

# -- histories

PROPERTIES = ("price", "category", "a", "item.id", "shipping cost")
properties = st.builds(nodes.Named, st.sampled_from(PROPERTIES))
wheres = st.recursive(_tests(properties, steady, clock=False), _groups, max_leaves=3)
_windows = st.none() | spans
histories = st.one_of(
    st.builds(
        nodes.History,
        st.sampled_from(("COUNT", "SUM", "AVG", "MIN", "MAX", "LAST", "FIRST", "DISTINCT")),
        st.sampled_from(("purchase", "Order Completed", "sum")),
        st.sampled_from(PROPERTIES),
        st.none() | wheres,
        _windows,
    ),
    st.builds(nodes.History, st.just("COUNT"), st.just("purchase"), st.none(), st.none() | wheres, _windows),
    st.builds(nodes.History, st.just("DAYS SINCE"), st.sampled_from(("purchase", "view")), st.none(), st.none() | wheres),
)
history_tests = _tests(histories, scalars, clock=True)
everything = st.recursive(st.one_of(leaves, history_tests), _groups, max_leaves=6)
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
events = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(("1", "2")),
        "name": st.sampled_from(("purchase", "purchase", "Order Completed", "sum", "view")),
        "timestamp": event_times,
        "properties": st.dictionaries(st.sampled_from(("price", "category", "a", "item", "shipping cost")), json_values, max_size=3),
    }
)  # fmt: skip

# -- rules

targets = st.one_of(
    st.builds(nodes.ContentKey, texts.filter(str.strip)),
    st.builds(nodes.Tagged, texts.filter(str.strip)),
    st.builds(nodes.Where, conditions),
)
actions = st.one_of(
    st.builds(nodes.Show, targets),
    st.builds(nodes.Only, targets),
    st.builds(nodes.Hide, targets),
    st.builds(nodes.Boost, targets, st.sampled_from((0.5, 1.0, 2.0, 1000.0))),
    st.builds(nodes.Bury, targets, st.sampled_from((1.5, 2.0, 1000.0))),
    st.builds(nodes.Pin, targets, st.sampled_from((1, 2, 1000))),
    st.builds(nodes.StartCampaign, texts.filter(str.strip)),
    st.just(nodes.Stop()),
)
branches = st.lists(actions, min_size=1, max_size=3).map(tuple)
rules = st.builds(nodes.Rule, everything, branches, st.just(()) | branches)

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
    [float("nan"), float("inf"), float("-inf"), -0.0, Decimal("1.5"), Decimal("NaN"), {"y": 5}, {"y": {"z": "a"}},
     b"a", ("a", 1), frozenset({"a"}), {"deep": {}}, "\ud800", object(), 10**400, timedelta(1)]
)  # fmt: skip
values = st.one_of(texts, texts, st.sampled_from(NUMBERS), st.booleans(), st.none(), _times, _lists, _odd)
_fact_names = st.sampled_from((*NAMES, "x", "x.y"))
customers = st.dictionaries(_fact_names, values, max_size=9)

# -- many customers: a frame with one type per column

_int64 = st.sampled_from([number for number in NUMBERS if isinstance(number, int) and -(2**63) <= number < 2**63])
_floats = st.sampled_from([0.0, -0.0, 0.5, 1.0, 1.5, 2.0**53, 2.0**63, 1e300, float("nan"), float("inf"), float("-inf"), 0.1])
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
