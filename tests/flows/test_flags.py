"""Flags: a client's context becomes a question, each placement a flag; what the client holds is not decided again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import redis
import time_machine
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from campaigns.models import Content, Placement
from decisioning.api import doors, ofrep
from decisioning.config import clock
from decisioning.engine.resolver import FULL, PRIOR, RULES
from decisioning.flows.contract import MAX_PLACEMENTS, ItemAnswer, PlacementAnswer
from decisioning.flows.flags import REASONS, lifetime_of, reason_of, value_of
from decisioning.models import Decision
from decisioning.store import keys, profiles, tokens
from rules import rulebook
from rules.language.facts import Catalogue, Fact
from rules.models import Rule
from tests.examples import examples

HEADERS = {"content-type": "application/json"}
# Names that a context may well have, and any others.
NAMES = st.sampled_from(["anonymous", "request_id", "page", "page.path", "device", "path", "a.b", "."]) | st.text(
    max_size=6
)


@dataclass
class Flags:
    """What a flag client asks, through the same function as the door."""

    site: Any
    flush: Callable[[Any], int]

    def ask(self, key: str | None = "hero", held: str = "", **context: Any) -> doors.Reply:
        """One flag or, with None, all of them; for customer c-1 if nobody else is named."""
        body = json.dumps({"context": {"targetingKey": "c-1", **context}}).encode()
        return self.send(body, key, {"authorization": f"Bearer {self.site.key}", "if-none-match": held})

    def send(self, body: bytes, key: str | None, headers: dict[str, str]) -> doors.Reply:
        return ofrep.answer({**HEADERS, **headers}, body, key)

    def flag(self, key: str = "hero", **context: Any) -> Any:
        """A flag that must be answered."""
        reply = self.ask(key, **context)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def rows(self) -> list[Decision]:
        """The ledger, oldest first."""
        self.flush(self.site)
        return list(Decision.objects.order_by("id"))


@pytest.fixture
def flags(site, flush, monkeypatch) -> Flags:
    monkeypatch.setattr(ofrep, "holder", site.holder)
    monkeypatch.setattr(ofrep, "ledger", site.ledger)
    return Flags(site, flush)


def tag_of(reply: doors.Reply) -> str:
    return dict(reply.headers)["ETag"]


def put(site: Any, key: str, body: dict[str, Any]) -> None:
    """A placement with a content of this body, which stands before those of every placement."""
    placement = Placement.objects.create(key=key, name=key, count=1, policy="greedy", exploration=0)
    Content.objects.create(key=f"a-{key}", name="On", body=body).placements.add(placement)
    site.publish()


def test_a_placement_is_a_flag_with_its_first_content_as_value(flags):
    flag = flags.flag()
    about = flag.pop("metadata")
    assert flag == {
        "key": "hero",
        "value": {"name": "Apple", "title": "apple"},
        "reason": "STATIC",
        "variant": "apple",
    }
    decision_id, content = tokens.read(about.pop("token"))
    assert (str(decision_id), content) == (about.pop("decision_id"), "apple")
    assert about == {
        "rung": "rules",
        "policy": "greedy",
        "snapshot": flags.site.holder.current.number,
        "propensity": 1.0,
    }


@pytest.mark.parametrize("value", [True, False, "blue", 3, 2.5, 0, "", {"colour": "blue"}], ids=repr)
def test_a_contents_value_is_the_flags_value_in_its_own_type(flags, value):
    put(flags.site, "switch", {"value": value, "title": "for people"})
    found = flags.flag("switch")["value"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("value", [None, ["a"]], ids=repr)
def test_a_value_that_no_flag_has_leaves_the_whole_content(value):
    assert value_of({"name": "On", "value": value}) == {"name": "On", "value": value}


def test_a_rule_that_decides_is_named(flags):
    flags.site.rule("grown", 'IF age >= 18 THEN SHOW "banana"')
    flags.site.publish()
    flag = flags.flag()
    assert (flag["variant"], flag["reason"], flag["metadata"]["rule"]) == ("banana", "TARGETING_MATCH", "grown")


def test_the_context_reaches_the_rules_in_every_spelling(flags):
    text = 'IF device = "kiosk" AND path = "/fruit" AND country = "DE" THEN SHOW "banana"'
    rule = Rule.objects.create(key="kiosk", name="Kiosk", text=text)
    rulebook.publish(rule, None, Catalogue(facts={name: Fact(name, "text") for name in ("device", "path", "country")}))
    flags.site.publish()
    for context in (
        {"device": "kiosk", "path": "/fruit", "country": "DE"},
        {"device.type": "kiosk", "page.path": "/fruit", "location.country": "DE"},
        {"device": {"type": "kiosk"}, "page": {"path": "/fruit"}, "location": {"country": "DE"}},
        {"device": "phone", "device.type": "kiosk", "path": "/", "page": {"path": "/fruit"}, "country": "DE"},
    ):
        assert flags.flag(**context)["variant"] == "banana", context
    assert flags.flag(device="kiosk", path="/fruit")["variant"] == "apple"


def test_a_dotted_name_never_nests_deeper_than_a_context_may(flags):
    assert flags.ask(**{"a." * 5000 + "b": 1}).status == 200


def test_somebody_unknown_gets_a_value_as_somebody_anonymous(flags):
    assert flags.flag(targetingKey="never-heard-of")["variant"] == "apple"
    assert [row.customer_key for row in flags.rows()] == ["anonymous:never-heard-of"]


def test_an_anonymous_id_finds_the_customer_behind_it(flags):
    flags.site.rule("grown", 'IF age >= 18 THEN SHOW "banana"')
    flags.site.publish()
    assert flags.flag(targetingKey="anonymous:anon-1")["variant"] == "banana"


def test_a_flag_nobody_made_is_not_found_and_the_nearest_is_named(flags):
    for key, words in (
        ("heroo", "Did you mean 'hero'?"),
        ("x" * 101, "1 to 100"),
        ("", "1 to 100"),
        ("a\0b", "1 to 100"),
    ):
        reply = flags.ask(key)
        told = json.loads(reply.body)
        assert (reply.status, told["key"], told["errorCode"]) == (404, key, "FLAG_NOT_FOUND")
        assert words in told["errorDetails"]


def test_with_nothing_to_show_the_codes_own_default_holds(flags):
    Placement.objects.create(key="empty", name="Empty", count=1, policy="greedy")
    Content.objects.update(active=False)
    flags.site.publish()
    flag = flags.flag("empty")
    assert (flag["reason"], flag["variant"], "value" in flag) == ("DEFAULT", "none", False)
    assert flag["metadata"]["rung"] == "default"


def test_a_process_without_a_snapshot_leaves_everything_to_the_code(flags, monkeypatch):
    monkeypatch.setattr(flags.site.holder, "current", None)
    assert flags.flag() == {"key": "hero", "reason": "DEFAULT", "variant": "none", "metadata": {"rung": "default"}}
    reply = flags.ask(None)
    assert (reply.status, json.loads(reply.body)) == (200, {"flags": [], "metadata": {}})
    assert "ETag" not in dict(reply.headers)


def test_all_flags_come_at_once_whatever_their_number(flags):
    for number in range(MAX_PLACEMENTS + 5):
        Placement.objects.create(key=f"slot-{number:02}", name="Slot", count=3, policy="greedy")
    flags.site.publish()
    told = json.loads(flags.ask(None).body)
    assert [flag["key"] for flag in told["flags"]] == sorted(flags.site.holder.current.slots)
    assert told["metadata"] == {"snapshot": flags.site.holder.current.number, "degraded": "no scorer"}
    assert {len(row.items) for row in flags.rows()} == {1}


def test_one_flag_that_fails_spoils_no_other(flags):
    put(flags.site, "switch", {"value": True})
    prepared = flags.site.holder.current
    flags.site.holder.current = _broken(prepared, "switch")
    told = {flag["key"]: flag for flag in json.loads(flags.ask(None).body)["flags"]}
    assert told["switch"]["errorCode"] == "GENERAL"
    assert "log" in told["switch"]["errorDetails"]
    assert told["hero"]["variant"] == "apple"
    alone = flags.ask("switch")
    assert (alone.status, json.loads(alone.body)["errorCode"]) == (500, "GENERAL")


def test_what_the_client_holds_is_neither_sent_nor_decided_again(flags, settings):
    settings.REPLY_CACHE_SECONDS = 0
    first = flags.ask(None)
    assert len(flags.rows()) == 1
    for held in (tag_of(first), f"W/{tag_of(first)}", f'"other", {tag_of(first)}'):
        again = flags.ask(None, held=held)
        assert (again.status, again.body, tag_of(again)) == (304, b"", tag_of(first))
    assert len(flags.rows()) == 1


def test_a_new_snapshot_that_changes_no_flag_leaves_what_is_held(flags):
    first = flags.ask(None)
    Placement.objects.filter(key="hero").update(name="Another name")
    number = flags.site.holder.current.number
    flags.site.publish()
    assert flags.site.holder.current.number > number
    assert flags.ask(None, held=tag_of(first)).status == 304


def test_whatever_changes_for_the_client_is_decided_anew(flags):
    first = flags.ask(None)
    assert flags.ask(None, held=tag_of(first), targetingKey="anonymous:a-2").status == 200
    assert flags.ask(None, held=tag_of(first), device="kiosk").status == 200
    flags.site.rule("grown", 'IF age >= 18 THEN SHOW "banana"')
    flags.site.publish()
    changed = flags.ask(None, held=tag_of(first))
    assert (changed.status, json.loads(changed.body)["flags"][0]["variant"]) == (200, "banana")
    assert tag_of(changed) != tag_of(first)
    assert len(flags.rows()) == 4


@pytest.mark.parametrize("kind", ["impression_hours", "click_hours", "window_hours"])
def test_the_shortest_window_of_any_kind_says_how_long_an_answer_is_kept(flags, kind):
    Placement.objects.filter(key="hero").update(**{kind: 4.0})
    flags.site.publish()
    assert lifetime_of(flags.site.holder.current) == timedelta(hours=2)


def test_a_token_is_renewed_before_its_outcomes_stop_to_count(flags, now):
    half = lifetime_of(flags.site.holder.current)
    assert half == timedelta(hours=12)
    with time_machine.travel(now, tick=False) as travel:
        first = flags.ask(None)
        travel.move_to(now + half - timedelta(minutes=1))
        assert flags.ask(None, held=tag_of(first)).status == 304
        travel.move_to(now + half)
        renewed = flags.ask(None, held=tag_of(first))
        assert clock.now() == now + half
    assert renewed.status == 200
    assert tag_of(renewed).partition("-")[0] == tag_of(first).partition("-")[0]


@pytest.mark.parametrize("tag", ['"x"', '""', "*", '"0123456789abcdef01234567-zz"', '"-"', '"' + "f" * 300 + '"'])
def test_a_tag_that_is_not_ours_is_no_reason_to_answer_304(flags, tag):
    assert flags.ask(None, held=tag).status == 200


def test_exploration_stays_with_a_client_until_something_changes(flags, settings):
    settings.REPLY_CACHE_SECONDS = 0
    Placement.objects.update(policy="epsilon", exploration=1.0)
    flags.site.publish()
    people = [f"anonymous:{number}" for number in range(30)]
    seen = {person: {flags.flag(targetingKey=person)["variant"] for _ in range(3)} for person in people}
    assert {len(variants) for variants in seen.values()} == {1}
    assert {variant for variants in seen.values() for variant in variants} == {"apple", "banana"}
    assert {flags.flag(targetingKey="anonymous:1", request_id=str(n))["variant"] for n in range(30)} > seen[
        "anonymous:1"
    ]
    assert flags.flag(targetingKey="anonymous:1")["reason"] == "SPLIT"


def test_one_flag_counts_at_once_and_all_of_them_when_they_are_seen(flags):
    flags.ask("hero")
    flags.ask(None)
    assert [row.asked["mode"] for row in flags.rows()] == ["execute", "prefetch"]


def test_without_redis_everybody_gets_what_somebody_unknown_gets(flags, monkeypatch):
    flags.site.rule("grown", 'IF age >= 18 THEN SHOW "banana"')
    flags.site.publish()
    assert flags.flag()["variant"] == "banana"
    away = redis.Redis(host="127.0.0.1", port=1, socket_timeout=0.1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(profiles, "_shared", [profiles.Profiles(away)])
    assert flags.flag()["variant"] == "apple"
    told = json.loads(flags.ask(None).body)
    assert "profiles unreachable" in told["metadata"]["degraded"]
    assert [flag["variant"] for flag in told["flags"]] == ["apple"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(context=ANYTHING | st.dictionaries(NAMES, ANYTHING), who=st.none() | st.just("c-1") | ANYTHING)
def test_whatever_is_asked_is_answered_in_the_protocols_shape(flags, context, who):
    if isinstance(context, dict) and who is not None:
        context = {**context, "targetingKey": who}
    body = json.dumps({"context": context}).encode()
    headers = {"x-api-key": flags.site.key}
    one, every = flags.send(body, "hero", headers), flags.send(body, None, headers)
    assert one.status == every.status in (200, 400)
    flag, told = json.loads(one.body), json.loads(every.body)
    if one.status == 400:
        assert flag["errorCode"] == told["errorCode"] in ("PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT")
    else:
        assert (flag["key"], flag["variant"], len(told["flags"])) == ("hero", "apple", 1)
    again = flags.send(body, None, {**headers, "if-none-match": dict(every.headers).get("ETag", "")})
    assert again.status == (304 if every.status == 200 else 400)


def test_keys_are_asked_for_as_everywhere(flags):
    body = b'{"context": {"targetingKey": "c-1"}}'
    _, tracking = keys.create("tracking", ["track"])
    flags.site.publish()
    for headers, status in (
        ({}, 401),
        ({"authorization": "Bearer dk_wrong"}, 401),
        ({"x-api-key": tracking}, 403),
        ({"x-api-key": flags.site.key}, 200),
    ):
        one, every = flags.send(body, "hero", headers), flags.send(body, None, headers)
        assert (one.status, every.status) == (status, status)
        if status != 200:
            assert json.loads(one.body).keys() == {"key", "errorCode", "errorDetails"}
            assert json.loads(every.body)["errorCode"] == "GENERAL"
        assert ("WWW-Authenticate" in dict(one.headers)) == (status == 401)


@pytest.mark.parametrize(
    ("reason", "rung", "propensity", "told"),
    [
        ("RANKED", FULL, 1.0, "TARGETING_MATCH"),
        ("RANKED", FULL, 0.9, "SPLIT"),
        ("RANKED", PRIOR, 1.0, "TARGETING_MATCH"),
        ("RANKED", RULES, 1.0, "STATIC"),
        ("something new", RULES, 1.0, "UNKNOWN"),
        *[(ours, FULL, 0.5, theirs) for ours, theirs in REASONS.items()],
    ],
)
def test_our_reasons_are_told_in_openfeatures_words(reason, rung, propensity, told):
    placement = PlacementAnswer("hero", "id", rung, reason, "greedy", [])
    assert reason_of(placement, ItemAnswer("apple", 1, None, propensity, "t", {})) == told


def _broken(prepared: Any, key: str) -> Any:
    """The snapshot with a placement that cannot be decided: its rules are no rules."""
    return replace(prepared, slots={**prepared.slots, key: replace(prepared.slots[key], index=None)})
