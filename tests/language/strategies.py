"""Comes in: nothing. Goes out: hypothesis strategies for conditions, histories and rules.

Names, texts and numbers come from small pools full of edges, so that tests meet values that are nearly equal.
"""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from rules.language import nodes
from rules.language.literals import whole
from rules.language.values import Moment, Relative, Span, Version, read_moment, read_version

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # minutes after the clocks changed in most of Europe
NAMES = (
    "a",
    "b",
    "c",
    "odd name",
    "ünï",
    "x.y",
    "x.y.z",
    "segments",
    "customer_segment",
    "customer_id",
    "and",
)
TEXTS = (
    "", "a", "A", "b", "ab", "abc", "ä", "Ä", "straße", "STRASSE", "İ", "i̇", "ﬁ", "fi", "5", "1", "1.0", "01",
    "2024-01-01", "2026-03-29T03:30:00+02:00", "2026-03-28", "2024-13-01", "1.2.3", "1.2.3-rc.1",
    "1.2.3-rc.10", "1.10.0", "v1.2",
    "1.2.3+x", '"', "\\", "\\d", "\n", "\t", " ", "🙂", "e\u0301", "\u00a0", "true", "NOW",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 5, 127, 128, 255, 256, 0.5, 1.5, -0.5, 0.1, 1.2, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 2**70, 2**127 - 1, 1e15, 1e16, 1e300, -1e300, 5e-324,
)  # fmt: skip
DATES = (
    "2024-01-01", "2026-03-28", "2026-03-29", "2026-03-29T01:30:00Z", "2026-03-29T03:30:00+02:00",
    "1969-12-31", "0001-01-01", "9999-12-31T23:59:59.999999Z", "2026-02-27T01:30",
)  # fmt: skip
VERSIONS = (
    "1.2.3",
    "1.2",
    "1",
    "1.2.3-rc.1",
    "1.2.3-rc.2",
    "1.2.3-rc.10",
    "1.2.3-beta",
    "2.0.0+build.5",
    "10.0.0",
)
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
chances = st.builds(
    nodes.Chance, st.sampled_from((0.0, 0.5, 10.0, 50.0, 100.0)), st.sampled_from(("", "x", "spring sale"))
)


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
    st.builds(
        nodes.History,
        st.just("DAYS SINCE"),
        st.sampled_from(("purchase", "view")),
        st.none(),
        st.none() | wheres,
    ),
)
history_tests = _tests(histories, scalars, clock=True)
everything = st.recursive(st.one_of(leaves, history_tests), _groups, max_leaves=6)

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
