"""Values at the edge of what a caller hands over: answered alike everywhere, and never an exception."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from rules.language import RuleError, RuleIndex, explain, history, limits, matches, matching_frame, parse
from rules.language.values import to_micros
from tests.language.strategies import NOW

CLOCK = to_micros(NOW)


@pytest.mark.parametrize("condition", ["price != old", "old != price", "price = old", "old = price", "price >= old"])
def test_a_missing_whole_number_equals_and_differs_from_no_float(condition: str) -> None:
    frame = pl.DataFrame({"price": [9.99, 9.0], "old": pl.Series([None, None], dtype=pl.Int64)})
    assert matching_frame(parse(condition), frame, NOW).to_list() == [False, False]


def test_no_events_at_all_are_a_count_of_none() -> None:
    events = pl.DataFrame(schema=dict.fromkeys(("customer_id", "name", "timestamp", "properties"), pl.String))
    node = parse("COUNT(p) IN LAST 2 DAYS = 1 OR LAST(p.x) = 1 OR AVG(p.x) = 1")
    table = history.columns(history.needs([node]), events, CLOCK, pl.Series(["c"]))
    assert table["COUNT(p) IN LAST 2 DAYS"].to_list() == [0]
    assert matching_frame(node, table, NOW).to_list() == [False]


@pytest.mark.parametrize("text", ['l = "2026-03-29"', 'l != "2026-03-29"', 'l IN ("2026-03-29", "x")',
                                  'l NOT IN ("2026-03-29")', 'l CONTAINS "2026-03-29"'])  # fmt: skip
def test_a_list_of_dates_is_asked_for_a_date_written_as_a_text(text: str) -> None:
    facts = {"l": [datetime(2026, 3, 29, tzinfo=UTC)]}
    node = parse(text)
    assert matches(node, facts, NOW) is ("!=" not in text and "NOT" not in text)
    assert (RuleIndex([("rule", node)]).matching(facts, NOW) == ["rule"]) is matches(node, facts, NOW)


def test_an_average_is_the_nearest_float_of_the_quotient() -> None:
    rows: list[dict[str, Any]] = [
        {"customer_id": "c", "name": "p", "timestamp": NOW - timedelta(hours=1), "properties": {"x": x}}
        for x in (0.1, 0.2, 0.3)
    ]
    node = parse("AVG(p.x) = 0.2")
    assert matches(node, {"events": rows}, NOW) is True
    table = history.columns(history.needs([node]), pl.DataFrame(rows), CLOCK, pl.Series(["c"]))
    assert matching_frame(node, table, NOW).to_list() == [True]


def test_a_list_that_is_far_too_long_is_refused_where_it_begins() -> None:
    text = f"a = 1 AND\n  b IN ({','.join('1' * 9_900)})"
    with pytest.raises(RuleError, match="MAX_LIST") as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (2, 8)
    assert "segment" in (caught.value.hint or "")


def test_long_lists_are_counted_together() -> None:
    one = f"a IN ({','.join('1' * limits.MAX_LIST)})"
    parse(" OR ".join([one] * 3))
    with pytest.raises(RuleError, match="MAX_VALUES") as caught:
        parse(" OR ".join([one] * 4))
    assert caught.value.column == 3 * (len(one) + 4) + 6


def test_commas_in_texts_and_comments_are_no_values() -> None:
    commas = "," * (limits.MAX_LIST + 1)
    parse(f'a IN ("{commas}", # {commas}\n 2)')


def test_patterns_are_counted_outside_texts() -> None:
    many = [f'a MATCHES "{place}"' for place in range(limits.MAX_PATTERNS + 1)]
    parse(" OR ".join(many[:-1]))
    parse(" OR ".join(f'a = "MATCHES \\"{place}\\""' for place in range(limits.MAX_PATTERNS + 1)))
    with pytest.raises(RuleError, match="MAX_PATTERNS") as caught:
        parse(" OR ".join(many))
    assert caught.value.column > 1


class Unhashable:
    """An item that cannot be looked up."""

    def __hash__(self) -> int:
        raise ValueError("no hash")


@pytest.mark.parametrize(
    "value",
    [Decimal("sNaN"), np.longdouble(1), np.clongdouble(1), 10**5000, [Unhashable()], [Unhashable(), "a"], (["a"], "a")],
    ids=["signalling NaN", "long double", "complex", "many digits", "item", "items", "nested"],
)
@pytest.mark.parametrize("condition", ["x = 1", 'x = "a"', 'x != "a"', "x IN (1, 2)", "x IS MISSING", "CHANCE 50%"])
def test_it_never_raises_whatever_the_value(value: object, condition: str) -> None:
    node, facts = parse(condition), {"x": value, "customer_id": value}
    answer = matches(node, facts, NOW)
    told = explain(node, facts, NOW)
    assert told["result"] is answer
    assert json.loads(json.dumps(told)) == told
    assert (RuleIndex([("rule", node)]).matching(facts, NOW) == ["rule"]) is answer


def test_numbers_of_other_libraries_are_numbers() -> None:
    assert matches(parse("x = 1"), {"x": np.longdouble(1)}, NOW) is True
    assert matches(parse("x IS MISSING"), {"x": Decimal("sNaN")}, NOW) is True
    assert matches(parse("x > 5"), {"x": Decimal("Infinity")}, NOW) is True
    assert matches(parse("x > 5"), {"x": Decimal("1E+999999")}, NOW) is True
    assert matches(parse("x = 9007199254740993"), {"x": Decimal("9007199254740993")}, NOW) is True
    assert matches(parse("x = 9007199254740992"), {"x": Decimal("9007199254740993")}, NOW) is False


@pytest.mark.parametrize("scale", [0, 2])
def test_a_column_of_decimals_keeps_its_digits(scale: int) -> None:
    numbers = [Decimal("9007199254740993"), Decimal("1.5") if scale else Decimal(1), None]
    frame = pl.DataFrame({"x": pl.Series(numbers, dtype=pl.Decimal(38, scale))})
    for text in ("x = 9007199254740993", "x = 9007199254740992", "x < 9007199254740993", "x <= 1.5", "x != 1.5",
                 "x IN (1.5, 9007199254740993)", "x BETWEEN 1 AND 2", "x = x", "x IS MISSING"):  # fmt: skip
        alone = [matches(parse(text), row, NOW) for row in frame.iter_rows(named=True)]
        assert matching_frame(parse(text), frame, NOW).to_list() == alone, text


@pytest.mark.parametrize(
    ("items", "condition"),
    [
        ([Decimal("1.5")], "x = 1.5"),
        ([np.int64(5), "a"], "x = 5"),
        ([np.str_("a")], 'x = "a"'),
        ((np.str_("a"),), 'x CONTAINS "a"'),
        ([date(2026, 3, 29)], "x = 2026-03-29"),
        ([Decimal("9007199254740993")], "x = 9007199254740993"),
    ],
)
def test_items_are_taken_for_what_they_are_as_single_values_are(items: object, condition: str) -> None:
    node = parse(condition)
    assert matches(node, {"x": items}, NOW) is True
    assert RuleIndex([("rule", node)]).matching({"x": items}, NOW) == ["rule"]


@pytest.mark.parametrize(
    ("values", "condition", "expected"),
    [
        ([1, 2, None], "x = 1", [True, False, False]),
        ([1, "a", Decimal("1.5")], 'x = "a" OR x = 1.5', [False, True, True]),
        ([["a"], {"b"}, object()], 'x = "a"', [True, False, False]),
        ([NOW, None, NOW], "x IS PRESENT AND x <= NOW", [True, False, True]),
    ],
)
def test_a_column_of_python_objects_is_read_value_by_value(
    values: list[object], condition: str, expected: list[bool]
) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Object)})
    assert matching_frame(parse(condition), frame, NOW).to_list() == expected
