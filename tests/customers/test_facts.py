"""Facts: what they are for known histories, and that neither order, duplicates nor the future can show."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from decisioning.customers.facts.catalogue import (
    built_in_facts,
    catalogue_facts,
    learnt_crosses,
    learnt_facts,
    share_facts,
)
from decisioning.customers.facts.frame import facts_as_of, facts_frame, learn_vocabulary, prepare
from decisioning.customers.facts.vocabulary import Vocabulary, slug

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
SCHEMA = {
    "customer_id": pl.Int64,
    "message_id": pl.String,
    "type": pl.String,
    "name": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
    "properties": pl.String,
    "context": pl.String,
}
WORDS = Vocabulary(
    departments=("Dairy", "Fresh Produce"),
    traits=(("city", "text"), ("member", "boolean"), ("children", "number"), ("likes", "text_list")),
    event_names=("Order Completed", "Product Viewed"),
    recency=(1.0, 5.0, 10.0, 30.0),
    frequency=(1.0, 2.0, 3.0, 4.0),
    monetary=(10.0, 20.0, 30.0, 40.0),
)


def event(
    customer: int, name: str, days: float, properties: Any = None, kind: str = "track", context: Any = None
) -> dict[str, Any]:
    at = NOW - timedelta(days=days)
    text = properties if isinstance(properties, str) else json.dumps(properties or {})
    return {
        "customer_id": customer,
        "message_id": f"{customer}-{name}-{days}-{text}",
        "type": kind,
        "name": name,
        "timestamp": at,
        "properties": text,
        "context": json.dumps(context or {}),
    }


def order(customer: int, days: float, **lines: float) -> dict[str, Any]:
    products = [
        {"department": name.replace("_", " "), "category": f"{name} things", "price": price, "quantity": 1}
        for name, price in lines.items()
    ]
    return event(customer, "Order Completed", days, {"total": sum(lines.values()), "products": products})


def frame(*events: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(events), schema=SCHEMA)


def people(*ids: int, **traits: Any) -> pl.DataFrame:
    texts = [json.dumps(traits)] * len(ids)
    return pl.DataFrame({"customer_id": list(ids), "traits": texts}, {"customer_id": pl.Int64, "traits": pl.String})


def facts(*events: dict[str, Any], words: Vocabulary = WORDS, **traits: Any) -> dict[str, Any]:
    return facts_frame(frame(*events), people(1, **traits), NOW, words).row(0, named=True)


@pytest.fixture(scope="module")
def crowd() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Thirty customers with a year of orders, views, campaigns and redemptions that follow no pattern."""
    events = []
    for customer in range(1, 31):
        for step in range(customer):
            days = (customer * 37 + step * 53) % 400 + customer / 24
            events.append(order(customer, days, Dairy=step % 7 + 0.1, Fresh_Produce=customer % 5 + 0.35))
            events.append(event(customer, "Product Viewed", days + 0.5))
        events.append(event(customer, "Campaign Received", customer * 3.0, {"content_key": "c"}))
        events.append(event(customer, "Coupon Redeemed", customer * 2.0, {"content_key": "c", "coupons": 2}))
    return frame(*events), people(*range(1, 33), city="Rome")


def test_it_counts_and_sums_in_windows_that_end_now() -> None:
    found = facts(order(1, 0, Dairy=5), order(1, 6.99, Dairy=7), order(1, 7, Dairy=11), order(1, 89, Dairy=13))
    assert (found["orders_7d"], found["orders_30d"], found["orders_90d"], found["orders"]) == (2, 3, 4, 4)
    assert (found["spend_7d"], found["spend_30d"], found["spend_90d"], found["spend_365d"]) == (
        12,
        23,
        36,
        36,
    )
    assert found["average_order_value"] == 9
    assert found["recency_days"] == 0
    assert found["last_order_at"] == NOW


def test_a_customer_without_history_has_zero_counts_and_missing_everything_else() -> None:
    found = facts()
    assert {name: found[name] for name in ("orders", "spend_30d", "visits_7d", "coupon_redemptions_90d")} == {
        "orders": 0,
        "spend_30d": 0,
        "visits_7d": 0,
        "coupon_redemptions_90d": 0,
    }
    missing = (
        "recency_days",
        "average_order_value",
        "share_dairy",
        "hour_sin",
        "rfm_score",
        "favourite_department",
    )
    assert [found[name] for name in missing] == [None] * len(missing)


