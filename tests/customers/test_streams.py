"""From a request's events to stored facts: contexts arrive, what lies ahead waits, and the log gives the same again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from decisioning.customers import profile
from decisioning.customers.facts import streams
from decisioning.customers.facts.deriving import derive
from decisioning.customers.facts.frame import facts_frame
from decisioning.customers.facts.state import unpack
from decisioning.customers.models import Customer, State
from decisioning.flows.react import react
from decisioning.flows.take import take_items

from .happenings import AGENTS

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
ROME = {"userAgent": AGENTS[0], "location": {"country": "IT", "city": "Rome"}, "locale": "it-IT"}


def send(*items: dict[str, Any], now: datetime = NOW) -> None:
    """As a client sends them."""
    plain = {"type": "track", "userId": "u-1", "timestamp": now.isoformat()}
    sent = [{**plain, "messageId": f"m-{number}", **item} for number, item in enumerate(items)]
    take_items([json.dumps(one).encode() for one in sent], "test", now)


@pytest.fixture
def visited(db: None, clean_redis: None) -> Customer:
    """Somebody who looked at tea on a phone in Rome, put it into the basket, and saw a message."""
    send(
        {"event": "Product Viewed", "properties": {"category": "Tea"}, "context": ROME},
        {
            "event": "Product Added",
            "properties": {"product_id": "t", "price": 4},
            "context": {"timezone": "Europe/Rome"},
        },
        {"event": "Message Sent", "context": {"userAgent": AGENTS[1]}},
    )
    react(NOW)
    return Customer.objects.get()


def test_the_context_of_what_was_done_becomes_facts(visited: Customer) -> None:
    facts = visited.facts
    assert (facts["last_device"], facts["last_os"], facts["last_city"]) == ("mobile", "iOS", "Rome")
    assert (facts["last_locale"], facts["last_time_zone"], facts["devices_30d"]) == ("it-IT", "Europe/Rome", 1)
    assert (facts["basket_products"], facts["products_viewed_7d"], facts["messages_sent_7d"]) == (1, 1, 1)


def test_the_log_gives_the_same_facts_as_the_state(visited: Customer) -> None:
    [row] = facts_frame(profile.read_events(), profile.read_customers(), NOW, profile.vocabulary()).to_dicts()
    for name in ("last_device", "last_city", "basket_value", "products_viewed_7d", "sessions_7d", "messages_sent_7d"):
        assert row[name] == visited.facts[name]


def test_a_state_of_another_layout_is_made_anew_from_the_log(visited: Customer) -> None:
    State.objects.update(schema="of another layout")
    found = streams.load([visited.pk], {})
    streams.save([stream for mine in found.values() for stream in mine], NOW, {})
    whole = streams.together(streams.load([visited.pk], {})[visited.pk])
    facts = derive(whole, NOW, profile.vocabulary(), {})
    assert {name: facts.get(name) for name in visited.facts} == visited.facts


def test_an_event_ahead_of_the_clock_counts_when_its_time_has_come(visited: Customer) -> None:
    later = NOW + timedelta(seconds=40)
    send({"event": "Order Completed", "messageId": "later", "timestamp": later.isoformat()})
    react(NOW)
    assert Customer.objects.get().facts["orders"] == 1, "facts are taken at once after what came"
    state = unpack(bytes(State.objects.get().data))
    assert (state.ahead, state.names["Order Completed"][0]) == ([], 1)


def test_what_lies_ahead_of_a_rebuilt_state_waits(visited: Customer) -> None:
    State.objects.all().delete()
    earlier = NOW - timedelta(hours=1)
    found = streams.load([visited.pk], {})
    streams.save([stream for mine in found.values() for stream in mine], earlier, {})
    state = unpack(bytes(State.objects.get().data))
    assert len(state.ahead) == state.events == 3
    words = profile.vocabulary()
    assert derive(state, earlier, words, {})["products_viewed_7d"] == 0
    assert derive(state, NOW, words, {})["products_viewed_7d"] == 1
