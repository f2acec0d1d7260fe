"""Caps of what is fetched ahead, and of what a batch decides: counted when it is seen, or at once."""

from datetime import timedelta

import pytest
import redis

from campaigns.models import Content
from decisioning.config import clock
from decisioning.store import contacts
from decisioning.store.counting import count_new


@pytest.fixture
def capped(site):
    """`apple` may be seen once an hour."""
    Content.objects.filter(key="apple").update(cap_count=1, cap_hours=1)
    site.publish()
    return site


def tokens(answer):
    return {item["id"]: item["token"] for item in answer["placements"][0]["items"]}


def sees_apple(site, **who):
    return "apple" in tokens(site.decide(mode="dry_run", **(who or {"customer_id": "c-1"})))


def report(site, token, message_id, kind="impression", **more):
    body = {"token": token, "type": kind, "message_id": message_id, **more}
    assert site.post("/v1/outcomes", body)[0] == 200
    site.ledger.flush()
    count_new()


@pytest.mark.parametrize("who", [{"customer_id": "c-1"}, {"anonymous_id": "nobody-yet"}])
def test_what_was_fetched_ahead_counts_when_its_impression_arrives(capped, who):
    body = {"placements": ["hero"], "mode": "prefetch", **who}
    token = tokens(capped.post("/v1/decide", body)[1])["apple"]
    report(capped, token, "click-1", "click")
    assert "apple" in tokens(capped.post("/v1/decide", {**body, "mode": "dry_run"})[1])
    report(capped, token, "seen-1")
    assert "apple" not in tokens(capped.post("/v1/decide", {**body, "mode": "dry_run"})[1])


def test_an_impression_by_a_clock_that_is_days_slow_counts_from_the_decision_on(capped):
    token = tokens(capped.decide(mode="prefetch"))["apple"]
    report(capped, token, "seen", timestamp=(clock.now() - timedelta(days=2)).isoformat())
    assert not sees_apple(capped)


def test_the_same_impression_counts_once_however_often_it_comes(capped, clean_redis):
    Content.objects.filter(key="apple").update(cap_count=2)
    capped.publish()
    token = tokens(capped.decide(mode="prefetch"))["apple"]
    for number in range(3):
        report(capped, token, f"seen-{number}")
    assert sees_apple(capped)


def test_an_impression_of_a_decision_that_counted_at_once_adds_nothing(capped):
    Content.objects.filter(key="apple").update(cap_count=2)
    capped.publish()
    report(capped, tokens(capped.decide())["apple"], "seen")
    assert sees_apple(capped)


@pytest.mark.parametrize(("mode", "still"), [("execute", False), ("prefetch", True), ("dry_run", True)])
def test_a_batch_counts_as_its_mode_says(capped, mode, still):
    body = {"customer_ids": ["c-1"], "placements": ["hero"], "mode": mode}
    assert capped.post("/v1/decide/batch", body)[0] == 200
    assert sees_apple(capped) is still


def test_a_batch_keeps_to_caps_and_gives_what_a_single_call_gives(capped, monkeypatch):
    capped.decide()
    body = {"customer_ids": ["c-1"], "placements": ["hero"], "mode": "dry_run"}
    many = capped.post("/v1/decide/batch", body)[1]["decisions"][0]
    single = capped.decide(mode="dry_run")
    assert list(tokens(many)) == list(tokens(single))
    assert "apple" not in tokens(many)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=2))
    assert "apple" in tokens(capped.post("/v1/decide/batch", body)[1]["decisions"][0])


def test_impressions_are_counted_though_redis_is_away(capped, monkeypatch):
    token = tokens(capped.decide(mode="prefetch"))["apple"]

    def away():
        return redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1)

    monkeypatch.setattr(contacts, "patient", away)
    report(capped, token, "seen")
    assert count_new() == 0
    assert sees_apple(capped)
