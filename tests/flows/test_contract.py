"""The decide call's own words: for whom, candidates, filters, modes, events first, many at once."""

import json
import socket
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.core.exceptions import ValidationError
from redis.backoff import NoBackoff
from redis.retry import Retry

from campaigns.models import Content, Filter, Placement
from decisioning.config import clock
from decisioning.customers.models import Customer, Event, Identity
from decisioning.engine.work import MOST_WORK, WEIGHTS
from decisioning.flows import first
from decisioning.flows.contract import Refused
from decisioning.flows.decide_many import decide_many, read
from decisioning.flows.react import react
from decisioning.models import Decision
from decisioning.store import profiles, publishing
from decisioning.store.connection import bulk, hot, patient

pytestmark = pytest.mark.usefixtures("clean_redis")


def ids(answer: Any, place: int = 0) -> list[str]:
    return [item["id"] for item in answer["placements"][place]["items"]]


def known_by(key: str, **identifiers: str) -> Customer:
    customer = Customer.objects.create(key=key, facts={"age": 50}, facts_version=1)
    for kind, value in identifiers.items():
        Identity.objects.create(customer=customer, kind=kind, value=value)
    publishing.publish([customer.pk])
    return customer


# -- for whom


def test_the_strongest_identifier_that_anybody_has_says_for_whom(site):
    known_by("c-2", email="ann@shop.example", device_id="d-1")
    known_by("c-3", loyalty_id="l-3")
    site.decide(customer_id=None, identifiers={"email": " Ann@Shop.example", "loyalty_id": "nobody"})
    site.decide(customer_id=None, identifiers={"loyalty_id": "l-3", "device_id": "d-1"})
    stranger = site.decide(customer_id=None, identifiers={"phone": "+49 170 1234567"})
    assert stranger["as_of"]["profile"] is None
    site.ledger.flush()
    keys = list(Decision.objects.order_by("pk").values_list("customer_key", flat=True))
    assert keys == ["c-2", "c-3", "phone:+491701234567"]


@pytest.mark.parametrize(
    "who", [{}, {"identifiers": {}}, {"identifiers": {"email": "no address"}}, {"customer_id": "c", "identifiers": {}}]
)
def test_whoever_does_not_say_for_whom_is_told_how(site, who):
    status, answer = site.post("/v1/decide", {"placements": ["hero"], **who})
    assert (status, answer["error"]["code"]) == (400, "invalid_request")


# -- ids


def test_the_decisions_of_a_call_follow_its_id_one_by_one(site):
    Placement.objects.create(key="side", name="Side", count=1, policy="greedy")
    site.publish()
    answer = site.decide(placements=["hero", "nowhere", "side"])
    call = UUID(answer["decision_id"]).int
    assert [UUID(one["decision_id"]).int - call for one in answer["placements"]] == [1, 2, 3]
    assert UUID(answer["decision_id"]).version == 7


# -- candidates


def test_candidates_of_the_caller_stand_in_place_of_the_contents(site):
    site.rule("only", 'IF age > 18 THEN ONLY WHERE colour = "red"')
    site.publish()
    answer = site.decide(
        candidates=[
            {"id": "apple", "attributes": {"colour": "red"}},
            {"id": "banana", "attributes": {"colour": "yellow"}},
            {"id": "mine", "attributes": {"colour": "red", "name": "My own"}},
            "nowhere",
        ]
    )
    placement = answer["placements"][0]
    assert sorted(ids(answer)) == ["apple", "mine"]
    assert placement["missing_ids"] == ["nowhere"]
    bodies = {item["id"]: item["content"] for item in placement["items"]}
    assert bodies["apple"]["title"] == "apple" and bodies["mine"] == {"name": "My own"}
    site.ledger.flush()
    assert Decision.objects.get().asked["candidates"][2]["id"] == "mine"


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"stock": "0"}, "'stock' must be a number, and it is \"0\""),
        ({"stock": True}, "'stock' must be a number, and it is true"),
        ({"stock": -(10**400)}, "'stock' must be a number, and it is -1000"),
        ({"value": -3}, "'value' must be a number from 0 to 10^15, and it is -3"),
        ({"value": "x"}, "'value' must be a number from 0 to 10^15, and it is \"x\""),
        ({"value": 10**400}, "'value' must be a number from 0 to 10^15, and it is 1000"),
        ({"tags": "sale"}, "'tags' must be a list of texts, and it is \"sale\""),
        ({"tags": ["sale", 5]}, "'tags' must be a list of texts, and it is [\"sale\",5]"),
        ({"name": 5}, "'name' must be a text, and it is 5"),
        ({"name": ["a" * 90]}, "aaa…."),
    ],
)
@pytest.mark.parametrize("key", ["mine", "apple"])
def test_an_attribute_of_a_candidate_that_is_not_what_it_must_be_is_refused_by_name(site, key, attributes, said):
    asked = {"placements": ["hero"], "candidates": ["banana", {"id": key, "attributes": attributes}]}
    for path, who in (("/v1/decide", {"customer_id": "c-1"}), ("/v1/decide/batch", {"customer_ids": ["c-1"]})):
        status, answer = site.post(path, {**asked, **who})
        assert (status, answer["error"]["code"]) == (400, "invalid_request")
        assert answer["error"]["message"].startswith(f"Candidate '{key}': its attribute ")
        assert said in answer["error"]["message"]
    assert site.ledger.waiting() == 0


