"""Facts about sessions, baskets, searches, contents, devices and ranks: what they are for histories one can follow."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from decisioning.customers.facts.contexts import NOWHERE, Where, read_context
from decisioning.customers.facts.deriving import derive
from decisioning.customers.facts.expiring import next_change, thresholds
from decisioning.customers.facts.folding import fold, merge
from decisioning.customers.facts.ranking import GRID, NAMES
from decisioning.customers.facts.shopping import MOST_ITEMS, read_query
from decisioning.customers.facts.state import FoldedEvent, pack
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language import parse
from tests.customers.happenings import AGENTS, NOW, as_stored, expected

PHONE, DESKTOP, TABLET, UNKNOWN = AGENTS
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def event(name: str, ago: timedelta, properties: Any = None, context: Any = None, kind: str = "track") -> FoldedEvent:
    number = f"{name} {ago} {json.dumps(properties)}"
    return FoldedEvent(number, kind, name, NOW - ago, json.dumps(properties or {}), json.dumps(context or {}))


def facts(*events: FoldedEvent, words: Vocabulary | None = None, now: datetime = NOW) -> dict[str, Any]:
    """From the state, after a look that the frame says the same."""
    known = words or Vocabulary()
    found = derive(fold(None, events, {}, now), now, known, {})
    assert expected([list(events)], now, known, {}) == [as_stored(found)]
    return found


# -- sessions


def test_half_an_hour_without_activity_ends_a_session() -> None:
    steps = (0, 10, 39, 68, 98, 128)
    found = facts(*(event("Home", 200 * MINUTE - step * MINUTE, kind="page") for step in steps))
    assert (found["sessions_7d"], found["session_events"]) == (3, 2)
    assert found["session_minutes"] == pytest.approx(68 / 3, abs=1e-6)
    assert found["last_session_at"] == "2026-03-29T00:18:00Z"


def test_a_late_event_makes_one_session_of_two() -> None:
    first, last, between = (event("Home", minutes * MINUTE, kind="page") for minutes in (100, 60, 80))
    assert facts(first, last)["sessions_7d"] == 2
    assert facts(first, last, between)["sessions_7d"] == 1


def test_a_session_belongs_to_the_window_its_end_is_in() -> None:
    week = timedelta(days=7)
    spanning = [event("Home", week + 10 * MINUTE, kind="page"), event("Home", week - 10 * MINUTE, kind="page")]
    assert facts(*spanning)["sessions_7d"] == 1
    assert facts(*spanning[:1])["sessions_7d"] == 0


def test_what_happens_to_a_customer_is_no_session() -> None:
    found = facts(*(event(name, HOUR) for name in ("Message Sent", "Content Viewed", "Content Converted")))
    assert (found["sessions_7d"], found["visits_7d"]) == (0, 0)
    assert (found["messages_sent_7d"], found["contents_viewed_30d"], found["content_conversions_90d"]) == (1, 1, 1)


# -- baskets


def added(product: str, hours: float, **more: Any) -> FoldedEvent:
    return event("Product Added", hours * HOUR, {"product_id": product, **more})


def test_a_basket_holds_what_was_added_and_not_removed() -> None:
    found = facts(
        added("tea", 5, price=4, quantity=3),
        added("milk", 4, price=1.5),
        added("jam", 4, price=2),
        event("Product Removed", 3 * HOUR, {"product_id": "tea", "quantity": 1}),
        event("Product Removed", 2 * HOUR, {"product_id": "jam"}),
    )
    assert (found["basket_products"], found["basket_value"], found["basket_abandoned_hours"]) == (2, 9.5, 2)


def test_an_order_empties_the_basket_and_thirty_days_do() -> None:
    ordered = facts(added("tea", 5, price=4), event("Order Completed", 4 * HOUR), added("jam", 3, price=2))
    assert (ordered["basket_products"], ordered["basket_value"]) == (1, 2)
    forgotten = facts(added("tea", 24 * 30, price=4))
    assert (forgotten["basket_products"], forgotten["basket_value"]) == (0, 0)
    assert "basket_abandoned_hours" not in forgotten


def test_a_basket_that_is_listed_is_what_the_list_says() -> None:
    listed = {"products": [{"sku": 7, "price": 3, "quantity": 2}, {"name": "no key but a name"}, {}]}
    found = facts(added("tea", 5, price=4), event("Cart Viewed", 2 * HOUR, listed), added("jam", 1, price=1))
    assert (found["basket_products"], found["basket_value"]) == (3, 7)
    emptied = facts(added("tea", 5, price=4), event("Cart Viewed", 2 * HOUR, {"products": []}))
    assert emptied["basket_products"] == 0


def test_a_cart_that_is_only_looked_at_stays_and_is_touched() -> None:
    found = facts(added("tea", 5, price=4), event("Cart Viewed", HOUR))
    assert (found["basket_products"], found["basket_abandoned_hours"]) == (1, 1)


def test_the_price_last_told_counts_and_a_basket_of_a_thousand_lines_is_read_to_its_limit() -> None:
    dearer = facts(added("tea", 5, price=4), added("tea", 4, price=6), added("tea", 3))
    assert dearer["basket_value"] == 18
    many = {"products": [{"product_id": number} for number in range(1000)]}
    assert facts(event("Cart Viewed", HOUR, many))["basket_products"] == MOST_ITEMS


def test_a_checkout_is_abandoned_after_a_day_without_an_order() -> None:
    started = [event("Checkout Started", hours * HOUR) for hours in (100, 60, 23)]
    bought = event("Order Completed", 40 * HOUR)
    assert facts(*started)["checkouts_abandoned_90d"] == 2
    assert facts(*started, bought)["checkouts_abandoned_90d"] == 1
    assert facts(event("Checkout Started", timedelta(days=90)))["checkouts_abandoned_90d"] == 0


# -- searches and looks


def test_the_newest_different_searches_are_kept_in_lower_case() -> None:
    searches = [event("Products Searched", hours * HOUR, {"query": f" Query   {hours % 7} "}) for hours in range(1, 20)]
    found = facts(*searches, event("Products Searched", HOUR / 2, {"query": 5}))
    assert found["recent_searches"] == [f"query {number}" for number in (1, 2, 3, 4, 5)]
    assert (found["searches_30d"], found["days_since_search"]) == (20, pytest.approx(0.5 / 24, abs=1e-6))
    assert len(read_query('{"query": "%s"}' % ("É" * 5000))) == 100


def test_looks_at_products_are_counted_by_category_and_compared_with_orders() -> None:
    looks = [
        event("Product Viewed", days * timedelta(days=1), {"category": name})
        for name, days in (("Tea", 1), ("Jam", 2), ("Jam", 10), ("Old", 91), (None, 3))
    ]
    found = facts(*looks, event("Order Completed", HOUR))
    assert (found["products_viewed_7d"], found["products_viewed_30d"], found["products_viewed_90d"]) == (3, 4, 4)
    assert found["recent_viewed_categories"] == ["Tea", "Jam"]
    assert (found["favourite_viewed_category"], found["view_to_order_ratio_90d"]) == ("Jam", 0.25)


def test_counts_by_the_hour_leave_a_window_with_their_hour() -> None:
    week = timedelta(days=7)
    began = NOW.replace(minute=0) - week
    for late in (0, 1, 29):
        sent = FoldedEvent("m", "track", "Message Sent", began + late * MINUTE, "{}")
        for now, number in ((began + week - MINUTE, 1), (began + week, 0)):
            assert facts(sent, now=now)["messages_sent_7d"] == number


def test_the_click_rate_is_missing_where_nothing_was_shown() -> None:
    shown = [event("Content Viewed", hours * HOUR) for hours in range(1, 5)]
    assert facts(*shown, event("Content Clicked", HOUR))["content_click_rate_90d"] == 0.25
    assert "content_click_rate_90d" not in facts(event("Content Clicked", HOUR))


def clicked(content: Any, ago: timedelta) -> FoldedEvent:
    return event("Content Clicked", ago, {"content": content})


def test_the_contents_clicked_last_are_listed_once_each_the_newest_first() -> None:
    clicks = [clicked(f"c-{number % 12}", (number + 1) * HOUR) for number in range(24)]
    assert facts(*clicks)["clicked_contents"] == [f"c-{number}" for number in range(10)]
    assert facts(*clicks, clicked("c-11", MINUTE))["clicked_contents"][:2] == ["c-11", "c-0"]


def test_a_click_is_remembered_for_ninety_days_to_the_microsecond() -> None:
    click, later = clicked("apple", HOUR), NOW - HOUR + timedelta(days=90)
    assert facts(click, now=later - timedelta(microseconds=1))["clicked_contents"] == ["apple"]
    assert "clicked_contents" not in facts(click, now=later)
    asked = thresholds([parse('clicked_contents CONTAINS "apple"')])
    assert next_change(fold(None, [click], {}, NOW), NOW, Vocabulary(), {}, asked) == later


def test_the_clicks_of_two_identities_are_one_list() -> None:
    halves = [[clicked(f"c-{number}", (number + 1) * HOUR) for number in range(first, 12, 2)] for first in (0, 1)]
    halves[1].append(clicked("c-4", MINUTE))
    whole = merge([fold(None, half, {}, NOW) for half in halves])
    newest = [4, 0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert derive(whole, NOW, Vocabulary(), {})["clicked_contents"] == [f"c-{number}" for number in newest]


@pytest.mark.parametrize("content", [None, 5, "", "x" * 101, ["apple"]])
def test_a_click_on_nothing_that_can_be_a_content_is_counted_and_not_listed(content: Any) -> None:
    found = facts(clicked(content, HOUR))
    assert (found["contents_clicked_30d"], found.get("clicked_contents")) == (1, None)


# -- devices and places


def at(hours: float, **context: Any) -> FoldedEvent:
    return event("Home", hours * HOUR, None, context, "page")


def test_the_last_device_and_the_usual_one_are_told_from_user_agents() -> None:
    found = facts(at(1, userAgent=DESKTOP), at(30, userAgent=PHONE), at(60, userAgent=PHONE), at(61, userAgent=TABLET))
    assert (found["last_device"], found["last_os"], found["last_browser"]) == ("desktop", "Linux", "Chrome")
    assert (found["usual_device"], found["devices_30d"]) == ("mobile", 3)


def test_a_place_is_kept_together_and_outlives_events_without_one() -> None:
    paris = {"country": "fr", "region": "Île-de-France", "city": "Paris"}
    found = facts(
        at(9, location=paris, locale="fr-FR"), at(5, location={"country": "IT"}), at(1, timezone="Europe/Rome")
    )
    assert (found["last_country"], found["last_locale"], found["last_time_zone"]) == ("IT", "fr-FR", "Europe/Rome")
    assert "last_city" not in found
    assert found["usual_country"] == "FR"


@pytest.mark.parametrize(
    ("context", "device"),
    [
        ({"userAgent": TABLET}, "tablet"),
        ({"userAgent": UNKNOWN}, "other"),
        ({"userAgent": "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36"}, "tv"),
        ({"device": {"type": "ios", "model": "iPad13,1"}, "os": {"name": "iPhone OS"}}, "tablet"),
        ({"device": {"type": "android"}}, "mobile"),
        ({"os": {"name": "Windows"}}, "desktop"),
        ({"device": {"type": "Desktop"}, "userAgent": PHONE}, "desktop"),
        ({"locale": "it"}, ""),
    ],
)
def test_every_kind_of_device_is_told(context: dict[str, Any], device: str) -> None:
    assert read_context(json.dumps(context)).device == device


@pytest.mark.parametrize("text", ["", "null", "[1]", '{"device": 5, "userAgent": {}, "location": ["x"]}', "{" * 999])
def test_a_context_nobody_would_expect_tells_nothing(text: str) -> None:
    assert read_context(text) == NOWHERE


def test_texts_of_a_context_are_put_on_one_line_and_cut() -> None:
    told = read_context(
        json.dumps({"location": {"city": " New \n York ", "region": "x" * 5000}, "userAgent": "z" * 9999})
    )
    assert told == Where(device="other", region="x" * 100, city="New York")


# -- seasons and ranks


def test_orders_have_a_season_and_a_quarter() -> None:
    found = facts(*(event("Order Completed", days * timedelta(days=1)) for days in (1, 2, 100, 400)))
    assert (found["busiest_quarter"], found["weekend_order_share"]) == ("Q1", pytest.approx(1 / 3, abs=1e-6))
    assert found["season_cos"] > 0


EDGES = Vocabulary(
    recency=(1.0, 7.0, 30.0, 90.0), frequency=(1.0, 2.0, 3.0, 4.0), monetary=(10.0, 20.0, 30.0, 40.0),
    frequency_30d=(1.0, 2.0, 3.0, 4.0), monetary_7d=(1.0, 2.0, 3.0, 4.0),
)  # fmt: skip


def bought(days: float, total: float) -> FoldedEvent:
    return event("Order Completed", days * timedelta(days=1), {"total": total})


def test_customers_have_a_name_by_their_scores() -> None:
    assert facts(*(bought(days / 10, 20) for days in range(6)), words=EDGES)["rfm_segment"] == "champions"
    assert facts(bought(0.5, 5), words=EDGES)["rfm_segment"] == "new"
    assert facts(bought(200, 5), words=EDGES)["rfm_segment"] == "lost"
    assert facts(*(bought(100 + days, 20) for days in range(6)), words=EDGES)["rfm_segment"] == "cannot lose"
    assert "rfm_segment" not in facts(words=EDGES)
    assert len(NAMES) == 11
    assert {name for row in GRID for name in row} == set(NAMES)


def test_scores_of_a_window_are_for_those_who_ordered_in_it() -> None:
    found = facts(bought(1, 2.5), bought(20, 50), words=EDGES)
    assert (found["frequency_score_30d"], found["monetary_score_7d"]) == (2, 3)
    assert "monetary_score_7d" not in facts(bought(20, 50), words=EDGES)
    assert "frequency_score_90d" not in found


def test_a_vocabulary_stored_before_windows_had_edges_is_still_read() -> None:
    stored = EDGES.to_dict()
    old = {name: value for name, value in stored.items() if not name.endswith("d")}
    assert Vocabulary.from_dict(stored) == EDGES
    assert Vocabulary.from_dict(old).recency == EDGES.recency
    assert Vocabulary.from_dict(old).recent("frequency", 30) == ()


# -- asking for a few


def test_facts_that_are_asked_for_are_the_same_as_among_all() -> None:
    state = fold(None, [added("tea", 5, price=4), bought(3, 9), at(7, userAgent=PHONE)], {}, NOW)
    everything = derive(state, NOW, EDGES, {})
    for name in everything:
        assert derive(state, NOW, EDGES, {}, only={name}) == {name: everything[name]}
    assert derive(state, NOW, EDGES, {}, only=()) == {}


def test_a_state_of_a_typical_customer_is_small() -> None:
    lines = [{"department": f"D{n}", "category": f"C{n}", "brand": f"B{n}", "price": 3} for n in range(3)]
    place = {"userAgent": PHONE, "locale": "it-IT", "location": {"country": "IT", "city": "Rome"}}
    events = [event("Order Completed", day * timedelta(days=20), {"total": 9, "products": lines}) for day in range(3)]
    views = [(day, step) for day in range(6) for step in range(4)]
    for day, step in views:
        ago = day * timedelta(days=14) + step * MINUTE
        events.append(event("Product Viewed", ago, {"category": f"C{step}"}, place))
    events += [event("Message Sent", timedelta(days=9 * day)) for day in range(4)]
    assert len(pack(fold(None, events, {}, NOW))) < 1024
