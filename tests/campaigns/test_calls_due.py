"""Calls made over real connections to a server that answers well, badly, slowly or never."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from standardwebhooks.webhooks import Webhook as Verifier

from campaigns import calls
from campaigns.models import Call, Webhook
from campaigns.models import Receiver as Standing
from campaigns.posting import Bounds
from campaigns.signing import new_secret
from decisioning.flows.call import AT_ONCE, Called, call_due, try_out

from .receiver import Receiver, Say
from .test_calls import let_waits_end, make_webhook, owe

State = Call.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def somewhere(settings: Any) -> None:
    settings.PUBLIC_URL = "https://shop.example"


def even() -> float:
    return 0.5


def states() -> list[str]:
    return list(Call.objects.order_by("customer_id").values_list("state", flat=True))


def test_a_due_call_is_made_and_can_be_verified(receiver: Receiver) -> None:
    secret = new_secret(lambda size: b"k" * size)
    webhook = make_webhook(url=receiver.url("/crm"))
    Webhook.objects.update(secret=secret)
    [call] = owe(webhook, 1)
    assert call_due() == Called(claimed=1, done=1)
    [got] = receiver.got
    assert Verifier(secret).verify(got.body, dict(got.headers)) == got.event
    assert (got.event["id"], got.event["source"]) == (str(call.pk), "https://shop.example")
    call.refresh_from_db()
    assert (call.state, call.status, call.answer, call.attempts) == (State.DONE, 200, "ok", 1)
    assert call.done_at is not None
    assert call_due() == Called()


def test_a_failed_call_comes_again_with_the_same_id_until_it_is_taken(receiver: Receiver) -> None:
    receiver.says("/", Say(500, b"no"), Say(hang_up=True), Say(200))
    [call] = owe(make_webhook(url=receiver.url()), 1)
    problems = []
    for _ in range(3):
        call_due(dice=even)
        assert call_due() == Called(), "not before its time"
        problems.append(Call.objects.get().problem)
        let_waits_end()
    assert problems[0] == "Answered 500."
    assert "Error" in problems[1]
    assert problems[2] == ""
    assert receiver.times() == {str(call.pk): 3}
    assert len({one.body for one in receiver.got}) == 1
    assert Call.objects.get().attempts == 3


def test_retry_after_is_honoured(receiver: Receiver) -> None:
    receiver.says("/", Say(429, headers={"retry-after": "3600"}))
    owe(make_webhook(url=receiver.url()), 1)
    call_due(dice=even)
    call = Call.objects.get()
    assert call.tried_at is not None
    assert timedelta(minutes=59) < call.due_at - call.tried_at < timedelta(minutes=61)


def test_twelve_attempts_and_it_is_dead_until_a_person_calls_again(receiver: Receiver) -> None:
    receiver.says("/", Say(503, b"down"))
    owe(make_webhook(url=receiver.url()), 1)
    for _ in range(15):
        call_due()
        let_waits_end()
    call = Call.objects.get()
    assert (call.state, call.problem, call.answer) == (State.DEAD, "Given up after 12 attempts: Answered 503.", "down")
    assert len(receiver.got) == 12
    receiver.says("/", Say(200))
    assert calls.call_again(Call.objects.all()) == 1
    let_waits_end()
    assert call_due().done == 1
    assert receiver.times() == {str(call.pk): 13}


@pytest.mark.parametrize("status", [302, 400, 401, 404, 422])
def test_a_refusal_is_tried_three_times(receiver: Receiver, status: int) -> None:
    receiver.says("/", Say(status, headers={"location": "http://169.254.169.254/latest/meta-data"}))
    owe(make_webhook(url=receiver.url()), 1)
    for _ in range(5):
        call_due()
        let_waits_end()
    assert len(receiver.got) == 3
    assert Call.objects.get().problem == f"Given up after 3 attempts: Answered {status}."


def test_gone_switches_the_webhook_off_and_holds_what_is_owed(receiver: Receiver) -> None:
    receiver.says("/", Say(410))
    webhook = make_webhook(url=receiver.url())
    owe(webhook, 1)
    call_due()
    owe(webhook, 2)
    assert call_due() == Called()
    webhook.refresh_from_db()
    assert not webhook.active
    assert "410 Gone" in webhook.receiver.notice
    assert states() == [State.DEAD, State.PENDING]


def test_a_private_address_is_refused_at_the_call_too(receiver: Receiver, settings: Any) -> None:
    settings.STRICT = True
    owe(make_webhook(url=receiver.url().replace("http:", "https:")), 1)
    call_due()
    call = Call.objects.get()
    assert (call.state, call.status, receiver.got) == (State.PENDING, None, [])
    assert "not on the public internet" in call.problem


def test_a_slow_receiver_holds_its_own_places_and_no_others(receiver: Receiver) -> None:
    receiver.says("/slow", Say(after=("/quick", 100)))
    slow, quick = make_webhook("slow", receiver.url("/slow")), make_webhook("quick", receiver.url("/quick"))
    owe(slow, *range(20))
    owe(quick, *range(100))
    assert call_due() == Called(claimed=120, done=120), "had the quick one waited, the slow one would have failed"
    assert receiver.most_together["/slow"] == calls.AT_ONCE


def test_many_receivers_that_do_not_answer_hold_up_nobody(receiver: Receiver) -> None:
    receiver.says("/dead", Say(after=("/alive", 50)))
    silent = AT_ONCE // calls.AT_ONCE - 1
    for number in range(silent):
        owe(make_webhook(f"dead-{number}", receiver.url("/dead")), *range(calls.AT_ONCE))
    owe(make_webhook("alive", receiver.url("/alive")), *range(50))
    assert call_due().done == silent * calls.AT_ONCE + 50


def test_a_call_without_an_answer_is_tried_again(receiver: Receiver) -> None:
    receiver.says("/", Say(wait=1.5), Say())
    owe(make_webhook(url=receiver.url()), 1)
    assert call_due(bounds=Bounds(total=0.5)).retried == 1
    assert Call.objects.get().problem == "No answer within 0.5 s."


def test_a_receiver_that_fails_is_left_in_peace_and_found_again(receiver: Receiver) -> None:
    receiver.says("/", Say(500))
    webhook = make_webhook(url=receiver.url())
    owe(webhook, *range(60))
    while call_due().claimed:
        pass
    tried = len(receiver.got)
    assert calls.FAILURES <= tried < calls.FAILURES + calls.AT_ONCE
    standing = Standing.objects.get()
    assert standing.paused_until is not None
    assert standing.failing_since is not None

    Standing.objects.update(paused_until=F("paused_until") - timedelta(hours=1))
    call_due()
    assert len(receiver.got) == tried + 1, "one call tries whether it is back"
    assert Standing.objects.get().pauses == 2

    receiver.says("/", Say(200))
    for _ in range(20):
        let_waits_end()
        call_due()
    assert set(states()) == {State.DONE}
    assert Standing.objects.get().failures == 0


def test_a_huge_and_a_dripping_answer_count_as_taken(receiver: Receiver) -> None:
    receiver.says("/huge", Say(200, b"x" * 20_000_000))
    receiver.says("/drip", Say(200, b"x" * 200, drip_text=0.05))
    owe(make_webhook("huge", receiver.url("/huge")), 1)
    owe(make_webhook("drip", receiver.url("/drip")), 2)
    call_due(bounds=Bounds(body=0.3))
    assert states() == [State.DONE, State.DONE]
    assert max(len(answer) for answer in Call.objects.values_list("answer", flat=True)) == 2000


def test_a_test_call_tells_the_answer_keeps_nothing_and_ends_a_pause(receiver: Receiver) -> None:
    receiver.says("/", Say(204, b""))
    secret = new_secret(lambda size: b"k" * size)
    webhook = make_webhook(url=receiver.url())
    webhook.secret = secret
    for _ in range(calls.FAILURES):
        calls.note_failed(webhook.pk)
    now = datetime.now(UTC)
    assert try_out(webhook, now).status == 204
    [got] = receiver.got
    assert Verifier(secret).verify(got.body, dict(got.headers))["type"] == "webhook.test"
    assert json.loads(got.body)["data"]["text"].startswith("A test call")
    assert not Call.objects.exists()
    assert Standing.objects.get().paused_until is None
    receiver.says("/", Say(500))
    assert try_out(webhook, now).status == 500
    assert Standing.objects.get().failures == 0, "a test call that fails counts against nobody"
