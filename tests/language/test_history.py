"""Histories: folding a customer's events one by one gives what the frame of all events gives."""

import json
import random
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import history, matches, matching_frame, parse
from rules.language.columns import from_frame
from rules.language.nodes import Condition, History
from rules.language.printer import operand_text
from rules.language.values import to_micros
from tests.examples import examples
from tests.language.people import events
from tests.language.strategies import NOW, histories, history_tests

CLOCK = to_micros(NOW)
CUSTOMERS = pl.Series("customer_id", ["1", "2", "nobody"])
Event = dict[str, Any]


def frame_of(happened: list[Event]) -> pl.DataFrame:
    """Events as a frame, properties as JSON text."""
    rows = [event | {"properties": json.dumps(event["properties"])} for event in happened]
    schema = {
        "customer_id": pl.String,
        "name": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "properties": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def folded(wanted: History, happened: list[Event], customer: str) -> Any:
    """The value after folding; the state goes through JSON after every event, as a stored profile does."""
    state = None
    for event in happened:
        if event["customer_id"] == customer:
            state = json.loads(json.dumps(history.fold(wanted, state, event)))
    return history.answer(wanted, state, CLOCK)


@examples(200)
@given(
    st.lists(histories, min_size=1, max_size=3),
    st.lists(events, max_size=10),
    st.randoms(use_true_random=False),
)
def test_folding_equals_the_frame_in_any_order(
    wanted: list[History], happened: list[Event], dice: random.Random
) -> None:
    named = {operand_text(one): one for one in wanted}
    table = history.columns(named, frame_of(happened), CLOCK, CUSTOMERS)
    assert table["customer_id"].to_list() == CUSTOMERS.to_list()
    dice.shuffle(happened)
    for row in table.iter_rows(named=True):
        for name, one in named.items():
            assert from_frame(row[name]) == folded(one, happened, row["customer_id"]), name


@examples(150)
@given(st.lists(history_tests, min_size=1, max_size=3), st.lists(events, max_size=8))
def test_conditions_agree_whether_events_are_folded_or_framed(
    conditions: list[Condition], happened: list[Event]
) -> None:
    table = history.columns(history.needs(conditions), frame_of(happened), CLOCK, CUSTOMERS)
    for condition in conditions:
        framed = matching_frame(condition, table, NOW).to_list()
        own = {name: [one for one in happened if one["customer_id"] == name] for name in CUSTOMERS}
        walked = [matches(condition, {"customer_id": name, "events": own[name]}, NOW) for name in CUSTOMERS]
        assert framed == walked


@examples(60)
@given(histories, st.lists(events, max_size=10))
def test_pruning_changes_no_answer_now_or_later(wanted: History, happened: list[Event]) -> None:
    state = None
    for event in happened:
        state = history.fold(wanted, state, event)
    pruned = history.prune(wanted, state, CLOCK)
    for later in (0, 86_400_000_000, 10**13):
        assert history.answer(wanted, pruned, CLOCK + later) == history.answer(wanted, state, CLOCK + later)


def events_of(*rows: tuple[str, int, dict[str, Any]]) -> list[Event]:
    """Events `days` before NOW."""
    return [
        {"name": name, "timestamp": (NOW - timedelta(days=days)).isoformat(), "properties": properties}
        for name, days, properties in rows
    ]


BOUGHT = events_of(
    ("purchase", 1, {"price": 0.1, "category": "Eco", "item": {"id": 7}}),
    ("purchase", 10, {"price": 0.2, "category": "Toys"}),
    ("purchase", 40, {"price": 99, "category": "Eco", "gift": True}),
    ("purchase", 2, {"price": "n/a"}),
    ("view", 3, {}),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COUNT(purchase) = 4", True),
        ("COUNT(purchase.price) = 4", True),
        ("COUNT(purchase.gift) = 1", True),
        ("COUNT(purchase) IN LAST 10 DAYS = 3", True),
        ("COUNT(purchase) IN LAST 9 DAYS = 2", True),
        ('COUNT(purchase WHERE category = "Eco") IN LAST 30 DAYS = 1', True),
        ("SUM(purchase.price) IN LAST 30 DAYS = 0.3", True),
        ("AVG(purchase.price) IN LAST 30 DAYS = 0.15", True),
        ("MIN(purchase.price) = 0.1", True),
        ("MAX(purchase.price) = 99", True),
        ('LAST(purchase.category) = "Eco"', True),
        ('LAST(purchase.price) = 0.1', True),
        ('FIRST(purchase.price) = 99', True),
        ("DISTINCT(purchase.category) = 2", True),
        ("DISTINCT(purchase.price) = 4", True),
        ("DAYS SINCE purchase = 1", True),
        ("DAYS SINCE (purchase WHERE price > 1) = 40", True),
        ("COUNT(purchase.item.id) = 1", True),
        ("COUNT(purchase WHERE item.id = 7) = 1", True),
        ("COUNT(refund) = 0", True),
        ("SUM(refund.price) = 0", True),
        ("DISTINCT(refund.price) = 0", True),
        ("AVG(refund.price) IS MISSING", True),
        ("MIN(refund.price) IS MISSING", True),
        ("LAST(refund.price) IS MISSING", True),
        ("DAYS SINCE refund IS MISSING", True),
        ("DAYS SINCE refund > 3", False),
    ],
)  # fmt: skip
def test_it_means_what_the_documentation_says(text: str, expected: bool) -> None:
    assert matches(parse(text), {"events": BOUGHT}, NOW) is expected


def test_a_customer_whose_history_is_not_known_has_no_count() -> None:
    assert matches(parse("COUNT(purchase) = 0"), {}, NOW) is False
    assert matches(parse("COUNT(purchase) IS MISSING"), {}, NOW) is True
    assert matches(parse("COUNT(purchase) = 0"), {"events": []}, NOW) is True


def test_a_stored_value_goes_before_the_events() -> None:
    facts = {"COUNT(purchase)": 9, "events": BOUGHT}
    assert matches(parse("count( purchase ) = 9"), facts, NOW) is True


def test_events_that_cannot_be_read_do_not_count() -> None:
    broken: list[Any] = [
        {},
        {"name": "purchase"},
        {"name": "purchase", "timestamp": "soon"},
        None,
        "purchase",
        5,
    ]
    assert matches(parse("COUNT(purchase) = 0"), {"events": broken}, NOW) is True


def test_a_frame_takes_properties_as_a_struct_as_well() -> None:
    wanted = history.needs([parse('SUM(purchase.price WHERE category = "Eco") > 0 AND LAST(purchase.item.id) = 7')])
    rows = [
        {"price": 2.5, "category": "Eco", "item": {"id": 7}},
        {"price": 1.0, "category": "Toys", "item": None},
    ]
    frame = pl.DataFrame(
        {"customer_id": ["1", "1"], "name": ["purchase"] * 2, "timestamp": [NOW, NOW], "properties": rows}
    )
    table = history.columns(wanted, frame, CLOCK, pl.Series(["1"]))
    assert table.row(0) == ("1", 2.5, 7.0)


def test_a_broken_property_text_is_an_event_without_properties() -> None:
    wanted = history.needs([parse("COUNT(purchase) > 0 AND COUNT(purchase.price) > 0")])
    texts = ['{"price": 1}', "{", "[]", "5", None, ""]
    frame = pl.DataFrame(
        {
            "customer_id": ["1"] * 6,
            "name": ["purchase"] * 6,
            "timestamp": ["2026-01-01"] * 6,
            "properties": texts,
        }
    )
    assert history.columns(wanted, frame, CLOCK, pl.Series(["1"])).row(0) == ("1", 6, 1)
