"""A decision over the same function as both doors: what it names, what it caches, what it refuses."""

import json

import pytest

from campaigns.models import Content, Placement
from decisioning.api import doors
from decisioning.customers.models import Customer
from decisioning.models import ApiKey, Decision, Outcome
from decisioning.store import keys, profiles, publishing


def items(answer) -> list[str]:
    return [item["id"] for item in answer["placements"][0]["items"]]


def test_an_answer_names_rule_scorer_snapshot_rung_and_propensity(site):
    site.rule("first", 'IF age > 18 THEN SHOW "banana"')
    site.publish()
    answer = site.decide(request_id="r-1")
    decision, placement = answer, answer["placements"][0]
    assert answer["request_id"] == "r-1"
    assert (decision["rung"], decision["scorer"], decision["degraded"]) == ("rules", None, ["no scorer"])
    assert decision["snapshot"] == site.holder.current.number
    assert placement["rules"][0]["key"] == "first"
    assert placement["rules"][0]["revision"] == 1
    assert items(answer) == ["banana", "apple"]
    assert [item["propensity"] for item in placement["items"]] == [1.0, 1.0]
    assert placement["items"][0]["content"] == {"name": "Banana", "title": "banana"}


def test_the_same_request_twice_is_a_cache_hit_with_the_same_decision(site):
    first, second = site.decide(request_id="a"), site.decide(request_id="b")
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    same = {"decision_id", "snapshot", "placements", "errors"}
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert second["request_id"] == "b"


def test_a_cache_hit_is_the_same_decision_and_no_second_row(site):
    site.decide()
    site.decide()
    assert site.ledger.flush() == 1
    row = Decision.objects.get()
    assert (row.customer_key, row.placement, row.facts) == ("c-1", "hero", {"age": 30})


@pytest.mark.parametrize(
    "change", [{"context": {"device": {"type": "kiosk"}}}, {"explain": True}, {"exclude": ["apple"]}]
)
def test_another_question_is_another_entry(site, change):
    site.decide()
    assert site.decide(**change)["cache"] == "miss"


def test_a_new_version_of_the_profile_is_never_answered_from_before(site):
    site.rule("adults", 'IF age > 40 THEN HIDE "apple"')
    site.publish()
    assert items(site.decide()) == ["apple", "banana"]
    customer = Customer.objects.get(key="c-1")
    Customer.objects.filter(pk=customer.pk).update(facts={"age": 41}, facts_version=2)
    publishing.publish([customer.pk])
    assert items(site.decide()) == ["banana"]


def test_a_new_snapshot_is_never_answered_from_before(site):
    assert items(site.decide()) == ["apple", "banana"]
    site.rule("hide", 'IF age > 1 THEN HIDE "apple"')
    site.publish()
    answer = site.decide()
    assert (items(answer), answer["cache"]) == (["banana"], "miss")


def test_an_older_profile_never_overwrites_a_newer_one(site):
    customer = Customer.objects.get(key="c-1")
    Customer.objects.filter(pk=customer.pk).update(facts={"age": 41}, facts_version=5)
    publishing.publish([customer.pk])
    Customer.objects.filter(pk=customer.pk).update(facts={"age": 12}, facts_version=4)
    publishing.publish([customer.pk])
    assert profiles.shared().find("customer_id", "c-1", "x").profile.facts == {"age": 41}


