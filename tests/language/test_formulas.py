"""Formulas: their text goes there and back, both shapes of a calculation agree, and errors point and say the cure."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import RuleError
from rules.language.calculating import SIGNS, calculate, calculated_column
from rules.language.facts import Catalogue, Fact
from rules.language.formula_check import Judged, judge
from rules.language.formulas import (
    MAX_OPERATIONS,
    Calculation,
    Formula,
    Number,
    formula_facts,
    formula_histories,
    formula_text,
    operands,
    parse_formula,
)
from rules.language.literals import whole
from rules.language.nodes import Named
from rules.language.printer import operand_text
from tests.examples import examples
from tests.language.strategies import NAMES, NUMBERS, histories, named

FACTS = ("a", "b", "c")
signs = st.sampled_from(sorted(SIGNS))
literals = st.sampled_from([Number(whole(number)) for number in NUMBERS])


def _calculations(operand: st.SearchStrategy[Formula]) -> st.SearchStrategy[Any]:
    parts = st.recursive(operand | literals, lambda part: st.builds(Calculation, signs, part, part), max_leaves=8)
    return st.builds(Calculation, signs, parts, parts)


formulas = st.one_of(named, histories, _calculations(named | histories))
values = st.one_of(
    st.none(),
    st.sampled_from([float(number) for number in NUMBERS] + [0.0, -0.0, 1e308, 1e-308]),
    st.floats(-1e6, 1e6),
    st.integers(-50, 50).map(float),
)


@examples(300)
@given(formulas)
def test_the_canonical_text_parses_back_into_the_same_formula(formula: Formula) -> None:
    text = formula_text(formula)
    assert parse_formula(text) == formula
    assert formula_text(parse_formula(text)) == text


@examples(300)
@given(_calculations(st.builds(Named, st.sampled_from(FACTS))), st.lists(st.tuples(values, values), max_size=5))
def test_one_customer_and_everybody_get_the_same_number(formula: Calculation, rows: list[tuple[Any, Any]]) -> None:
    frame = pl.DataFrame(rows, {"a": pl.Float64, "b": pl.Float64}, orient="row")  # nobody has c
    column = frame.select(calculated_column(formula, frame.schema).alias("found"))["found"]
    one = [calculate(formula, {name: value for name, value in row.items() if value is not None})
           for row in frame.iter_rows(named=True)]  # fmt: skip
    assert [repr(value) for value in column] == [repr(value) for value in one]


@pytest.mark.parametrize("divisor", [3.0, 7.0, 49.0, 1000.0, 1e15, 1e-300])
def test_everybody_is_divided_by_a_number_as_one_customer_is(divisor: float) -> None:
    """Not multiplied by its reciprocal, which is a bit away for one quotient in ten."""
    numbers = [1e308, 10.0, 123.456, *(n / 7 for n in range(1, 60))]
    frame = pl.DataFrame({"a": numbers})
    formula = Calculation("/", Named("a"), Number(whole(divisor)))
    assert frame.select(calculated_column(formula, frame.schema).alias("x"))["x"].to_list() == [
        calculate(formula, {"a": number}) for number in numbers
    ]


WHOLE = (0, 1, 3, 255, 2**31, 2**53 + 1, 2**63 - 1, -7)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("dtype", [pl.UInt8, pl.UInt32, pl.Int64, pl.Int128, pl.Float32, pl.Decimal(30, 2)])
def test_whole_numbers_of_every_width_are_calculated_with_as_floats(sign: str, dtype: pl.DataType) -> None:
    formula = parse_formula(f"a {sign} b")
    assert isinstance(formula, Calculation)
    pairs = [(one, other) for one in WHOLE for other in WHOLE]
    frame = pl.DataFrame(pairs, {"a": pl.Int64, "b": pl.Int64}, orient="row").cast(dtype, strict=False)
    found = frame.select(calculated_column(formula, frame.schema).alias("found"))["found"].to_list()
    plain = frame.cast(pl.Float64) if dtype == pl.Float32 or isinstance(dtype, pl.Decimal) else frame
    assert found == [calculate(formula, row) for row in plain.iter_rows(named=True)]


ODD = ("text", True, [1], {"x": 1}, float("nan"), float("inf"), 10**400)


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_what_is_no_number_is_missing(value: Any) -> None:
    formula = parse_formula("a + 1")
    assert isinstance(formula, Calculation)
    assert calculate(formula, {"a": value}) is None


@pytest.mark.parametrize("values", [["x", None], [True, False], [[1.0], None], [float("nan"), float("inf")]], ids=repr)
def test_a_column_that_holds_no_numbers_is_missing_for_all(values: list[Any]) -> None:
    formula = parse_formula("a + 1")
    assert isinstance(formula, Calculation)
    frame = pl.DataFrame({"a": values})
    assert frame.select(calculated_column(formula, frame.schema))[:, 0].to_list() == [None, None]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + a * 2", 7.0),
        ("(1 + a) * 2", 8.0),
        ("b - a - 1", 2.0),
        ("b - (a - 1)", 4.0),
        ("b / a / 2", 1.0),
        ("b / (a / 2)", 4.0),
        ("-a + b", 3.0),
        ("-(a - b) * -2", -6.0),
        ("a-1", 2.0),
        ("a / 0.0", None),
        ("a / (b - 6)", None),
        ("a + c", None),
        ("0 * -a", 0.0),
        ("a * 1e308 * 1e308 / 1e308 / 1e308", None),
    ],
)
def test_signs_bind_as_at_school(text: str, value: float | None) -> None:
    formula = parse_formula(text)
    assert isinstance(formula, Calculation)
    assert repr(calculate(formula, {"a": 3, "b": 6})) == repr(value)


def test_histories_and_facts_are_told_apart() -> None:
    formula = parse_formula('SUM(purchase.price) IN LAST 30 DAYS / orders_30d + DAYS SINCE purchase - "odd name"')
    assert formula_facts(formula) == {"orders_30d", "odd name"}
    assert list(formula_histories(formula)) == ["SUM(purchase.price) IN LAST 30 DAYS", "DAYS SINCE purchase"]
    assert [operand_text(one) for one in operands(formula)][1] == "orders_30d"


# -- what is wrong

KNOWN = Catalogue(
    facts={name: Fact(name, "number") for name in ("spend_30d", "orders_30d")} | {"city": Fact("city", "text")},
    events={"Order Completed": None, "purchase": None},
)
TYPES = ("text", "number", "boolean", "date", "text_list")
PROPERTIES = {"purchase": {kind: Fact(kind, kind) for kind in TYPES}}


def judged(text: str) -> Judged:
    return judge(text, KNOWN, PROPERTIES, moment={"hour"})


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ('COUNT("Order Completed" WHERE category = "Eco") IN LAST 30 DAYS', "number"),
        ("spend_30d / orders_30d", "number"),
        ("DAYS SINCE purchase", "number"),
        ("DISTINCT(purchase.text)", "number"),
        *((f"LAST(purchase.{kind})", kind) for kind in TYPES[:4]),
        ("FIRST(purchase.number) * 2", "number"),
    ],
)
def test_the_type_follows_from_the_text(text: str, type_: str) -> None:
    found = judged(text)
    assert (found.problems, found.type, found.fine) == ((), type_, True)


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("", 1, "The text is empty.", "Write for example COUNT"),
        ("5 * 4", 1, "This is a number, the same for everybody.", "Write for example"),
        ("spend_30d", 1, "This is the fact spend_30d itself.", "Calculate with it"),
        ("spend30d * 2", 1, 'There is no fact "spend30d".', 'Did you mean "spend_30d"?'),
        ("2 * city", 5, "city is a text; only numbers can be calculated with.", "COUNT"),
        ("2 * hour", 5, "hour is known in the moment of a request only.", "in the rule itself"),
        ("COUNT(purchse)", 1, 'There is no event "purchse".', 'Did you mean "purchase"?'),
        ("1 + COUNT(purchse)", 5, 'There is no event "purchse".', 'Did you mean "purchase"?'),
        ("spend_30d / 0", 13, "Nothing can be divided by 0.", "Divide by another number"),
        ("LAST(purchase.unknown)", 1, 'Nobody knows yet what "unknown" of "purchase" is', "tracking plan"),
        ("LAST(purchase.text_list)", 1, "reads single values.", "COUNT or DISTINCT"),
        ("LAST(purchase.text) + 1", 1, "is a text; only numbers", "COUNT"),
        ("SUM(purchase) / 2", 1, "SUM needs a property", "SUM(purchase.price)"),
        ("spend_30d +", 11, "The text ends too early", ""),
        ("spend_30d ** 2", 12, "* cannot stand here.", ""),
        ("(spend_30d", 10, "The text ends too early", ""),
        ("spend_30d > 3", 11, "> cannot stand here. Expected *, +, -, / or the end.", ""),
        ("IF spend_30d", 4, "cannot stand here", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_cure(text: str, column: int, message: str, hint: str) -> None:
    found = judged(text)
    first = found.problems[0]
    assert (first.severity, first.line, first.column, found.fine, found.type) == ("error", 1, column, False, None)
    assert message in first.message
    assert hint in (first.hint or "")


def test_what_would_take_too_long_is_refused_at_once() -> None:
    with pytest.raises(RuleError, match="at most 50 signs"):
        parse_formula(" + ".join(["a"] * (MAX_OPERATIONS + 2)))
    assert parse_formula(" + ".join(["a"] * (MAX_OPERATIONS + 1)))
    with pytest.raises(RuleError, match="MAX_NODES"):
        parse_formula("(" * 5000 + "a" + ")" * 5000)
    with pytest.raises(RuleError, match="MAX_TEXT"):
        parse_formula("a + " * 6000)
    with pytest.raises(RuleError, match="MAX_DEPTH"):
        parse_formula(f"COUNT(purchase WHERE {'NOT ' * 40}price > 1)")


def test_names_that_are_words_of_the_language_are_quoted_in_the_canonical_text() -> None:
    for name in NAMES:
        assert parse_formula(f"{operand_text(Named(name))} + 1") == Calculation("+", Named(name), Number(1))