def test_unknown_attributes_and_null_are_allowed_and_what_is_read_counts(site):
    own = [
        {"id": "sold", "attributes": {"stock": 0, "name": "Sold out"}},
        {"id": "left", "attributes": {"stock": 2.0, "value": 0, "tags": [], "name": None, "colour": {"any": [1, "x"]}}},
        {"id": "bare", "attributes": {"stock": None, "value": None, "tags": None}},
    ]
    answer = site.decide(candidates=own, explain=True)
    assert sorted(ids(answer)) == ["bare", "left"]
    assert answer["placements"][0]["dropped"] == {"sold": "out of stock"}


# -- filters


VALUES = "most number\ntag: text"


def test_a_named_filter_narrows_by_the_values_of_the_call(site):
    for content in Content.objects.filter(key__in=["apple", "banana"]):
        content.attributes = {"price": 5 if content.key == "apple" else 50, "shop": f'{content.key}"s'}
        content.save()
    Filter.objects.create(
        key="cheap", name="Cheap", condition="price <= $most AND NOT tags = $tag", values="most number\ntag: text"
    )
    Filter.objects.create(key="of-shop", name="Of a shop", condition="shop IN $shops", values="shops text_list")
    site.publish()
    assert ids(site.decide(filter={"name": "cheap", "values": {"most": 10, "tag": "z"}})) == ["apple"]
    assert ids(site.decide(filter={"name": "of-shop", "values": {"shops": ['banana"s', "x) OR price > 0"]}})) == [
        "banana"
    ]


@pytest.mark.parametrize(
    ("asked", "status", "code", "said"),
    [
        ({"name": "chaep", "values": {}}, 404, "unknown_filter", "Did you mean 'cheap'"),
        ({"name": "cheap", "values": {}}, 400, "invalid_filter", "needs the value 'most'"),
        ({"name": "cheap", "values": {"most": "10"}}, 400, "invalid_filter", "of type number"),
        ({"name": "cheap", "values": {"most": 1, "mots": 1}}, 400, "invalid_filter", "did you mean 'most'"),
    ],
)
def test_a_filter_that_does_not_fit_says_the_cure(site, asked, status, code, said):
    Filter.objects.create(key="cheap", name="Cheap", condition="price <= $most", values="most number")
    site.publish()
    found, answer = site.post("/v1/decide", {"customer_id": "c-1", "placements": ["hero"], "filter": asked})
    assert (found, answer["error"]["code"]) == (status, code)
    assert said in answer["error"]["message"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("condition", "values", "field"),
    [
        ("price <= $most", "", "values"),
        ("price <= $most", "most money", "values"),
        ("price <= 5", "most number", "values"),
        ("price <=", "", "condition"),
    ],
)
def test_a_filter_that_could_not_be_used_is_not_saved(condition, values, field):
    with pytest.raises(ValidationError) as error:
        Filter(key="f", name="F", condition=condition, values=values).full_clean()
    assert field in error.value.message_dict


