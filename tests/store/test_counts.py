"""The ledger's counts come into a snapshot: only those that a placement reads, and drawn towards what is common."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from campaigns.models import Content, Placement
from decisioning.engine.prepare import prepare
from decisioning.engine.resolver import resolve
from decisioning.engine.types import Ask, Profile
from decisioning.learning.bandit import LinearBandit
from decisioning.models import Decision, Outcome, Statistic
from decisioning.store import counts, snapshot
from decisioning.store.freeze import freeze

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)


def count(content: str, shown: int, conversions: int, day: date = DAY, **more: Any) -> None:
    fields = {"placement": "hero", "part": "all", "decisions": shown, "impressions": shown, "shown": shown}
    Statistic.objects.create(content=content, day=day, conversions=conversions, **{**fields, **more})


def shop(**more: Any) -> Placement:
    for key in ("apple", "banana"):
        Content.objects.create(key=key, name=key.title())
    return Placement.objects.create(key="hero", name="Hero", **more)


def decided(facts: dict[str, Any], content: str, kinds: tuple[str, ...] = (), **more: Any) -> None:
    row = Decision.objects.create(
        id=uuid7(), at=NOW, placement="hero", items=[{"key": content}], facts=facts, **{"source": "api", **more}
    )
    for kind in kinds:
        fields = {"content": content, "kind": kind, "at": NOW, "message_id": f"{row.pk}-{kind}"}
        Outcome.objects.create(decision_id=row.pk, **fields)


def test_a_site_without_counts_freezes_none() -> None:
    shop()
    data = freeze()
    assert (data.priors, data.posteriors, data.bandits, data.segment_priors) == ({}, {}, {}, {})


@pytest.mark.parametrize(("fields", "held"), [({}, False), ({"policy": "thompson"}, True), ({"new_share": 0.1}, True)])
def test_posteriors_are_frozen_where_a_placement_reads_them(fields: dict[str, Any], held: bool) -> None:
    shop(**fields)
    count("apple", 100, 7)
    count("gone", 100, 9)
    assert freeze().posteriors == ({"hero": {"apple": (7.0, 93.0)}} if held else {})


def test_what_is_older_than_the_window_counts_no_more() -> None:
    shop(policy="thompson")
    count("apple", 100, 7)
    count("apple", 900, 800, DAY - timedelta(days=counts.DAYS + 1))
    assert freeze().posteriors == {"hero": {"apple": (7.0, 93.0)}}


def test_rates_are_drawn_towards_what_is_common_and_segments_towards_all() -> None:
    shop()
    count("apple", 180, 18)
    count("banana", 20, 0)
    count("apple", 10, 10, part="segment", name="gold")
    data = freeze()
    common = 19 / 202
    assert data.priors["apple"] == pytest.approx((18 + 20 * common) / 200)
    assert data.priors["banana"] == pytest.approx((20 * common) / 40)
    assert data.segment_priors == {"gold": {"apple": pytest.approx((10 + 20 * data.priors["apple"]) / 30)}}


def test_a_linear_placement_learns_from_its_decisions_facts_and_outcomes() -> None:
    shop(policy="linucb", bandit_facts=["orders"], bandit_width=0.5, exploration=0.0)
    for _ in range(30):
        decided({"orders": 50}, "apple", ("impression", "conversion"))
        decided({"orders": 0}, "apple", ("impression",))
        decided({"orders": 50}, "banana", ("impression",))
        decided({"orders": 0}, "banana", ("impression", "conversion"))
    decided({"orders": 50}, "banana")  # never seen
    decided({"orders": 50}, "banana", ("conversion",), source="import")
    decided({}, "banana", ("conversion",), whole=False)
    stored = freeze().bandits["hero"]
    bandit = LinearBandit.from_bytes(stored)
    assert bandit.counts_ == {"apple": 60, "banana": 60}
    site = prepare(1, NOW, freeze())
    for orders, best in ((50, "apple"), (0, "banana")):
        question = Ask("hero", 1, Profile(1, "c", 1, {"orders": orders}), {}, "c", "r1")
        found = resolve(site, question, NOW)
        assert (found.basis, found.rung) == ("bandit of hero", "full")
        assert [item.content.key for item in found.items] == [best]


def test_where_contents_learn_together_a_new_one_is_expected_to_be_like_those_with_its_tags() -> None:
    placement = shop(policy="linucb", bandit_facts=["orders"], bandit_width=0.0, bandit_shared=True, exploration=0.0)
    for key, tag in (("apple", "red"), ("banana", "yellow"), ("rose", "red"), ("lemon", "yellow")):
        Content.objects.update_or_create(key=key, defaults={"name": key.title(), "tags": [tag]})
    for _ in range(30):
        decided({"orders": 1}, "apple", ("impression", "conversion"))
        decided({"orders": 1}, "banana", ("impression",))
    bandit = LinearBandit.from_bytes(freeze().bandits["hero"])
    assert bandit.counts_ == {"apple": 30, "banana": 30, "lemon": 0, "rose": 0}
    site = prepare(1, NOW, freeze())
    x = bandit.features({"orders": 1})
    assert bandit.expect(x, "rose")[0] > 0.3 > abs(bandit.expect(x, "lemon")[0])
    question = Ask("hero", 4, Profile(1, "c", 1, {"orders": 1}), {}, "c", "r1")
    assert [item.content.key for item in resolve(site, question, NOW).items][:2] == ["apple", "rose"]
    placement.bandit_shared = False
    placement.save()
    assert LinearBandit.from_bytes(freeze().bandits["hero"]).counts_ == {"apple": 30, "banana": 30}


def test_a_recount_makes_a_new_snapshot_only_for_new_counts() -> None:
    shop(policy="thompson")
    count("apple", 10, 1)
    assert snapshot.build() is not None
    counts.recount()
    assert snapshot.build() is None
    count("banana", 10, 1)
    assert snapshot.build() is None
    counts.recount()
    assert snapshot.build() is not None
