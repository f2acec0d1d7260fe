"""The reader of the demo data, on sixty of its households."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from decisioning.customers.facts.frame import facts_frame, learn_vocabulary, prepare
from tools.demo.complete_journey import NOW, Journey, load

HOUSEHOLDS = range(1, 61)


@pytest.fixture(scope="module")
def journey() -> Journey:
    return load(HOUSEHOLDS)


def test_a_second_reading_is_the_same_to_the_last_message_id(journey: Journey) -> None:
    again = load(HOUSEHOLDS)
    for name in ("customers", "events", "contents", "impressions"):
        assert getattr(again, name).equals(getattr(journey, name)), name
    assert journey.events["message_id"].is_unique().all()


def test_orders_have_products_that_add_up(journey: Journey) -> None:
    orders = journey.events.filter(pl.col("name") == "Order Completed")
    for text in orders["properties"][:200]:
        order = json.loads(text)
        lines = sum(line["price"] * line["quantity"] for line in order["products"])
        assert lines == pytest.approx(order["total"], abs=0.02)
        assert order["order_id"]


def test_every_redemption_falls_into_a_basket_and_into_its_campaign(journey: Journey) -> None:
    redeemed = journey.events.filter(pl.col("name") == "Coupon Redeemed")
    baskets = journey.events.filter(pl.col("name") == "Order Completed").select("customer_key", "timestamp")
    assert redeemed.height > 20
    assert redeemed.join(baskets, on=["customer_key", "timestamp"], how="semi").height == redeemed.height
    converted = journey.impressions.drop_nulls("converted_at")
    inside = (pl.col("converted_at") >= pl.col("shown_at")) & (pl.col("converted_at") <= pl.col("closes_at"))
    assert converted.select(inside.all()).item()


def test_contents_say_what_their_coupons_are_for(journey: Journey) -> None:
    assert journey.contents.height == 27
    for row in journey.contents.iter_rows(named=True):
        attributes = json.loads(row["attributes"])
        assert sum(attributes["departments"].values()) == pytest.approx(1, abs=0.01)
        assert attributes["campaign_type"] in "ABC"
        assert row["starts"] < row["ends"]
        assert "coupon" in row["tags"]


def test_customers_carry_only_traits_that_are_known(journey: Journey) -> None:
    traits = [json.loads(text) for text in journey.customers["traits"]]
    assert any(traits)
    assert all(value for found in traits for value in found.values())


def test_facts_can_be_computed_from_it(journey: Journey) -> None:
    customers = journey.customers.with_row_index("customer_id")
    events = journey.events.join(customers, left_on="customer_key", right_on="key")
    known = prepare(events)
    words = learn_vocabulary(known, customers, NOW, "America/New_York")
    facts = facts_frame(known, customers, NOW, words)
    assert facts.height == journey.customers.height
    paid = events.filter(pl.col("name") == "Order Completed")["properties"].str.json_path_match("$.total")
    assert facts["spend"].sum() == pytest.approx(paid.cast(pl.Float64).sum())
    assert "Grocery" in words.departments
    assert facts["first_order_at"].min() > datetime(2017, 1, 1, tzinfo=UTC)