# -- caps


def test_a_content_is_shown_to_one_customer_only_so_often(site, monkeypatch):
    Content.objects.filter(key="apple").update(cap_count=2, cap_hours=1)
    site.publish()
    now = clock.now()
    shown = []
    for minutes in (0, 1, 2, 62):
        monkeypatch.setattr(clock, "now", lambda at=now + timedelta(minutes=minutes): at)
        shown.append("apple" in ids(site.decide(context={"call": minutes})))
    assert shown == [True, True, False, True]
    other = known_by("c-9")
    assert "apple" in ids(site.decide(customer_id=other.key))


@pytest.mark.parametrize("mode", ["dry_run", "prefetch"])
def test_what_is_only_fetched_does_not_count(site, mode):
    Content.objects.filter(key="apple").update(cap_count=1, cap_hours=1)
    site.publish()
    for number in range(3):
        assert "apple" in ids(site.decide(mode=mode, context={"call": number}))


# -- several placements


def test_no_content_comes_twice_where_the_call_asks_for_that(site):
    Placement.objects.create(key="side", name="Side", count=1, policy="greedy")
    site.publish()
    plain = site.decide(placements=[{"key": "hero", "n": 1}, "side"])
    apart = site.decide(placements=[{"key": "hero", "n": 1}, "side"], no_repeats=True)
    assert ids(plain, 0) == ids(plain, 1)
    assert set(ids(apart, 0)).isdisjoint(ids(apart, 1)) and ids(apart, 1)


# -- events first


def test_events_that_come_with_the_question_are_in_the_facts_that_answer_it(site, monkeypatch):
    """The consumer runs beside the request; here it runs whenever the request looks whether it has."""
    monkeypatch.setattr(first, "PATIENCE", 60.0)
    monkeypatch.setattr(first.time, "sleep", lambda _: react(clock.now()))
    event = {
        "type": "track",
        "event": "Order Completed",
        "userId": "c-1",
        "messageId": "m-1",
        "properties": {"total": 5},
    }
    answer = site.decide(events=[event])
    assert Event.objects.filter(message_id="m-1").exists()
    assert (answer["errors"], answer["cache"]) == ([], "miss")
    site.ledger.flush()
    assert Decision.objects.get().facts["orders"] == 1


def test_events_that_no_consumer_handles_in_time_are_stored_and_said_to_be_late(site, monkeypatch):
    monkeypatch.setattr(first, "PATIENCE", 0.01)
    event = {"type": "track", "event": "Order Completed", "userId": "c-1", "messageId": "m-1"}
    answer = site.decide(events=[event, {"type": "track", "userId": "c-1", "messageId": "m-2"}])
    assert [error["code"] for error in answer["errors"]][-1] == "events_late"
    assert len(answer["errors"]) == 2 and "events[1]" in answer["errors"][0]["message"]
    assert len(ids(answer)) == 2


# -- many at once


def test_without_a_request_id_and_with_an_empty_one_the_customer_alone_rolls_the_dice(site):
    Placement.objects.filter(key="hero").update(policy="epsilon", exploration=1.0, count=1)
    Content.objects.bulk_create(Content(key=f"more-{number}", name="More") for number in range(30))
    site.publish()
    asked = [{}, {"request_id": ""}, *({"request_id": f"r-{number}"} for number in range(20))]
    found = [ids(site.decide(**more, mode="dry_run"))[0] for more in asked]
    assert found[0] == found[1]
    assert len(set(found)) > 10


def test_a_hit_comes_back_with_its_own_request_id_and_the_row_keeps_that_of_the_call_it_was_decided_for(site):
    first, second = (site.decide(request_id=name) for name in ("first", "second"))
    assert (second["cache"], second["decision_id"]) == ("hit", first["decision_id"])
    assert (first["request_id"], second["request_id"]) == ("first", "second")
    site.ledger.flush()
    assert [row.request_id for row in Decision.objects.all()] == ["first"]


def ask_many(site, **body: Any) -> tuple[int, Any]:
    try:
        request = read(json.dumps({"placements": ["hero"], **body}).encode())
    except Refused as refused:
        return refused.status, json.loads(refused.body())
    status, raw = decide_many(request, site.holder.current, profiles.shared(), site.ledger, clock.now())
    return status, json.loads(raw)