def test_an_anonymous_id_finds_its_customer_and_an_unheard_one_is_a_cold_start(site):
    known = site.post("/v1/decide", {"anonymous_id": "anon-1", "placements": ["hero"]})
    stranger = site.post("/v1/decide", {"anonymous_id": "never-seen", "placements": ["hero"]})
    assert known[0] == stranger[0] == 200
    assert "unknown customer" not in known[1]["degraded"]
    assert len(stranger[1]["placements"][0]["items"]) == 2


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"", 400, "invalid_request", "cannot be read"),
        (b"{", 400, "invalid_request", "cannot be read"),
        (b"\xff\xfe{}", 400, "invalid_request", "cannot be read"),
        (b"[" * 200_000, 400, "invalid_request", "cannot be read"),
        (b'{"placements": ["hero"], "customer_id": "c-1", "context": {"a": NaN}}', 400, "invalid_request", "cannot"),
        (b'{"placements": ["hero"], "customer_id": "c-1", "context": {"a": "\\u0000"}}', 400, "invalid_request", "NUL"),
        (b'{"placements": ["hero"], "customer_id": "c-1", "request_id": "\\u0000"}', 400, "invalid_request", "NUL"),
        (
            b'{"placements": ["hero"], "customer_id": "c-1", "context": {"a": ' + b"[" * 50 + b"]" * 50 + b"}}",
            400,
            "invalid_request",
            "deeper",
        ),
        ({"placements": ["hero"]}, 400, "invalid_request", "Say for whom"),
        ({"customer_id": "c-1", "anonymous_id": "a", "placements": ["hero"]}, 400, "invalid_request", "in one way"),
        ({"customer_id": "c-1", "placements": []}, 400, "invalid_request", "length >= 1"),
        ({"customer_id": "c-1", "placements": ["hero"], "n": 3}, 400, "invalid_request", "unknown field `n`"),
        ({"customer_id": "c-1", "placements": [{"key": "hero", "n": 0}]}, 400, "invalid_request", ">= 1"),
        ({"customer_id": 5, "placements": ["hero"]}, 400, "invalid_request", "customer_id"),
        ({"customer_id": "nobody", "placements": ["hero"]}, 404, "unknown_customer", "identify"),
        ({"customer_id": "c-1", "placements": ["herro"]}, 404, "unknown_placement", "Did you mean 'hero'"),
        (
            b'{"customer_id": "c-1", "placements": ["hero"], "customer_id": "c-2"}',
            400,
            "invalid_request",
            "stands twice",
        ),
        (
            b'{"customer_id": "c-1", "placements": ["hero"], "context": {"a": {"b": 1, "\\u0062": 2}}}',
            400,
            "invalid_request",
            'The name "b" stands twice in one object; send it once.',
        ),
        ({"customer_id": "c-1", "placements": ["hero"], "context": {"x": "y" * 300_000}}, 413, "too_large", "KiB"),
    ],
)
def test_bad_input_gets_a_clear_4xx_and_changes_nothing(site, body, status, code, words):
    answered, answer = site.post("/v1/decide", body)
    assert (answered, answer["error"]["code"]) == (status, code)
    assert words in answer["error"]["message"]
    assert site.ledger.waiting() == 0


def test_one_unknown_placement_spoils_no_other(site):
    alone, answer = (site.decide(placements=asked, mode="dry_run") for asked in (["hero"], ["nowhere", "hero"]))
    nowhere, hero = answer["placements"]
    assert (nowhere["key"], nowhere["reason"], nowhere["rung"], nowhere["items"]) == ("nowhere", "ERROR", "default", [])
    assert [(error["code"], error["placement"]) for error in answer["errors"]] == [("unknown_placement", "nowhere")]
    assert [item["id"] for item in hero["items"]] == [item["id"] for item in alone["placements"][0]["items"]]
    assert (answer["rung"], answer["degraded"]) == (alone["rung"], alone["degraded"])
    assert hero["reason"] == "RANKED"
    site.decide(placements=["nowhere", "hero"])
    assert site.ledger.flush() == 1


def test_a_dry_run_is_neither_kept_nor_cached(site):
    assert site.decide(mode="dry_run")["cache"] == "miss"
    assert site.decide(mode="dry_run")["cache"] == "miss"
    assert site.ledger.waiting() == 0


@pytest.mark.parametrize("key", ["", "nonsense", "dk_00000000_wrong"])
def test_a_wrong_key_is_refused_with_the_cure(site, key):
    status, answer = site.post("/v1/decide", {"customer_id": "c-1", "placements": ["hero"]}, key=key)
    assert status == 401
    assert "admin" in answer["error"]["message"]