def test_events_after_now_are_not_seen() -> None:
    assert facts(order(1, 3, Dairy=5), order(1, -0.001, Dairy=100)) == facts(order(1, 3, Dairy=5))


def test_duplicates_and_order_make_no_difference(crowd: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    events, customers = crowd
    plain = facts_frame(events, customers, NOW, WORDS)
    for seed in range(3):
        mixed = pl.concat([events, events.sample(100, seed=seed)]).sample(fraction=1, shuffle=True, seed=seed)
        assert facts_frame(mixed, customers, NOW, WORDS).equals(plain)


def test_one_customer_alone_has_the_same_facts_as_among_everybody(
    crowd: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    events, customers = crowd
    everybody = facts_frame(events, customers, NOW, WORDS)
    for customer in (1, 17, 30, 31):
        own = events.filter(pl.col("customer_id") == customer)
        alone = facts_frame(own, people(customer, city="Rome"), NOW, WORDS)
        assert alone.equals(everybody.filter(pl.col("customer_id") == customer))


def test_the_future_cannot_be_seen_in_training_rows(crowd: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    events, customers = crowd
    moment = NOW - timedelta(days=100)
    moments = pl.DataFrame({"customer_id": range(1, 33), "moment": [moment] * 32}).with_columns(
        pl.col("moment").cast(pl.Datetime("us", "UTC"))
    )
    poison = [order(customer, 100, Poison=1e6) for customer in range(1, 31)]  # exactly at the moment
    poison += [order(customer, 99.9 - customer, Dairy=1e6) for customer in range(1, 31)]
    poison += [event(c, "Coupon Redeemed", 50, {"content_key": "x", "coupons": 9}) for c in range(1, 31)]
    poisoned = pl.concat([events.filter(pl.col("timestamp") < moment), frame(*poison)])
    for words in (WORDS, None):
        clean = facts_as_of(events, customers, moments, words)
        assert facts_as_of(poisoned, customers, moments, words).equals(clean)
    assert clean["orders_365d"].sum() > 0


def test_training_rows_equal_the_facts_of_just_before(crowd: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    events, customers = crowd
    early, late = NOW - timedelta(days=200), NOW - timedelta(days=20)
    moments = pl.DataFrame({"customer_id": [3, 3, 8], "moment": [early, late, late]}).with_columns(
        pl.col("moment").cast(pl.Datetime("us", "UTC"))
    )
    rows = facts_as_of(prepare(events), customers, moments, WORDS)
    assert rows.select("customer_id", "moment").rows() == [(3, early), (3, late), (8, late)]
    for row in rows.iter_rows(named=True):
        before = row["moment"] - timedelta(microseconds=1)
        one = facts_frame(events, people(row["customer_id"], city="Rome"), before, WORDS).row(0, named=True)
        assert one["spend_365d"] == row["spend_365d"]
        assert one["favourite_department"] == row["favourite_department"]
        assert one["share_dairy"] == row["share_dairy"]


def test_what_is_allowed_now_says_nothing_of_the_past(crowd: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    events, customers = crowd
    said = customers.with_columns(consents=pl.lit(["email"], pl.List(pl.String)))
    moments = pl.DataFrame(
        {"customer_id": [3], "moment": [NOW]}, {"customer_id": pl.Int64, "moment": pl.Datetime("us", "UTC")}
    )
    assert facts_as_of(events, said, moments, WORDS)["consents"].to_list() == [None]
    assert set(facts_frame(events, said, NOW, WORDS)["consents"].to_list()[0]) == {"email"}


def test_training_rows_without_moments_have_every_column(crowd: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    events, customers = crowd
    nothing = pl.DataFrame(schema={"customer_id": pl.Int64, "moment": pl.Datetime("us", "UTC")})
    rows = facts_as_of(events, customers, nothing, WORDS)
    assert rows.height == 0
    assert {"moment", "customer_id", "spend_30d", "share_dairy"} <= set(rows.columns)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[1]",
        '"text"',
        "null",
        '{"total": "12", "products": {}}',
        '{"total": true, "products": [1, null, "x"]}',
        '{"total": 1e999}',
        '{"total": 99999999999999999999999999}',
        '{"total": null, "products": null}',
        '{"products": [{"price": "3", "department": 5, "quantity": []}]}',
        '{"total": %s}' % ("9" * 400),
    ],
)
def test_properties_of_a_wrong_type_are_missing_and_never_an_error(text: str) -> None:
    found = facts(event(1, "Order Completed", 1, text), order(1, 2, Dairy=4), event(1, "Coupon Redeemed", 3, text))
    assert (found["orders"], found["spend"], found["share_dairy"]) == (2, 4, 1)
    assert found["coupon_redemptions_90d"] == 1


def test_a_bad_value_costs_only_itself() -> None:
    text = '{"total": 9, "products": [{"department": "Dairy", "price": 9, "quantity": null}, 7]}'
    found = facts(event(1, "Order Completed", 1, text))
    assert (found["spend"], found["share_dairy"], found["average_order_lines"]) == (9, 1, 2)


def test_shares_and_favourites_follow_the_money() -> None:
    found = facts(order(1, 1, Dairy=30, Fresh_Produce=10), order(1, 400, Fresh_Produce=1000))
    assert (found["share_dairy"], found["share_fresh_produce"]) == (0.75, 0.25)
    assert found["favourite_department"] == "Dairy"
    assert found["favourite_categories"] == ["Dairy things", "Fresh_Produce things"]
    assert found["categories_bought"] == 2


def test_equal_favourites_are_settled_by_name() -> None:
    assert facts(order(1, 1, Pastry=5, Dairy=5))["favourite_department"] == "Dairy"


def test_categories_of_the_last_thirty_days_are_listed_by_name() -> None:
    found = facts(order(1, 31, Old=5), order(1, 29, Tea=1, Coffee=1))
    assert found["recent_purchase_in_category"] == ["Coffee things", "Tea things"]


def test_coupon_habits_are_told_from_campaigns_and_redemptions() -> None:
    found = facts(
        event(1, "Campaign Received", 100, {"content_key": "a"}),
        event(1, "Campaign Received", 10, {"content_key": "b"}),
        event(1, "Coupon Redeemed", 95, {"content_key": "a", "coupons": 3}),
        event(1, "Coupon Redeemed", 5, {"content_key": "b"}),
        event(1, "Order Completed", 5, {"total": 8, "coupon_discount": 2}),
        event(1, "Order Completed", 6, {"total": 10}),
    )
    assert (found["campaigns_received_90d"], found["campaigns_received_365d"]) == (1, 2)
    assert (found["coupon_redemptions_90d"], found["coupon_redemptions_365d"]) == (1, 4)
    assert found["campaigns_redeemed_365d"] == 2
    assert found["days_since_redemption"] == 5
    assert (found["coupon_discount_share"], found["coupon_order_share"]) == (0.1, 0.5)


def test_receiving_a_campaign_is_no_visit() -> None:
    found = facts(
        event(1, "Campaign Received", 1),
        event(1, "Home", 2, kind="page"),
        event(1, "Product Viewed", 2.1),
        event(1, None, 3, kind="identify"),
    )
    assert found["visits_7d"] == 1


def test_hours_are_points_on_a_circle_in_the_vocabularys_zone() -> None:
    midnight_in_rome = frame(order(1, 0.5 + 2 / 24, Dairy=1))  # 22:00 UTC in summer time
    rome = Vocabulary(time_zone="Europe/Rome")
    found = facts_frame(midnight_in_rome, people(1), NOW, rome).row(0, named=True)
    assert (found["hour_sin"], found["hour_cos"]) == (0, 1)
    assert (found["weekday_sin"], found["weekday_cos"]) == (
        pytest.approx(0.781831482),
        pytest.approx(0.623489802),
    )


def test_rfm_scores_are_cut_by_the_stored_edges() -> None:
    best = facts(*(order(1, days, Dairy=20) for days in range(5)))
    worst = facts(order(1, 100, Dairy=1))
    assert (best["recency_score"], best["frequency_score"], best["monetary_score"], best["rfm_score"]) == (
        5,
        5,
        5,
        15,
    )
    assert worst["rfm_score"] == 3


def test_days_since_each_known_event_are_facts() -> None:
    found = facts(event(1, "Product Viewed", 2.5), event(1, "Unknown", 1))
    assert found["days_since_product_viewed"] == 2.5
    assert found["days_since_order_completed"] is None
    assert "days_since_unknown" not in found


def test_traits_pass_through_with_their_type() -> None:
    found = facts(city="Rome", member=True, children=2, likes=["tea", 5], other="x")
    assert (found["city"], found["member"], found["children"], found["likes"]) == ("Rome", True, 2.0, ["tea"])
    wrong = facts(city=5, member="yes", children="2", likes="tea")
    assert (wrong["city"], wrong["member"], wrong["children"], wrong["likes"]) == (None, None, None, None)


def test_a_trait_never_takes_the_name_of_a_computed_fact() -> None:
    found = facts(order(1, 1, Dairy=5), words=Vocabulary(traits=(("spend", "number"),)), spend=99)
    assert (found["spend"], found["trait_spend"]) == (5, 99)


def test_customers_may_come_without_traits() -> None:
    found = facts_frame(frame(), pl.DataFrame({"customer_id": [4]}), NOW, WORDS).row(0, named=True)
    assert (found["customer_id"], found["city"]) == (4, None)


def test_the_vocabulary_is_learned_from_everybody_and_survives_storage(
    crowd: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    events, customers = crowd
    words = learn_vocabulary(events, customers, NOW, "Europe/Rome")
    assert words.departments == ("Dairy", "Fresh Produce")
    assert words.traits == (("city", "text"),)
    assert set(words.event_names) == {
        "Order Completed",
        "Product Viewed",
        "Campaign Received",
        "Coupon Redeemed",
    }
    assert list(words.recency) == sorted(words.recency)
    assert len(words.monetary) == 4
    assert Vocabulary.from_dict(json.loads(json.dumps(words.to_dict()))) == words


def test_a_frame_without_vocabulary_learns_its_own(crowd: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    events, customers = crowd
    words = learn_vocabulary(events, customers, NOW)
    assert facts_frame(events, customers, NOW).equals(facts_frame(prepare(events), customers, NOW, words))


def test_the_catalogue_describes_exactly_the_columns_of_the_frame(
    crowd: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    computed = facts_frame(*crowd, NOW, WORDS)
    described = catalogue_facts(WORDS)
    assert computed.columns[1:] == list(described)
    assert all(fact.label and fact.description for fact in described.values())
    families = {"number": (pl.Int64, pl.UInt32, pl.Float64), "text": (pl.String,), "boolean": (pl.Boolean,)}
    families |= {"date": (pl.Datetime("us", "UTC"),), "text_list": (pl.List(pl.String),)}
    for name, fact in described.items():
        assert computed.schema[name] in families[fact.type], name


def test_scorers_are_told_numbers_and_kinds_but_nothing_that_only_grows() -> None:
    kinds = learnt_facts(WORDS)
    assert (kinds["spend_90d"], kinds["city"], kinds["member"]) == ("number", "category", "number")
    assert not {"spend", "tenure_days", "favourite_brand", "last_order_at", "likes"} & set(kinds)
    assert learnt_crosses(WORDS) == {"departments": share_facts(WORDS)}
    assert share_facts(WORDS)["Fresh Produce"] == "share_fresh_produce"


def test_every_built_in_fact_has_its_own_name() -> None:
    twice = Vocabulary(event_names=("Order completed!", "Order Completed"), traits=(("visits", "number"),))
    names = [fact.name for fact in built_in_facts(twice)]
    assert len(names) == len(set(names))
    assert slug("  Größe & more ") == "gr_e_more"


def test_it_says_what_is_missing_in_the_frame_and_in_the_clock() -> None:
    with pytest.raises(ValueError, match="lacks message_id, name"):
        prepare(pl.DataFrame({"customer_id": [1], "timestamp": [NOW], "properties": ["{}"]}))
    with pytest.raises(ValueError, match="time zone"):
        facts_frame(frame(), people(1), datetime(2026, 1, 1), WORDS)
