"""Limits of keys: who waits, what the answer says of it, and a limiter that fails."""

import json
from typing import Any

import pytest

from decisioning.api import intake, limits
from decisioning.customers.models import Event

from ..flows.conftest import *  # noqa: F403  (the same small site)
from .ringed import *  # noqa: F403
from .test_intake import Answer, event, packed, send

ASK = json.dumps({"customer_id": "c-1", "placements": ["hero"]}).encode()


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The limiter's clock."""
    at = [100.0]
    made = limits.Limiter(lambda: at[0])
    monkeypatch.setattr(limits, "limiter", made)
    monkeypatch.setattr(intake, "limiter", made)
    return at


def ask(key: str, path: str = "/v1/decide", body: bytes = ASK) -> Answer:
    return send(path, body, authorization=f"Bearer {key}")


def quota(answer: Answer) -> tuple[str | None, str | None]:
    return answer.headers.get("RateLimit-Policy"), answer.headers.get("RateLimit")


def test_a_key_may_ask_as_often_as_its_limit_says_and_is_told_what_is_left(new_key, moment):
    key = new_key(decide_rate=2)
    answers = [ask(key) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [quota(answer) for answer in answers] == [
        ('"decisions";q=2;w=1', '"decisions";r=1;t=1'),
        ('"decisions";q=2;w=1', '"decisions";r=0;t=1'),
        ('"decisions";q=2;w=1', '"decisions";r=0;t=1'),
    ]
    assert answers[2].headers["Retry-After"] == "1"
    assert answers[2].body["error"]["code"] == "too_many"
    assert "limit is set at the key" in answers[2].body["error"]["message"]
    moment[0] += 1
    assert ask(key).status == 200


def test_over_ten_seconds_a_key_gets_ten_times_its_rate(new_key, moment):
    key = new_key(decide_rate=5)
    passed = 0
    for _ in range(200):
        passed += ask(key).status == 200
        moment[0] += 0.05
    assert 50 <= passed <= 56


def test_decisions_outcomes_and_events_are_counted_apart(new_key, moment):
    key = new_key(decide_rate=1, outcome_rate=1, event_rate=1)
    assert [ask(key).status, ask(key).status] == [200, 429]
    outcomes = [ask(key, "/v1/outcomes", b"{}") for _ in range(2)]
    assert [answer.status for answer in outcomes] == [400, 429]
    assert quota(outcomes[1])[1] == '"outcomes";r=0;t=1'
    events = [ask(key, "/v1/track", json.dumps(event(n)).encode()) for n in range(2)]
    assert [answer.status for answer in events] == [200, 429]
    assert quota(events[1]) == ('"events";q=1;w=1', '"events";r=0;t=1')


def test_a_batch_costs_a_decision_for_each_customer_and_what_it_overdraws_is_waited_for(new_key, moment):
    key = new_key(decide_rate=10)
    many = {"customer_ids": [*(f"b-{number}" for number in range(1000)), "b-0"], "placements": ["hero", "hero"]}
    first, second = (ask(key, "/v1/decide/batch", json.dumps(many).encode()) for _ in range(2))
    assert (first.status, quota(first)) == (200, ('"decisions";q=10;w=1', '"decisions";r=0;t=100'))
    assert (second.status, second.headers["Retry-After"]) == (429, "99")
    moment[0] += 98.0
    assert ask(key).status == 429
    moment[0] += 1.5
    assert ask(key).status == 200


def test_a_batch_that_cannot_be_read_costs_one_decision(new_key, moment):
    key = new_key(decide_rate=2)
    assert [ask(key, "/v1/decide/batch", b"{}").status for _ in range(3)] == [400, 400, 429]


@pytest.mark.parametrize("rate", [None, 0])
def test_without_a_limit_nothing_is_counted_and_nothing_told(new_key, moment, rate):
    key = new_key(decide_rate=rate)
    answers = [ask(key) for _ in range(50)]
    assert {answer.status for answer in answers} == {200}
    assert quota(answers[-1]) == (None, None)


@pytest.mark.parametrize(("rate", "passes"), [(None, 2), (0, 5), (3, 3)])
def test_a_keys_own_limit_of_events_goes_before_the_servers(new_key, moment, settings: Any, rate, passes):
    settings.INTAKE_EVENTS_PER_SECOND = 2
    key = new_key("track", event_rate=rate)
    answers = [ask(key, "/v1/batch", packed(event(n))) for n in range(5)]
    assert [answer.status for answer in answers] == [200] * passes + [429] * (5 - passes)


def asked(number: int, **more: Any) -> bytes:
    events = [{"type": "track", "userId": "c-1", "messageId": f"m-{number}-{n}", "event": "Clicked"} for n in range(4)]
    return json.dumps({"customer_id": "c-1", "placements": ["hero"], "events": events, **more}).encode()


def test_events_that_come_with_a_question_count_against_the_limit_and_the_question_is_answered(new_key, moment):
    key = new_key("decide", "track", event_rate=5)
    answers = [ask(key, body=asked(number)) for number in range(4)]
    told = [[one["code"] for one in answer.body["errors"] if one["code"] != "events_late"] for answer in answers]
    assert [answer.status for answer in answers] == [200] * 4
    assert told == [[], [], ["too_many"], ["too_many"]]
    assert Event.objects.count() == 8
    assert ask(key, "/v1/batch", packed(event(1))).status == 429


@pytest.mark.parametrize("wrong", [{"placements": ["nowhere"]}, {"customer_id": "nobody"}])
def test_a_question_that_is_refused_stores_none_of_its_events(new_key, moment, wrong):
    answer = ask(new_key("decide", "track"), body=asked(1, **wrong))
    assert (answer.status, Event.objects.count()) == (404, 0)


def test_keys_do_not_use_up_each_others_limit(new_key, moment):
    first, second = new_key(decide_rate=1), new_key(decide_rate=1)
    assert [ask(first).status, ask(first).status, ask(second).status] == [200, 429, 200]


def test_whoever_sends_a_wrong_secret_uses_up_nobodys_limit(new_key, moment):
    key = new_key(decide_rate=1)
    for _ in range(5):
        assert ask(key[:-1] + "!").status == 401
    assert ask(key).status == 200


def test_a_limiter_that_fails_limits_no_decision(new_key, monkeypatch, caplog):
    def broken() -> float:
        raise RuntimeError("no clock")

    monkeypatch.setattr(limits, "limiter", limits.Limiter(broken))
    answer = ask(new_key(decide_rate=1))
    assert (answer.status, quota(answer)) == (200, (None, None))
    assert "the limiter failed" in caplog.text


def test_a_page_may_read_how_long_it_has_to_wait(new_key, moment):
    key = new_key(decide_rate=1, origins=["https://shop.example"])
    answers = [send("/v1/decide", ASK, x_api_key=key, origin="https://shop.example") for _ in range(2)]
    assert answers[1].status == 429
    assert answers[1].headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert {"Retry-After", "RateLimit"} <= set(answers[1].headers["Access-Control-Expose-Headers"].split(", "))