def test_a_known_prefix_with_another_secret_is_refused(site):
    status, answer = site.post("/v1/decide", {"customer_id": "c-1", "placements": ["hero"]}, key=f"{site.key[:-1]}!")
    assert (status, answer["error"]["code"]) == (401, "wrong_key")


def test_a_key_may_only_do_what_its_scopes_say(site):
    _, narrow = keys.create("narrow", ["track"])
    site.publish()
    status, answer = site.post("/v1/decide", {"customer_id": "c-1", "placements": ["hero"]}, key=narrow)
    assert (status, answer["error"]["code"]) == (403, "wrong_scope")


def test_a_key_that_is_switched_off_is_refused_with_the_next_snapshot(site):
    ApiKey.objects.update(active=False)
    site.publish()
    assert site.post("/v1/decide", {"customer_id": "c-1", "placements": ["hero"]})[0] == 401


def test_an_outcome_by_token_counts_once(site):
    token = site.decide()["placements"][0]["items"][0]["token"]
    body = {"token": token, "type": "click", "message_id": "o-1"}
    assert site.post("/v1/outcomes", body)[0] == site.post("/v1/outcomes", body)[0] == 200
    assert Outcome.objects.get().content == "apple"


@pytest.mark.parametrize(
    "spoil",
    [lambda t: t[:-2], lambda t: t[:9] + ("B" if t[9] == "A" else "A") + t[10:], lambda t: "", lambda t: "é" + t],
)
def test_a_token_that_was_touched_is_refused(site, spoil):
    token = site.decide()["placements"][0]["items"][0]["token"]
    status, answer = site.post("/v1/outcomes", {"token": spoil(token), "type": "click", "message_id": "o-1"})
    assert (status, answer["error"]["code"]) == (400, "invalid_token")
    assert not Outcome.objects.exists()
    [counted] = [name for _, what, name in site.ledger.tallies._figures if what == "tokens"]
    assert counted.split(" ")[0] in ("forged", "unreadable") and site.key.startswith(counted.split(" ")[1])


def test_an_outcome_of_no_known_type_is_refused_and_counted_under_its_key(site):
    token = site.decide()["placements"][0]["items"][0]["token"]
    status, answer = site.post("/v1/outcomes", {"token": token, "type": "glance", "message_id": "o-1"})
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    [counted] = [name for _, what, name in site.ledger.tallies._figures if what == "tokens"]
    assert counted.startswith("unknown_type ") and site.key.startswith(counted.split(" ")[1])


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+14:00", "1969-01-01T00:00:00Z"])
def test_an_outcome_from_before_all_clocks_is_refused(site, timestamp):
    token = site.decide()["placements"][0]["items"][0]["token"]
    body = {"token": token, "type": "click", "message_id": "o-1", "timestamp": timestamp}
    assert site.post("/v1/outcomes", body)[0] == 400
    assert not Outcome.objects.exists()


def test_events_are_committed_when_the_answer_is_200_and_listed_when_not(site):
    good = {"type": "track", "messageId": "m", "userId": "new", "event": "Clicked"}
    status, answer = site.post("/v1/batch", {"batch": [good, good, {**good, "messageId": ""}]})
    assert (status, answer["added"], answer["duplicates"], answer["errors"][0]["index"]) == (200, 1, 1, 2)
    assert site.post("/v1/decide", {"customer_id": "new", "placements": ["hero"]})[0] == 200


def test_the_answer_is_json_that_no_proxy_may_keep(site):
    body = json.dumps({"customer_id": "c-1", "placements": ["hero"]}).encode()
    reply = doors.answer("/v1/decide", {"x-api-key": site.key}, body)
    assert ("Cache-Control", "private, no-store") in reply.headers


def test_inactive_contents_and_placements_leave_with_the_next_snapshot(site):
    Content.objects.filter(key="apple").update(active=False)
    site.publish()
    assert items(site.decide()) == ["banana"]
    Placement.objects.filter(key="hero").update(active=False)
    site.publish()
    assert site.post("/v1/decide", {"customer_id": "c-1", "placements": ["hero"]})[0] == 404
