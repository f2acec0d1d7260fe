"""Outcomes and sent messages become events of the log: each once, of the right customer, whatever is killed when."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from campaigns.models import Campaign, Message
from decisioning.customers.identity.family import head_of
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, Event, Identity, Pending, PlannedEvent, PlanProblem, Receipt
from decisioning.customers.plan import planning
from decisioning.flows import respond
from decisioning.flows.react import react
from decisioning.models import Decision, Outcome

from ..customers.test_ingest import checked

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def somebody(key: str = "c-1", *pairs: tuple[str, str]) -> Customer:
    customer = Customer.objects.create(key=key)
    for kind, value in pairs or [("user_id", key)]:
        Identity.objects.create(customer=customer, kind=kind, value=value)
    return customer


def decided(customer: Customer | None, key: str = "", at: datetime = NOW, **more: Any) -> Decision:
    """A ledger row; its id says when it was made, as the real ones do."""
    made = UUID(int=(int(at.timestamp() * 1000) << 80) | (uuid7().int & ((1 << 80) - 1)))
    words = {"placement": "hero", "rung": "full", "reason": "MODEL", "policy": "greedy", **more}
    row = Decision(id=made, at=at, customer_key=customer.key if customer else key, **words)
    row.customer_id = customer.pk if customer else None
    return row


def followed(decision: Decision, kind: str = "impression", message_id: str = "", at: datetime = NOW, **more) -> Outcome:
    name = message_id or f"{kind}-{decision.pk}"
    return Outcome.objects.create(decision_id=decision.pk, content="apple", kind=kind, at=at, message_id=name, **more)


def told() -> list[tuple[str, str, Any]]:
    """Message id, name and properties of every event, in their order."""
    rows = Event.objects.order_by("timestamp", "message_id").values_list("message_id", "name", "properties")
    return [(*row[:2], row[2]) for row in rows]


@pytest.mark.django_db
def test_each_kind_of_outcome_becomes_an_event_of_the_decisions_customer():
    decision = decided(somebody())
    decision.save()
    followed(decision, "impression", "o-1")
    followed(decision, "click", "o-2", NOW + MINUTE)
    followed(decision, "conversion", "o-3", NOW + 2 * MINUTE, value=9.5)
    assert respond.tell(NOW + 3 * MINUTE) == 3
    said = {"content": "apple", "placement": "hero", "decision_id": str(decision.pk)}
    assert told() == [
        ("outcome:o-1", "Content Viewed", said),
        ("outcome:o-2", "Content Clicked", said),
        ("outcome:o-3", "Content Converted", {**said, "value": 9.5}),
    ]
    event = Event.objects.get(message_id="outcome:o-2")
    assert (event.timestamp, event.source, event.historical, event.bot) == (NOW + MINUTE, "responses", False, False)
    assert event.identity.customer.key == "c-1"
    assert (respond.tell(NOW + 3 * MINUTE), Event.objects.count()) == (0, 3)


@pytest.mark.django_db
def test_an_outcome_waits_for_its_decision_and_is_told_when_it_comes():
    decision = decided(somebody())
    followed(decision)
    assert (respond.tell(NOW + 9 * MINUTE), Event.objects.count()) == (0, 0)
    decision.save()
    assert (respond.tell(NOW + 9 * MINUTE), Event.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_one_whose_decision_never_comes_is_given_up_and_holds_up_nobody(caplog):
    lost, found = decided(None, "c-9"), decided(somebody())
    found.save()
    followed(lost, message_id="a")
    followed(found, message_id="b")
    assert respond.tell(NOW + MINUTE, 1) == 1
    assert Outcome.objects.get(message_id="a").told is False
    assert respond.tell(NOW + 11 * MINUTE) == 1
    assert Outcome.objects.get(message_id="a").told is True
    assert [name for name, *_ in told()] == ["outcome:b"]
    assert "1 outcomes belong to decisions that the ledger does not have" in caplog.text


@pytest.mark.django_db
def test_an_outcome_that_a_client_dated_back_still_waits_for_a_young_decision():
    followed(decided(somebody()), at=NOW - timedelta(days=1))
    assert (respond.tell(NOW + MINUTE), Outcome.objects.get().told) == (0, False)


@pytest.mark.django_db
def test_the_strongest_identifier_of_its_own_customer_gets_it_before_those_of_a_merge():
    winner = somebody("c-1", ("user_id", "c-1"))
    loser = somebody("anonymous:a", ("anonymous_id", "a"), ("email", "ann@shop.example"))
    Identity.objects.filter(value="a").update(home=loser)
    Identity.objects.filter(value="c-1").update(home=winner)
    decision = decided(loser)
    decision.save()
    Identity.objects.filter(customer=loser).update(customer=winner)
    Customer.objects.filter(pk=loser.pk).update(merged_into=winner)
    followed(decision)
    respond.tell(NOW)
    event = Event.objects.get()
    assert (event.identity.kind, event.identity.customer_id) == ("email", head_of(loser.pk))


@pytest.mark.django_db
@pytest.mark.usefixtures("clean_redis")
def test_a_visitor_whom_nobody_knew_is_known_from_then_on():
    decision = decided(None, "anonymous:a-7")
    decision.save()
    followed(decision)
    assert respond.tell(NOW) == 1
    assert Event.objects.get().identifiers == [["anonymous_id", "a-7"]]
    assert Customer.objects.get().key == "anonymous:a-7"


@pytest.mark.django_db
def test_a_decision_that_could_not_look_its_customer_up_names_them_by_key():
    somebody("c-1")
    decision = decided(None, "c-1")
    decision.save()
    followed(decision)
    respond.tell(NOW)
    assert Event.objects.get().identity.customer.key == "c-1"


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["anonymous:undefined", "anonymous:" + "x" * 190, "gone", ""])
def test_an_outcome_of_nobody_is_marked_and_makes_nobody_up(key):
    decision = decided(None, key)
    decision.save()
    followed(decision)
    assert (respond.tell(NOW), respond.tell(NOW)) == (1, 0)
    assert (Event.objects.count(), Customer.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_imported_outcomes_stay_out():
    decision = decided(somebody(), source="import")
    decision.save()
    followed(decision, told=True)
    assert (respond.tell(NOW + 11 * MINUTE), Event.objects.count()) == (0, 0)


def sent(customer: Customer, at: datetime = NOW, state: str = "sent", key: str = "hello") -> Message:
    words = {"trigger": "event", "event_name": "x", "subject": "s", "body": "b"}
    campaign, _ = Campaign.objects.get_or_create(key=key, defaults={"name": key, **words})
    row = Message.objects.create(campaign=campaign, customer=customer, trigger_key=str(uuid7()), state=state)
    Message.objects.filter(pk=row.pk).update(sent_at=at)
    return row


@pytest.mark.django_db
def test_a_sent_message_becomes_an_event_once_and_others_do_not():
    customer = somebody()
    message = sent(customer)
    for state in ("pending", "claimed", "sending", "unknown", "failed", "suppressed"):
        sent(customer, state=state)
    assert respond.tell(NOW) == 1
    said = {"campaign": "hello", "channel": "email", "message": message.pk}
    assert told() == [(f"message:{message.pk}", "Message Sent", said)]
    assert Event.objects.get().timestamp == NOW
    respond.forget()
    assert respond.tell(NOW) == 0


@pytest.mark.django_db
def test_messages_are_told_a_few_at_a_time_and_one_that_was_noted_late_is_not_lost():
    customer = somebody()
    for index in range(5):
        sent(customer, NOW - index * MINUTE)
    assert [respond.tell(NOW, 2) for _ in range(4)] == [2, 2, 1, 0]
    late = sent(customer, NOW - 9 * MINUTE)
    assert respond.tell(NOW) == 1
    assert Receipt.objects.filter(event_id=Event.objects.get(message_id=f"message:{late.pk}").pk).exists()


@pytest.mark.django_db
def test_a_message_is_told_at_the_time_the_products_clock_showed(settings):
    settings.CLOCK_OFFSET = -365 * 86_400
    sent(somebody())
    respond.tell(NOW - timedelta(days=365))
    assert Event.objects.get().timestamp == NOW - timedelta(days=365)


@pytest.mark.django_db
@pytest.mark.usefixtures("clean_redis")
def test_no_plan_refuses_or_counts_them_and_only_a_campaign_that_asks_is_triggered():
    PlannedEvent.objects.create(name="*", locked=True, policy="refuse")
    planning.forget()
    decision = decided(somebody())
    decision.save()
    followed(decision, "impression", "o-1")
    followed(decision, "click", "o-2")
    words = {"trigger": "event", "subject": "s", "body": "b"}
    Campaign.objects.create(key="asks", name="Asks", event_name="Content Clicked", **words)
    Campaign.objects.create(key="other", name="Other", event_name="Order Completed", **words)
    respond.tell(NOW)
    assert react(NOW).events == 2
    planning.flush(NOW)
    assert (Event.objects.count(), Pending.objects.count(), PlanProblem.objects.count()) == (2, 0, 0)
    assert list(Message.objects.values_list("campaign__key", "trigger_key")) == [("asks", "outcome:o-2")]


def a_hundred() -> None:
    """A hundred outcomes of ten customers, and twenty sent messages."""
    for index in range(10):
        customer = somebody(f"c-{index}")
        decision = decided(customer)
        decision.save()
        for number in range(10):
            followed(decision, message_id=f"o-{index}-{number}")
        sent(customer)
        sent(customer, NOW - MINUTE)


def start(step: str) -> int:
    words = [sys.executable, str(Path(__file__).with_name("teller.py"))]
    words += [connection.settings_dict["NAME"], step, NOW.isoformat()]
    root = str(Path(__file__).resolve().parents[2])
    settings = {"DJANGO_SETTINGS_MODULE": "decisioning.config.settings", "PYTHONPATH": root}
    return subprocess.run(words, check=False, cwd=root, env={**os.environ, **settings}).returncode


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("clean_redis")
def test_a_teller_that_is_killed_loses_nothing_and_tells_nothing_twice():
    a_hundred()
    assert start("stored") == -signal.SIGKILL
    assert (Event.objects.count(), Outcome.objects.filter(told=True).count()) == (0, 0)
    assert start("outcomes") == -signal.SIGKILL
    assert (Event.objects.count(), Outcome.objects.filter(told=True).count()) == (20, 20)
    assert start("") == 0
    assert Counter(Event.objects.values_list("name", flat=True)) == {"Content Viewed": 100, "Message Sent": 20}
    assert (Outcome.objects.filter(told=False).count(), Pending.objects.count()) == (0, 120)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("clean_redis")
def test_two_tellers_at_once_share_the_work():
    a_hundred()
    dealt: list[int] = []

    def tell() -> None:
        try:
            while number := respond.tell(NOW, 7):
                dealt.append(number)
        finally:
            connection.close()

    tellers = [threading.Thread(target=tell) for _ in range(2)]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join(60)
    respond.forget()
    while respond.tell(NOW, 7):
        pass
    assert Counter(Event.objects.values_list("name", flat=True)) == {"Content Viewed": 100, "Message Sent": 20}
    assert len(set(Event.objects.values_list("message_id", flat=True))) == 120


@pytest.mark.django_db
def test_an_event_that_the_shop_sent_itself_is_another_one():
    decision = decided(somebody())
    decision.save()
    store([checked("o-1", NOW, "c-1", name="Content Viewed")], NOW)
    followed(decision, message_id="o-1")
    assert respond.tell(NOW) == 1
    assert [name for name, *_ in told()] == ["o-1", "outcome:o-1"]