def test_a_batch_answers_each_customer_as_a_single_call_does(site):
    site.rule("old", 'IF age > 40 THEN HIDE "banana"')
    Placement.objects.create(key="side", name="Side", count=1, policy="epsilon", exploration=0.5)
    site.publish()
    keys = [known_by(f"b-{number}").key for number in range(12)]
    status, answer = ask_many(site, customer_ids=[*keys, "nobody"], placements=["hero", "side"], request_id="r")
    assert (status, answer["unknown_ids"], len(answer["decisions"])) == (200, ["nobody"], 12)
    for one in answer["decisions"]:
        alone = site.decide(customer_id=one["customer_id"], placements=["hero", "side"], request_id="r", mode="dry_run")
        for mine, other in zip(one["placements"], alone["placements"], strict=True):
            told = [{**item, "token": ""} for item in mine.pop("items")]
            assert told == [{**item, "token": ""} for item in other.pop("items")]
            assert {**mine, "decision_id": ""} == {**other, "decision_id": ""}
    assert site.ledger.flush() == 24


@pytest.fixture
def away(site) -> profiles.Profiles:
    """A reader whose Redis is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return profiles.Profiles(redis.Redis(port=port, retry=Retry(NoBackoff(), 0)))


def test_a_batch_waits_for_redis_longer_than_a_single_call(settings, monkeypatch):
    settings.REDIS_DEADLINE_SECONDS, settings.REDIS_BATCH_DEADLINE_SECONDS = 0.03, 1.5
    made = [client.__wrapped__() for client in (hot, bulk)]
    assert [each.connection_pool.connection_kwargs["socket_timeout"] for each in made] == [0.03, 1.5]
    for reader in ("_shared", "_of_batches"):
        monkeypatch.setattr(profiles, reader, [])
    assert (profiles.shared().client, profiles.of_batches().client) == (hot(), bulk())


def test_batches_have_a_breaker_of_their_own(site, monkeypatch):
    asked, own = [], profiles.Profiles(patient())
    monkeypatch.setattr(profiles, "_of_batches", [own])
    monkeypatch.setattr(own, "_read_many", lambda keys, found: asked.append(keys) or True)
    profiles.shared().breaker.trip()
    assert site.post("/v1/decide/batch", {"placements": ["hero"], "customer_ids": ["c-1"]})[0] == 200
    assert asked == [["c-1"]]


def test_a_batch_of_whom_redis_does_not_tell_in_time_is_decided_as_a_single_call_is(site, away, monkeypatch):
    site.rule("old", 'IF age > 20 THEN HIDE "banana"')
    site.publish()
    body = {"placements": ["hero"], "request_id": "r", "mode": "dry_run"}
    monkeypatch.setattr(profiles, "_of_batches", [away])
    status, answer = site.post("/v1/decide/batch", {**body, "customer_ids": ["c-1", "nobody"]})
    assert (status, answer["unknown_ids"], answer["errors"]) == (200, [], [])
    monkeypatch.setattr(profiles, "_shared", [away])
    for one in answer["decisions"]:
        alone = site.decide(**body, customer_id=one["customer_id"])
        assert (one["rung"], one["degraded"]) == (alone["rung"], alone["degraded"])
        assert one["degraded"][0] == "profiles unreachable"
        chosen = [[item["id"] for item in each["placements"][0]["items"]] for each in (one, alone)]
        assert chosen[0] == chosen[1] and "banana" in chosen[0]


def test_what_was_read_before_redis_fell_silent_is_used_and_the_rest_is_not_waited_for(site, away, monkeypatch):
    keys = [known_by(f"b-{number}").key for number in range(5)]
    own, reads = profiles.Profiles(patient()), []
    real = own._read_many

    def fails_after_the_first(some, found):
        reads.append(some)
        return real(some, found) if len(reads) == 1 else away._read_many(some, found) or own.breaker.trip()

    monkeypatch.setattr(own, "_read_many", fails_after_the_first)
    monkeypatch.setattr(profiles, "AT_ONCE", 2)
    monkeypatch.setattr(profiles, "_of_batches", [own])
    status, answer = site.post("/v1/decide/batch", {"placements": ["hero"], "customer_ids": keys})
    assert (status, reads) == (200, [keys[:2], keys[2:4]])
    told = {one["customer_id"]: "profiles unreachable" in one.get("degraded", []) for one in answer["decisions"]}
    assert [told[key] for key in keys] == [False, False, True, True, True]
    site.ledger.flush()
    assert Decision.objects.filter(customer_key__in=keys, customer_id=None).count() == 3


def test_a_redis_come_back_empty_makes_nobody_of_a_batch_unknown(site):
    patient().flushdb()
    status, answer = ask_many(site, customer_ids=["c-1"])
    assert (status, answer["unknown_ids"]) == (200, [])
    assert answer["decisions"][0]["degraded"][0] == "profiles incomplete"


def test_a_batch_that_is_too_large_says_how_large_it_may_be(site):
    status, answer = ask_many(site, customer_ids=[f"c-{n}" for n in range(2_501)], placements=["hero", "side"])
    assert (status, answer["error"]["code"]) == (400, "too_many")
    assert "5,000" in answer["error"]["message"]


# -- how much at once


@pytest.mark.parametrize("policy", ["greedy", "linear-thompson"])
def test_a_call_that_is_too_much_work_says_how_much_it_is_and_what_to_do(site, policy):
    Placement.objects.filter(key="hero").update(policy=policy)
    site.publish()
    own = [{"id": f"own-{number}"} for number in range(500)]
    weight = WEIGHTS.get(policy, 1)
    allowed = MOST_WORK // (500 * 50 * weight)
    body = {"customer_id": "c-1", "candidates": own, "mode": "dry_run"}
    wanted = [{"key": "hero", "n": 50}]
    assert site.post("/v1/decide", {**body, "placements": wanted * allowed})[0] == 200
    status, answer = site.post("/v1/decide", {**body, "placements": wanted * 20})
    if weight == 1:
        assert (status, allowed) == (200, 20)  # the largest call is just as much as may be asked for
        return
    assert (status, answer["error"]["code"]) == (400, "too_much_work")
    told = answer["error"]["message"]
    assert f"{500 * 50 * 20 * weight:,} units" in told and f"at most {MOST_WORK:,}" in told
    assert "fewer candidates" in told


def test_a_batch_is_bounded_by_the_work_for_all_of_its_customers(site):
    own = [{"id": f"own-{number}"} for number in range(500)]
    people = [f"nobody-{number}" for number in range(401)]
    asked = {"candidates": own, "placements": [{"key": "hero", "n": 50}]}
    assert ask_many(site, customer_ids=people[:400], **asked)[0] == 200
    status, answer = ask_many(site, customer_ids=people, **asked)
    assert (status, answer["error"]["code"]) == (400, "too_much_work")
    assert "10,025,000 units" in answer["error"]["message"] and "401 customers" in answer["error"]["message"]


# -- render


def test_templates_in_a_body_are_filled_where_the_call_asks_for_that(site):
    body = {"title": "{{ customer.age }} years, {{ customer.city | default: 'friend' }}", "n": 3, "text": "plain"}
    more = {"html": "<b>{{ context.page.title }}</b>", "list": [{"deep": "{{ customer.key }}"}]}
    Content.objects.filter(key="apple").update(body=body | more)
    Content.objects.filter(key="banana").update(body={"title": "{% if %}", "text": "still here"})
    site.publish()
    answer = site.decide(render=True, context={"page": {"title": "<script>"}})
    bodies = {item["id"]: item["content"] for item in answer["placements"][0]["items"]}
    assert bodies["apple"] == {
        "name": "Apple",
        "title": "30 years, friend",
        "n": 3,
        "text": "plain",
        "html": "<b>&lt;script&gt;</b>",
        "list": [{"deep": "c-1"}],
    }
    assert bodies["banana"] == {"name": "Banana", "title": "", "text": "still here"}
    (error,) = answer["errors"]
    assert (error["code"], error["placement"]) == ("render_failed", "hero")
    assert "banana: title" in error["message"]
    plain = site.decide()
    assert {item["id"]: item["content"] for item in plain["placements"][0]["items"]}["banana"]["title"] == "{% if %}"
