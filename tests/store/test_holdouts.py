"""The effect of a holdout: by customers, of the last four weeks, by the placement's own kind of success."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from campaigns.models import Content, Holdout, Placement
from decisioning.engine.prepare import prepare
from decisioning.engine.resolver import resolve
from decisioning.engine.types import Ask
from decisioning.experiments.statistics import Group
from decisioning.flows.recording import row_of
from decisioning.models import Change, Decision, Outcome, Statistic
from decisioning.store.counting import count_new
from decisioning.store.freeze import freeze
from decisioning.store.holdouts import DAYS, effect
from decisioning.store.recounting import rebuild
from decisioning.store.statistics import group_rates

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def hero() -> Placement:
    hero = Placement.objects.create(key="hero", name="Hero", holdout_share=0.2)
    Content.objects.create(key="apple", name="Apple")
    Content.objects.create(key="plain", name="Plain").default_for.add(hero)
    return hero


def decided(who: str, arms: list[str], kinds: str = "", at: datetime = NOW, **more: Any) -> None:
    row = Decision.objects.create(
        id=uuid7(), at=at, placement="hero", customer_key=who, explanation={"arms": arms}, **{"source": "api", **more}
    )
    for kind in kinds.split():
        Outcome.objects.create(decision_id=row.pk, content="apple", kind=kind, at=at, message_id=f"{row.pk}-{kind}")


def test_customers_are_compared_and_not_decisions(hero: Placement) -> None:
    for _ in range(3):
        decided("ann", ["treated"], "impression conversion")
    decided("bob", ["treated"], "impression click")
    decided("cid", ["holdout"], "impression")
    found = effect(hero, NOW)
    assert (found.held, found.treated, found.kind) == (Group(1, 0), Group(2, 1), "conversion")
    assert found.gain.value == 0.5 and not found.gain.tells
    hero.objective = "click"
    assert effect(hero, NOW).treated == Group(2, 1)


def test_imports_old_decisions_and_who_was_on_both_sides_are_left_out(hero: Placement) -> None:
    decided("ann", ["treated"], source="import")
    decided("bob", ["treated"], at=NOW - DAYS - timedelta(seconds=1))
    decided("cid", ["holdout"])
    decided("cid", ["treated"], "conversion")
    decided("dan", [])
    found = effect(hero, NOW)
    assert (found.held, found.treated) == (Group(0, 0), Group(0, 0))


def test_a_share_set_in_the_database_reaches_the_snapshot_and_its_change_is_noticed(hero: Placement) -> None:
    assert freeze().placements[0].holdout_share == 0.2
    Change.objects.get_or_create(defaults={"number": 0, "built": -1})
    before = Change.objects.get().number
    Holdout.objects.update_or_create(pk=Holdout.objects.values_list("pk", flat=True).first(), defaults={"share": 0.05})
    assert Change.objects.get().number > before
    assert (freeze().holdout_share, freeze().holdout_draw) == (0.05, "1")


def test_the_arm_is_kept_with_the_decision_and_counted_by_increments_as_anew(hero: Placement) -> None:
    site = prepare(1, NOW, freeze())
    for number in range(40):
        who = Ask("hero", 1, None, {}, f"anon-{number}")
        row_of(uuid7(), site, who, resolve(site, who, NOW), NOW, "api", {"mode": "execute"}).save(force_insert=True)
    while count_new():
        pass
    sides = group_rates(Statistic.Part.ARM)["hero"]
    assert set(sides) == {"holdout", "treated"} and set(sides["holdout"]) == {"plain"}
    assert sum(rate.trials for side in sides.values() for rate in side.values()) == 40
    columns = ("placement", "content", "part", "name", "day", "decisions")
    before = sorted(Statistic.objects.values_list(*columns))
    rebuild()
    assert sorted(Statistic.objects.values_list(*columns)) == before
