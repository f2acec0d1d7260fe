"""What the client holds is known to be right without deciding, but never where something else would be shown."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from msgspec import structs

from campaigns.models import Content, Placement
from decisioning.api import doors, ofrep
from decisioning.customers.models import Customer
from decisioning.engine.prepare import prepare
from decisioning.flows import flags as flags_module
from decisioning.store import profiles, publishing
from rules import rulebook
from rules.language.facts import Catalogue, Fact
from rules.models import Rule

Ask = Callable[..., doors.Reply]


@pytest.fixture
def ask(site, monkeypatch, settings) -> Ask:
    """All flags, for customer c-1 if nobody else is named; answers are not cached."""
    settings.REPLY_CACHE_SECONDS = 0
    for name in ("holder", "ledger"):
        monkeypatch.setattr(ofrep, name, getattr(site, name))

    def send(held: str = "", **context: Any) -> doors.Reply:
        body = json.dumps({"context": {"targetingKey": "c-1", **context}}).encode()
        return ofrep.answer({"authorization": f"Bearer {site.key}", "if-none-match": held}, body)

    return send


@pytest.fixture
def decided(monkeypatch) -> list[str]:
    """The modes in which placements were decided, one after the other."""
    modes: list[str] = []
    real = flags_module._ask

    def told(keys, question, mode, decide):
        modes.append(mode)
        return real(keys, question, mode, decide)

    monkeypatch.setattr(flags_module, "_ask", told)
    return modes


def tag_of(reply: doors.Reply) -> str:
    return dict(reply.headers)["ETag"]


def variant_of(reply: doors.Reply) -> str:
    return str(json.loads(reply.body)["flags"][0]["variant"])


@pytest.mark.parametrize("who", ["c-1", "anonymous:anon-1", "anonymous:nobody", "never-heard-of"])
def test_nothing_is_decided_where_nothing_can_have_changed(ask, decided, who):
    first = ask(targetingKey=who)
    assert decided == ["prefetch"] * len(decided)
    decided.clear()
    again = ask(tag_of(first), targetingKey=who)
    assert (again.status, again.body, tag_of(again)) == (304, b"", tag_of(first))
    assert decided == []


def test_a_customer_who_changed_is_decided_anew(site, ask, decided):
    site.rule("grown", 'IF age >= 40 THEN SHOW "banana"')
    site.publish()
    first = ask()
    Customer.objects.update(facts={"age": 41}, facts_version=2)
    publishing.publish_all()
    second = ask(tag_of(first))
    assert (variant_of(first), second.status, variant_of(second)) == ("apple", 200, "banana")
    # Other facts, the same flags: they are tried, and found to be what the client has.
    Customer.objects.update(facts={"age": 42}, facts_version=3)
    publishing.publish_all()
    decided.clear()
    assert ask(tag_of(second)).status == 304
    assert decided == ["dry_run"]


def test_somebody_who_becomes_known_is_decided_anew(site, ask):
    site.rule("known", 'IF age IS PRESENT THEN SHOW "banana"')
    site.publish()
    first = ask(targetingKey="new-1")
    Customer.objects.create(key="new-1", facts={"age": 20}, facts_version=1)
    publishing.publish_all()
    second = ask(tag_of(first), targetingKey="new-1")
    assert (variant_of(first), second.status, variant_of(second)) == ("apple", 200, "banana")


def test_a_date_that_passes_is_a_change(site, ask, now):
    with time_machine.travel(now, tick=False) as travel:
        Content.objects.filter(key="apple").update(ends_at=now + timedelta(minutes=5))
        site.publish()
        first = ask()
        travel.move_to(now + timedelta(minutes=4))
        assert ask(tag_of(first)).status == 304
        travel.move_to(now + timedelta(minutes=6))
        second = ask(tag_of(first))
    assert (variant_of(first), second.status, variant_of(second)) == ("apple", 200, "banana")


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        ("hour >= 13", {"hour": "number"}),
        ("weekday = 2", {"weekday": "number"}),
        ("last_seen WITHIN LAST 1 DAYS", {"last_seen": "date"}),
    ],
)
def test_what_the_clock_moves_is_always_tried(site, ask, decided, condition, facts):
    rule = Rule.objects.create(key="timed", name="Timed", text=f'IF {condition} THEN SHOW "banana"')
    rulebook.publish(rule, None, Catalogue(facts={name: Fact(name, kind) for name, kind in facts.items()}))
    site.publish()
    held = tag_of(ask())
    decided.clear()
    assert ask(held).status == 304
    assert decided == ["dry_run"]


def test_a_part_of_the_day_with_rates_of_its_own_is_a_change(site, ask, decided, now):
    built = site.holder.current
    rates = {"hours=6-11": {"apple": 0.9, "banana": 0.1}, "hours=12-17": {"apple": 0.1, "banana": 0.9}}
    data = structs.replace(built.data, segment_priors=rates)
    site.holder.current = prepare(built.number, built.built_at, data)
    stranger = "anonymous:nobody"
    with time_machine.travel(now.replace(hour=11, minute=10), tick=False) as travel:
        first = ask(targetingKey=stranger)
        decided.clear()
        travel.move_to(now.replace(hour=11, minute=50))
        assert (ask(tag_of(first), targetingKey=stranger).status, decided) == (304, [])
        travel.move_to(now.replace(hour=13))
        second = ask(tag_of(first), targetingKey=stranger)
    assert (variant_of(first), second.status, variant_of(second)) == ("apple", 200, "banana")


@pytest.mark.parametrize(
    "change",
    [
        lambda: Content.objects.filter(key="apple").update(cap_count=5, cap_hours=24),
        lambda: Placement.objects.update(freshness_half_life_days=3),
        lambda: Content.objects.filter(key="apple").update(body={"title": "It is {{ now }}"}),
    ],
    ids=["cap", "freshness", "template"],
)
def test_contents_that_change_by_themselves_are_always_tried(site, ask, decided, change):
    change()
    site.publish()
    ask(tag_of(ask()))
    assert decided[:2] == ["prefetch", "dry_run"]


def test_templates_without_a_clock_are_not_tried(site, ask, decided):
    Content.objects.filter(key="apple").update(body={"title": "For {{ customer.age }}"})
    site.publish()
    assert ask(tag_of(ask())).status == 304
    assert decided == ["prefetch"]


def test_without_redis_what_is_held_is_tried(ask, decided, monkeypatch):
    first = ask()
    monkeypatch.setattr(profiles.Breaker, "closed", lambda self: False)
    decided.clear()
    assert ask(tag_of(first)).status in (200, 304)
    assert decided[0] == "dry_run"
