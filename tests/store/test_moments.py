"""A stranger's moment is ranked by what happened at such moments: counted from the ledger, shrunken and bounded."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from campaigns.models import Content, Placement
from decisioning.engine.context import moments
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
            at=NOON,
            placement="hero",
            items=[{"key": content}],
            facts={},
            context=context,
            **{"source": "api", **more},
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
