"""What events hold is read one level deep, and told where it is no good; what is fine is told nothing."""

import json
from typing import Any

import numpy as np
import pytest

from decisioning.customers.quality.contents import check_properties, columns_of
from decisioning.customers.quality.findings import LOOK, NOTHING, Finding


def found(values: list[Any], name: str = "total", event: str = "Order Completed") -> dict[str, Finding]:
    """Findings by code, of events e0, e1, … with these values of one property."""
    events = ((f"e{place}", json.dumps({name: value})) for place, value in enumerate(values))
    return {one.code: one for one in check_properties(event, columns_of(events))}


TOTALS = np.random.default_rng(1).gamma(3, 20, 400).round(2).tolist()


def test_sound_values_are_told_nothing() -> None:
    assert {code: one for code, one in found(TOTALS).items() if one.severity} == {}
    assert found(["Eco", "Dairy", "Meat"] * 100, "category") == {}
    assert found([True, False] * 100, "member") == {}
    assert found([*TOTALS[:20], "x"]) == {}, "of few values nothing is said"


def test_numbers_far_out_are_told_with_their_events() -> None:
    one = found([*TOTALS, 99_999.0, 50.0])["outliers"]
    assert one.severity == LOOK
    assert (one.examples[0].said, one.examples[0].event) == ("99,999", "e400")
    assert "by quartiles" in one.text and "by Z score" in one.text
    assert found(np.random.default_rng(2).lognormal(3, 1, 400).tolist())["outliers"].severity == NOTHING
    assert "outliers" not in found([*range(400), 10**9], "order_id")


def test_amounts_below_nothing_are_told_but_of_refunds() -> None:
    values = [*TOTALS, -20.0]
    assert found(values)["negative"].count == 1
    assert found(values)["negative"].examples[0].event == "e400"
    assert "negative" not in found(values, event="Order Refunded")
    assert "negative" not in found(values, name="balance")


def test_mixed_types_are_told_with_an_event_of_the_rarer() -> None:
    one = found([*TOTALS, "12.50", "9"])["mixed_types"]
    assert one.text == "“total” is number mostly, but 2 times text."
    assert [example.event for example in one.examples] == ["e400"]
    assert "mixed_types" not in found(["2026-01-01", "soon"] * 100, "when"), "a date is a text to its sender"
    assert "mixed_types" not in found([*TOTALS, None, None])


@pytest.mark.parametrize("word", ["", "null", "undefined", "N/A", " None ", "[object Object]"])
def test_placeholders_are_told(word: str) -> None:
    one = found(["Eco", "Dairy"] * 100 + [word], "category")["placeholder"]
    assert one.count == 1
    assert f"“{word}”" in one.text
    assert one.examples[0].event == "e200"


def test_numbers_sent_as_texts_are_told_but_not_identifiers() -> None:
    texts = [f"{value:.2f}" for value in TOTALS]
    assert "100 %" in found(texts)["number_as_text"].text
    assert "number_as_text" not in found(texts, "order_number")
    assert "number_as_text" not in found(["01234"] * 100, "branch")


@pytest.mark.parametrize(
    ("common", "rare", "told"),
    [
        ("Dairy", "dairy", True),
        ("Dairy", "Dairy ", True),
        ("Household", "Houshold", True),
        ("Size 5", "Size 4", False),
        ("Tea", "Sea", False),
        ("Fruit", "Frost", False),
    ],
)
def test_values_that_look_misspelt_are_told_with_a_question_to_the_log(common: str, rare: str, told: bool) -> None:
    values = [common] * 200 + ["Meat"] * 100 + [rare]
    one = found(values, "category").get("spelling")
    assert (one is not None) == told
    if one is not None:
        assert f"“{rare}” for “{common}”" in one.text
        assert one.examples[0].asks == {"name": "Order Completed", "property": "category", "value": rare}


def test_products_are_looked_into() -> None:
    events = [
        (f"e{n}", json.dumps({"products": [{"price": 5 + n % 7}, {"price": -1 if n == 7 else 9}]})) for n in range(90)
    ]
    columns = columns_of(events)
    assert set(columns) == {"products", "products.price"}
    codes = {one.code: one for one in check_properties("Order Completed", columns)}
    assert codes["negative"].examples[0].event == "e7"


def test_what_cannot_be_read_is_left_out_and_names_are_bounded() -> None:
    assert columns_of([("e", "[1]"), ("e", "{"), ("e", "{}")]) == {}
    wide = {f"p{n}": 1 for n in range(500)}
    assert len(columns_of([("e", json.dumps(wide))])) == 100


def test_texts_that_no_database_keeps_and_endless_ones_break_nothing() -> None:
    values = ["Dairy"] * 200 + ["dairy\0", "x" * 100_000, "\0"]
    one = found(values, "cate\0gory")
    assert all("\0" not in finding.text and len(finding.text) < 500 for finding in one.values())
    assert set(columns_of([("e", json.dumps({"a\0": "b\0"}))])) == {"a\ufffd"}
