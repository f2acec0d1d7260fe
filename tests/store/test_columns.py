"""Facts as texts into columns: names that JSON has to escape are names like any other."""

import json

import polars as pl
import pytest

from decisioning.store.columns import facts_columns

FIVE = 'COUNT("Order Completed" WHERE units >= 5) IN LAST 180 DAYS'
BACK = "ends with \\"
KINDS = {"orders": "number", FIVE: "number", BACK: "text"}


def texts(*rows: dict[str, object]) -> list[str]:
    """As `jsonb` writes them."""
    return [json.dumps(row, ensure_ascii=False) for row in rows]


def test_a_history_of_a_quoted_event_is_a_column() -> None:
    found, kinds = facts_columns(texts({"orders": 2, FIVE: 1, BACK: "a"}, {"orders": 3, FIVE: 0}), KINDS)
    assert found.to_dict(as_series=False) == {"orders": [2.0, 3.0], FIVE: [1.0, 0.0], BACK: ["a", None]}
    assert kinds == KINDS


def test_a_value_that_reads_like_such_a_name_stays_a_value() -> None:
    text = json.dumps(FIVE) + ": 7"
    found, _ = facts_columns(texts({BACK: text, FIVE: 2}, {BACK: json.dumps(text)}), KINDS)
    assert found[BACK].to_list() == [text, json.dumps(text)]
    assert found[FIVE].to_list() == [2.0, None]


def test_what_does_not_fit_is_null_there_too() -> None:
    found, _ = facts_columns(texts({"orders": "many", FIVE: "two"}, {"orders": 1, FIVE: 2}), KINDS)
    assert found[FIVE].to_list() == [None, 2.0]
    assert found["orders"].to_list() == [None, 1.0]


@pytest.mark.parametrize("name", ['said "yes"', "a\\b", "tab\there", "bell\x07", "plain"])
def test_a_name_that_no_catalogue_knows_is_found(name: str) -> None:
    found, kinds = facts_columns(texts({"orders": 1, name: "x"}, {"orders": 2}), {"orders": "number"})
    assert kinds == {"orders": "number", name: "loose"}
    assert found.select(pl.col(name).struct.field("text")).to_series().to_list() == ["x", None]
