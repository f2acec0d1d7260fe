"""Caps hold whatever is asked: several placements of a call, singles and batches by turns, and the reply cache."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from campaigns.models import Content, Placement
from decisioning.config import clock
from decisioning.customers.models import Customer
from decisioning.flows.rerun import SAME, replay_of
from decisioning.models import Decision
from decisioning.store import profiles, publishing

CAPS = {"apple": (2, 1.0), "banana": (1, 0.5), "default": (3, 2.0)}


@pytest.fixture
def capped(site):
    """Three placements that all show the same; every content may be seen only so often, the default one too."""
    Placement.objects.create(key="side", name="Side", count=1, policy="epsilon", exploration=0.5)
    foot = Placement.objects.create(key="foot", name="Foot", count=3, policy="softmax")
    default = Content.objects.get(key="default")
    default.default_for.add(foot)
    for key, (count, hours) in CAPS.items():
        Content.objects.filter(key=key).update(cap_count=count, cap_hours=hours)
    people = [Customer(key=f"b-{number}", facts={"age": 50}, facts_version=1) for number in range(2)]
    publishing.publish([customer.pk for customer in Customer.objects.bulk_create(people)])
    site.publish()
    return site


def shown(answer: Any) -> list[list[str]]:
    """What each placement shows."""
    return [[item["id"] for item in placement["items"]] for placement in answer["placements"]]


def test_a_page_with_several_placements_shows_a_content_only_as_often_as_it_may_be_seen(capped):
    told = shown(capped.decide(placements=["hero", "hero", "foot", "hero"]))
    assert [part.count("apple") for part in told] == [1, 1, 0, 0]
    assert [part.count("banana") for part in told] == [1, 0, 0, 0]
    assert told[2] == ["default"]


def test_what_a_placement_of_the_same_page_showed_is_replayed(capped):
    capped.decide(placements=["hero", "hero", "hero"])
    capped.ledger.flush()
    rows = list(Decision.objects.order_by("pk"))
    assert [[item["key"] for item in row.items] for row in rows][1:] == [["apple"], ["default"]]
    assert all(replay_of(row, SAME)["identical"] for row in rows)


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_no_reply_that_shows_what_has_a_cap_is_given_twice(capped, mode):
    first, second = (capped.decide(mode=mode) for _ in range(2))
    assert (first["cache"], second["cache"]) == ("miss", "miss")
    assert first["decision_id"] != second["decision_id"]


def test_no_sequence_of_calls_shows_a_content_more_often_than_its_cap(capped, monkeypatch):
    """Singles and batches by turns, with moments that move on; a batch would say what single calls say."""
    dice, now = Random(7), clock.now()
    seen: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for number in range(60):
        now += timedelta(minutes=dice.choice([0, 1, 7, 31]))
        monkeypatch.setattr(clock, "now", lambda at=now: at)
        body = {"placements": [dice.choice(["hero", "side", "foot"]) for _ in range(dice.randrange(1, 5))]}
        body["request_id"] = f"r-{number}"
        people = dice.sample(["c-1", "b-0", "b-1"], dice.randrange(1, 4))
        singles = {key: shown(capped.decide(**body, customer_id=key, mode="dry_run")) for key in people}
        many = {"customer_ids": people, **body}
        if dice.random() < 0.5:
            told = capped.post("/v1/decide/batch", many)[1]["decisions"]
            assert {one["customer_id"]: shown(one) for one in told} == singles
        else:
            told = capped.post("/v1/decide/batch", {**many, "mode": "dry_run"})[1]["decisions"]
            assert {one["customer_id"]: shown(one) for one in told} == singles
            assert {key: shown(capped.decide(**body, customer_id=key)) for key in people} == singles
        for key, parts in singles.items():
            for content in (content for part in parts for content in part):
                seen[key, content].append(now)
    assert len(seen) == 9
    for (_, content), moments in seen.items():
        count, hours = CAPS[content]
        assert max(sum(at - timedelta(hours=hours) < other <= at for other in moments) for at in moments) == count


def test_calls_of_one_customer_at_one_moment_keep_to_caps_together(capped, monkeypatch):
    """Each call meets another that reads what it read and is first: what is full by then is decided without."""
    told: list[list[list[str]]] = []
    admit = profiles.Profiles.note_shown

    def meet(self, found, showings, caps, now):
        if len(told) < 3 and not meeting:
            meeting.append(True)
            told.append(shown(capped.decide(placements=["hero"])))
            meeting.clear()
        return admit(self, found, showings, caps, now)

    meeting: list[bool] = []
    monkeypatch.setattr(profiles.Profiles, "note_shown", meet)
    for _ in range(3):
        told.append(shown(capped.decide(placements=["hero"])))
    everything = [key for answer in told for part in answer for key in part]
    for key, (most, _) in CAPS.items():
        assert everything.count(key) <= most
    assert everything.count("apple") == 2, "what may still be seen is shown"
    capped.ledger.flush()
    rows = list(Decision.objects.order_by("pk"))
    assert sorted(item["key"] for row in rows for item in row.items) == sorted(everything), (
        "what was not shown is not kept"
    )
    assert all(replay_of(row, SAME)["identical"] for row in rows)


def test_where_too_many_meet_nothing_with_a_cap_is_shown(capped, monkeypatch):
    monkeypatch.setattr(profiles.Profiles, "note_shown", lambda self, found, showings, caps, now: frozenset(["apple"]))
    answer = capped.decide(placements=["hero"])
    assert (shown(answer), answer["placements"][0]["reason"]) == ([[]], "CAPPED")


def test_many_at_once_from_several_threads_never_exceed_a_cap(capped):
    def ask(number: int) -> list[str]:
        return [key for part in shown(capped.decide(request_id=f"t-{number}")) for key in part]

    with ThreadPoolExecutor(8) as pool:
        everything = [key for keys in pool.map(ask, range(40)) for key in keys]
    assert {key: everything.count(key) for key in CAPS} == {key: most for key, (most, _) in CAPS.items()}


def test_ids_of_one_customer_in_a_batch_keep_to_caps_together(capped):
    one, other = Customer.objects.get(key="b-0"), Customer.objects.get(key="b-1")
    Customer.objects.filter(pk=other.pk).update(merged_into=one)
    publishing.publish([one.pk, other.pk])
    answer = capped.post("/v1/decide/batch", {"customer_ids": ["b-0", "b-1"], "placements": ["hero", "hero"]})[1]
    everything = [key for decision in answer["decisions"] for part in shown(decision) for key in part]
    assert (everything.count("apple"), everything.count("banana")) == (2, 1)
