"""What a receiver gets and what follows its answer: signatures, CloudEvents, retries. No network, no database."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from campaigns import signing
from campaigns.models import Call, Webhook
from campaigns.posting import Answer
from campaigns.webhooks import (
    ENTERED,
    FORMER_VALID,
    LONGEST_RETRY_AFTER,
    MOST_ATTEMPTS,
    MOST_REFUSALS,
    TEST,
    asked_wait,
    data_of,
    event_of,
    judge,
    request_of,
    secrets_of,
    wait_after,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "0199f0a2-0000-7000-8000-000000000001"
ECO = {"key": "eco", "name": "Eco shoppers"}
State = Call.State


def secret(fill: int = 1) -> str:
    return signing.new_secret(lambda size: bytes([fill]) * size)


def call(**fields: object) -> Call:
    data = data_of("c-1", ECO, NOW, "event", "Order Completed m-1")
    webhook = Webhook(key="crm", name="CRM", url="https://hooks.example/x", secret=secret(), **fields)
    return Call(pk=ID, webhook=webhook, customer_id=1, type=ENTERED, data=data)


def even() -> float:
    return 0.5


def test_a_signature_is_the_one_of_the_standard() -> None:
    # The example of the specification's own libraries.
    signed = signing.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_receivers_libraries_verify_what_is_sent() -> None:
    real = datetime.now(UTC)  # at import it may be minutes ago, and libraries refuse that
    request = request_of(call(), "https://shop.example", real)
    assert Verifier(secret()).verify(request.body, request.headers)["id"] == ID
    with pytest.raises(WebhookVerificationError):
        Verifier(secret(2)).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(secret()).verify(request.body.replace(b"c-1", b"c-2"), request.headers)


def test_after_a_rotation_both_secrets_verify_for_a_day() -> None:
    real = datetime.now(UTC)  # at import it may be minutes ago, and libraries refuse that
    rotated = call(former_secret=secret(2), rotated_at=real - FORMER_VALID + timedelta(seconds=1))
    request = request_of(rotated, "https://shop.example", real)
    assert len(request.headers["webhook-signature"].split()) == 2
    for one in (secret(), secret(2)):
        assert Verifier(one).verify(request.body, request.headers)
    assert list(secrets_of(rotated.webhook, real + timedelta(seconds=2))) == [secret()]


def test_a_secret_is_as_the_standard_wants_it() -> None:
    made = signing.new_secret(lambda size: bytes(range(size)))
    assert made == "whsec_" + b64encode(bytes(range(32))).decode()
    with pytest.raises(ValueError, match=r"base64|padding"):
        signing.signature("whsec_not base64!", ID, 1, b"")


def test_the_body_is_a_cloudevent_in_structured_mode() -> None:
    request = request_of(call(), "https://shop.example", NOW)
    assert request.headers["content-type"] == "application/cloudevents+json"
    message = HTTPMessage(dict(request.headers), request.body)
    event = from_structured_event(message)
    assert (event.get_id(), event.get_type(), event.get_source()) == (ID, ENTERED, "https://shop.example")
    assert (event.get_subject(), event.get_time(), event.get_datacontenttype()) == ("c-1", NOW, "application/json")
    assert event.get_data() == {
        "customer": {"id": "c-1"},
        "segment": {"key": "eco", "name": "Eco shoppers"},
        "at": "2026-03-01T12:00:00Z",
        "reason": {"how": "event", "by": "Order Completed m-1"},
    }


def test_every_attempt_has_the_same_body_and_a_signature_of_its_own() -> None:
    first, later = (request_of(call(), "https://shop.example", at) for at in (NOW, NOW + timedelta(hours=3)))
    assert (first.body, first.headers["webhook-id"]) == (later.body, later.headers["webhook-id"])
    assert first.headers["webhook-signature"] != later.headers["webhook-signature"]


def test_a_test_call_is_about_nobody() -> None:
    event = event_of(ID, TEST, "https://shop.example", {"at": "2026-03-01T12:00:00Z"})
    assert b'"subject"' not in event


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_means_taken(status: int) -> None:
    assert judge(1, Answer(status), NOW, even).state == State.DONE


@pytest.mark.parametrize("answer", [Answer(s) for s in (408, 425, 429, 500, 502, 503, 504, 599)] + [Answer(None)])
def test_what_may_pass_is_tried_again_to_the_last_attempt(answer: Answer) -> None:
    for attempts in range(1, MOST_ATTEMPTS):
        assert judge(attempts, answer, NOW, even).state == State.PENDING
    last = judge(MOST_ATTEMPTS, answer, NOW, even)
    assert last.state == State.DEAD
    assert last.problem.startswith("Given up after 12 attempts")


@pytest.mark.parametrize("answer", [Answer(s) for s in (301, 302, 307, 400, 401, 403, 404, 422)])
def test_what_will_be_answered_the_same_again_is_tried_three_times(answer: Answer) -> None:
    states = [judge(attempts, answer, NOW, even).state for attempts in range(1, MOST_REFUSALS + 1)]
    assert states == [State.PENDING, State.PENDING, State.DEAD]


def test_an_address_we_do_not_call_is_given_up_as_soon() -> None:
    refused = Answer(problem="10.0.0.1 is not on the public internet", refused=True)
    assert [judge(n, refused, NOW, even).state for n in (2, 3)] == [State.PENDING, State.DEAD]


def test_gone_is_gone() -> None:
    then = judge(1, Answer(410), NOW, even)
    assert (then.state, then.gone) == (State.DEAD, True)


def test_waits_grow_and_the_attempts_last_for_about_three_days() -> None:
    waits = [wait_after(attempts, even) for attempts in range(1, MOST_ATTEMPTS)]
    assert waits[:4] == [5, 20, 80, 320]
    assert waits == sorted(waits)
    assert 2.5 < sum(waits) / 86400 < 3.5


@pytest.mark.parametrize(("dice", "factor"), [(lambda: 0.0, 0.8), (lambda: 1.0, 1.2)])
def test_chance_moves_a_wait_by_a_fifth(dice: Callable[[], float], factor: float) -> None:
    assert wait_after(3, dice) == pytest.approx(80 * factor)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Sun, 01 Mar 2026 12:10:00 GMT", 600),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("999999999999999999999", LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("٣", 0),
        ("", 0),
    ],
)
def test_retry_after_is_read_and_capped(header: str, seconds: float) -> None:
    assert asked_wait(header, NOW) == seconds


def test_retry_after_makes_a_wait_longer_and_never_shorter() -> None:
    asked = judge(1, Answer(503, retry_after="600"), NOW, even)
    assert asked.wait_seconds == 600
    hurried = judge(5, Answer(429, retry_after="1"), NOW, even)
    assert hurried.wait_seconds == wait_after(5, even) == 1280
