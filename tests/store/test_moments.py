"""A stranger's moment is ranked by what happened at such moments: counted from the ledger, shrunken and bounded."""

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from campaigns.models import Content, Placement
from decisioning.engine.context import context_facts, moments
from decisioning.engine.prepare import prepare
from decisioning.engine.resolver import resolve
from decisioning.engine.types import Ask
from decisioning.models import Decision, Outcome, Statistic
from decisioning.store import moments as counted
from decisioning.store.freeze import freeze

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def decided(content: str, context: dict[str, Any], trials: int, successes: int, **more: Any) -> None:
    rows = Decision.objects.bulk_create(
        Decision(
            id=uuid7(),
            placement="hero",
            items=[{"key": content}],
            facts={},
            context=context,
            **{"source": "api", "at": NOON, **more},
        )
        for _ in range(trials)
    )
    Outcome.objects.bulk_create(
        Outcome(decision_id=row.pk, content=content, kind=kind, at=NOON, message_id=f"{row.pk}-{kind}")
        for n, row in enumerate(rows)
        for kind in (("impression", "conversion") if n < successes else ("impression",))
    )


@pytest.fixture
def shop(db: None) -> None:
    """Two contents as good as each other on the whole."""
    Placement.objects.create(key="hero", name="Hero", exploration=0.0)
    for key in ("apple", "banana"):
        Content.objects.create(key=key, name=key.title())
        Statistic.objects.create(
            placement="hero", part="all", content=key, day=date(2026, 3, 1), decisions=80, shown=80, conversions=20
        )


def test_a_moments_names_are_of_few_values_and_its_hours_are_banded() -> None:
    facts = {"device": "mobile", "country": "DE", "url": "https://shop.example/x", "hour": 17, "weekday": 2}
    assert moments(facts) == ["device=mobile", "country=DE", "hours=12-17"]
    assert [moments({"hour": hour})[0] for hour in (0, 5, 6, 23)] == [
        "hours=0-5",
        "hours=0-5",
        "hours=6-11",
        "hours=18-23",
    ]
    assert moments({}) == moments({"hour": 24}) == []


@pytest.mark.usefixtures("shop")
def test_a_stranger_is_ranked_by_the_device_they_come_with() -> None:
    decided("apple", {"device": {"type": "mobile"}}, 40, 20)
    decided("banana", {"device": {"type": "mobile"}}, 40, 2)
    decided("apple", {"device": {"type": "desktop"}}, 40, 0)
    decided("banana", {"device": {"type": "desktop"}}, 40, 18)
    data = freeze()
    assert set(data.segment_priors) == {"device=mobile", "device=desktop", "hours=12-17"}
    for device, best in (("mobile", "apple"), ("desktop", "banana")):
        found = resolve(prepare(1, NOON, data), Ask("hero", 1, None, {"device": {"type": device}}, "anybody"), NOON)
        assert [item.content.key for item in found.items] == [best]
        assert (found.rung, found.basis) == ("rules+prior", f"context prior: device={device}, hours=12-17")
        assert f"prior rate of device={device}, hours=12-17" in found.items[0].reasons[-1]
    rate = data.segment_priors["device=mobile"]["apple"]
    assert data.priors["apple"] < rate < 20 / 40


@pytest.mark.usefixtures("shop")
def test_rare_moments_imports_and_what_nobody_saw_say_nothing() -> None:
    decided("apple", {"device": {"type": "kiosk"}}, counted.TRIALS - 1, 10)
    decided("apple", {"device": {"type": "watch"}}, counted.TRIALS, 10, source="import")
    decided("apple", {"device": {"type": "phone"}}, counted.TRIALS, 10, whole=False)
    decided("apple", {"device": {"type": "x" * 200}}, counted.TRIALS, 10)
    assert set(freeze().segment_priors) == {"hours=12-17"}


@pytest.mark.usefixtures("shop")
def test_only_the_commonest_values_of_a_fact_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "VALUES", 1)
    decided("apple", {"device": {"type": "mobile"}}, counted.TRIALS + 1, 10)
    decided("apple", {"device": {"type": "kiosk"}}, counted.TRIALS, 10)
    assert set(freeze().segment_priors) == {"device=mobile", "hours=12-17"}


ODD: list[dict[str, Any]] = [
    {},
    {"device": "kiosk", "os": {"name": None}, "locale": "de-DE"},
    {"device": {"type": "kiosk", "model": "x"}, "location": "Ulm", "campaign": ["mail"]},
    {"device": {"type": 5}, "location": {"country": "DE", "region": {"name": "BW"}, "city": "Ulm"}, "os": None},
    {"device": ["kiosk"], "location": {"country": "", "region": "BW"}, "campaign": {"source": "mail"}, "locale": 7},
    {"device": {"type": {"type": "kiosk"}}, "locale": {"locale": "de"}, "page": {"url": "/a"}},
]


@pytest.mark.usefixtures("shop")
def test_what_is_read_of_a_context_names_the_same_moments_as_the_whole_does() -> None:
    placements = freeze().placements
    for context in ODD:
        decided("apple", context, 1, 1)
        decided("banana", context, 1, 0)
    expected: dict[str, dict[str, tuple[int, int]]] = {}
    for name in [name for context in ODD for name in moments(context_facts(context, NOON))]:
        _, n = expected.get(name, {}).get("apple", (0, 0))
        expected[name] = {"apple": (n + 1, n + 1), "banana": (0, n + 1)}
    assert len(expected) == 6
    assert counted._counts(placements) == expected


@pytest.mark.usefixtures("shop")
def test_of_a_full_ledger_only_the_newest_decisions_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    placements = freeze().placements
    decided("apple", {"device": "kiosk"}, 3, 0, at=NOON.replace(hour=11))
    decided("banana", {"device": "kiosk"}, 3, 2)
    monkeypatch.setattr(counted, "RECENT", 4)
    found = counted._counts(placements)
    assert found["device=kiosk"] == {"banana": (2, 3), "apple": (0, 1)}
    assert found["hours=6-11"] == {"apple": (0, 1)}


def test_the_order_in_which_the_ledger_is_read_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    dice, keys = random.Random(5), [f"c{n}" for n in range(40)]
    counts = {f"device=d{n}": {key: (dice.randrange(20), dice.randrange(60, 900)) for key in keys} for n in range(3)}
    rates = {key: dice.uniform(0.01, 0.3) for key in keys}
    found = []
    for _ in range(3):
        shuffled = {name: dict(dice.sample(list(each.items()), len(each))) for name, each in counts.items()}
        monkeypatch.setattr(counted, "_counts", lambda placements, shuffled=shuffled: shuffled)
        found.append(counted.moment_rates((), frozenset(keys), rates))
    assert found[0] == found[1] == found[2] and len(found[0]) == 3


@pytest.mark.usefixtures("shop")
def test_where_a_placement_reports_no_impressions_what_was_chosen_counts() -> None:
    decided("apple", {"device": "kiosk"}, 2, 1)
    decided("apple", {"device": "kiosk"}, 2, 0)
    Outcome.objects.filter(kind="impression").delete()
    assert counted._counts(freeze().placements)["device=kiosk"] == {"apple": (1, 4)}
    Outcome.objects.create(decision_id=Outcome.objects.get().decision_id, content="apple", kind="impression", at=NOON)
    assert counted._counts(freeze().placements)["device=kiosk"] == {"apple": (1, 1)}
