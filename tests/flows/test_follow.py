"""Outcomes from events that carry a token: which event is what, its value, and each event once."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from decisioning.customers.intake.ingest import store
from decisioning.customers.intake.pending import Row
from decisioning.customers.models import Customer
from decisioning.flows import respond
from decisioning.flows.follow import follow_events, value_of
from decisioning.flows.react import react
from decisioning.models import EventOutcome, Outcome, Tally
from decisioning.store import tokens
from tests.customers.test_ingest import checked
from tests.flows.test_respond import decided, somebody

AT = datetime(2026, 3, 1, tzinfo=UTC)
DECISION = UUID(int=7)
TOKEN = tokens.issue(DECISION, "apple")
# Of another decision, with this one's signature.
OTHERS = ("B" if TOKEN[0] == "A" else "A") + TOKEN[1:]


def event(name: str, message_id: str = "m-1", bot: bool = False, historical: bool = False, **properties) -> Row:
    told = msgspec.json.encode(properties).decode()
    return Row(message_id, "track", name, AT, told, "{}", UUID(int=1), 1, 1, "{}", historical, bot, "user_id", "c-1")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [("Order Completed", "conversion", 9.5), ("Product Clicked", "click", 0), ("Promotion Viewed", "impression", 0)],
)
def test_an_event_with_a_token_is_the_outcome_its_name_says(name, kind, value):
    assert follow_events([event(name, decision_token=TOKEN, revenue=9.5)]) == 1
    row = Outcome.objects.get()
    assert (row.decision_id, row.content, row.kind, row.value, row.at) == (DECISION, "apple", kind, value, AT)
    assert not row.told


@pytest.mark.django_db
def test_facts_are_told_of_it_but_not_of_history_nor_of_what_the_event_said_itself():
    EventOutcome.objects.create(event="Content Clicked", kind="click")
    EventOutcome.objects.create(event="Content Viewed", kind="click")
    rows = [
        event("Content Clicked", "a", token=TOKEN),
        event("Content Viewed", "b", token=TOKEN),
        event("Product Clicked", "c", token=TOKEN),
        event("Product Clicked", "d", historical=True, token=TOKEN),
    ]
    assert follow_events(rows) == 4
    assert list(Outcome.objects.order_by("pk").values_list("told", flat=True)) == [True, False, False, True]


@pytest.mark.django_db
def test_the_same_event_again_counts_once_and_another_beside_it():
    twice = [event("Order Completed", token=TOKEN, total=3), event("Order Completed", token=TOKEN, total=3)]
    follow_events(twice)
    follow_events(twice)
    follow_events([event("Order Completed", "m-2" * 90, token=TOKEN, total=4)])
    assert sorted(Outcome.objects.values_list("value", flat=True)) == [3, 4]


@pytest.mark.django_db
def test_the_admin_says_what_else_an_event_is_and_what_is_none():
    EventOutcome.objects.create(event="Lead Won", kind="conversion")
    EventOutcome.objects.create(event="Product Clicked", kind="")
    follow_events([event("Lead Won", "a", token=TOKEN), event("Product Clicked", "b", token=TOKEN)])
    assert Outcome.objects.get().kind == "conversion"


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["x", 5, ["a"], {"a": 1}, OTHERS, "é"])
def test_a_token_that_is_none_is_counted_and_spoils_no_other_event(token):
    good = event("Order Completed", "good", token=TOKEN)
    assert follow_events([event("Order Completed", "bad", token=token), good]) == 1
    assert Tally.objects.get(what="outcomes", name="bad_token").count == 1
    assert Tally.objects.get(what="tokens").name == f"{'forged' if token == OTHERS else 'unreadable'} events"


@pytest.mark.django_db
def test_robots_and_other_events_tell_nothing():
    rows = [event("Order Completed", "a", True, token=TOKEN), event("Signed In", "b", token="secret of the app")]
    assert follow_events(rows) == 0
    assert not Tally.objects.exists()


@pytest.mark.parametrize(
    ("properties", "value"),
    [
        ({"revenue": 1.5, "total": 2}, 1.5),
        ({"revenue": "abc", "total": "2.5"}, 2.5),
        ({"revenue": -1, "total": 1e300}, 0),
        ({"value": True}, 0),
        ({"value": "nan"}, 0),
        ({"revenue": 10**400}, 0),
        ({}, 0),
    ],
)
def test_the_value_is_the_first_amount_told(properties, value):
    assert value_of(properties) == value


@pytest.mark.django_db
@pytest.mark.usefixtures("clean_redis")
def test_the_consumer_keeps_outcomes_with_the_events_however_often_it_takes_them(now):
    properties = msgspec.json.encode({"decision_token": TOKEN, "revenue": 12.5}).decode()
    sent = checked("m-7", now, "c-1", name="Order Completed", properties=properties)
    store([sent, sent], now)
    assert react(now).events == 1
    store([sent], now)
    react(now)
    row = Outcome.objects.get()
    assert (row.kind, row.content, row.value, row.told) == ("conversion", "apple", 12.5, False)


@pytest.mark.django_db
@pytest.mark.usefixtures("clean_redis")
def test_a_click_told_by_an_event_is_one_click_among_the_facts_however_often_it_comes(now):
    decision = decided(somebody(), at=now)
    decision.save()
    properties = msgspec.json.encode({"token": tokens.issue(decision.pk, "apple")}).decode()
    for message_id in ("m-1", "m-1", "m-2"):
        store([checked(message_id, now, "c-1", name="Product Clicked", properties=properties)], now)
        react(now)
        respond.tell(now)
    while react(now).events:
        respond.tell(now)
    facts = Customer.objects.get().facts
    assert (facts["contents_clicked_30d"], facts["clicked_contents"]) == (2, ["apple"])
    assert not Outcome.objects.filter(told=False).exists()
