"""A scorer under which fewer buy gives way to the former one by itself, and nothing else does."""

from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest

from campaigns.models import Placement
from decisioning import tasks
from decisioning.config import clock
from decisioning.flows import guard
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Prior
from decisioning.models import Artefact, Decision, Outcome
from decisioning.store import artefacts

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def two(now) -> tuple[Artefact, Artefact]:
    """The scorer in use, and the one it replaced."""
    Placement.objects.create(key="home", name="Home", objective="click")
    schema = FeatureSchema([Column("age", "fact", "age")])
    found = []
    for hits in (1, 2):
        y = np.array([1] * hits + [0] * 3, np.int8)
        scorer = Prior(schema).fit(np.zeros((len(y), 1), np.float32), y, ["a"] * len(y))
        found.append(artefacts.keep("scorer", scorer.to_artefact(), schema.hash, {}, now))
        artefacts.activate(found[-1], tried=True)
    return found[1], found[0]


def decided(by: Artefact, now, share: int, after: timedelta = timedelta(hours=1), **more) -> None:
    """400 decisions of as many customers two days ago; every so many'th was clicked some time after."""
    first, at = by.pk * 1000, now - 2 * DAY
    row = {"at": at, "placement": "home", "rung": "full", "scorer": by.pk, "items": [{"key": "a", "rank": 1}], **more}
    rows = [Decision(id=UUID(int=first + n), customer_key=f"c-{first + n}", **row) for n in range(400)]
    Decision.objects.bulk_create(rows)
    came = row["at"] + after
    Outcome.objects.bulk_create(
        Outcome(decision_id=each.pk, content="a", kind="click", at=came, message_id=str(each.pk))
        for each in rows[::share]
    )


def active() -> Artefact:
    return Artefact.objects.get(kind="scorer", active=True)


def test_the_former_one_is_put_back_told_and_stays(two, now, settings, mailoutbox, monkeypatch):
    settings.MANAGERS = [("", "owner@shop.example")]
    monkeypatch.setattr(clock, "now", lambda: now)
    used, former = two
    decided(used, now, 40)
    decided(former, now, 4)
    tasks.guard_scorer()
    assert active().pk == former.pk
    kept = Artefact.objects.get(pk=used.pk)
    assert "it was taken out of use: a decision brings less" in kept.metrics["refused"]
    assert kept.metrics[guard.NAME]["decisions"] == 400
    [mail] = mailoutbox
    assert mail.to == ["owner@shop.example"] and f"{former} ranks again" in mail.body
    tasks.guard_scorer()
    assert active().pk == former.pk and len(mailoutbox) == 1


def test_one_that_brings_as_much_stays(two, now):
    used, former = two
    decided(used, now, 4)
    decided(former, now, 4)
    assert guard.guard(now) is None
    assert active().pk == used.pk
    assert "no less than" in active().metrics[guard.NAME]["verdict"]
    assert "refused" not in active().metrics


@pytest.mark.parametrize(
    "more",
    [{"rung": "default"}, {"source": "import"}, {"scorer": None}, {"placement": "gone"}],
    ids=["not ranked by it", "imported", "without it", "no placement any more"],
)
def test_decisions_that_it_did_not_rank_do_not_count(two, now, more):
    used, former = two
    decided(used, now, 40, **more)
    decided(former, now, 4)
    assert guard.guard(now) is None and active().pk == used.pk


@pytest.mark.parametrize("ago", [timedelta(hours=23), 31 * DAY])
def test_what_is_not_settled_or_long_ago_does_not_count(two, now, ago):
    used, former = two
    decided(used, now, 40, at=now - ago)
    decided(former, now, 4)
    assert guard.guard(now) is None and active().pk == used.pk


@pytest.mark.parametrize("after", [timedelta(hours=25), -timedelta(minutes=9)])
def test_clicks_a_day_late_and_those_from_before_are_no_merit_of_the_former(two, now, after):
    used, former = two
    decided(used, now, 40)
    decided(former, now, 4, after)
    assert guard.guard(now) is None and active().pk == used.pk


def test_a_former_one_that_was_altered_is_not_put_back_and_that_is_told(two, now, settings, mailoutbox):
    settings.MANAGERS = [("", "owner@shop.example")]
    used, former = two
    decided(used, now, 40)
    decided(former, now, 4)
    Artefact.objects.filter(pk=former.pk).update(data=b"{}")
    assert guard.guard(now) is None
    assert active().pk == used.pk
    assert "cannot be used any more" in mailoutbox[0].body


def test_a_ledger_too_large_to_read_changes_nothing_and_is_told(two, now, monkeypatch, caplog):
    used, former = two
    decided(used, now, 40)
    decided(former, now, 4)
    monkeypatch.setattr(guard, "SECONDS", 0.0)
    assert guard.guard(now) is None and active().pk == used.pk
    assert "could not read 2 days" in caplog.text


def test_without_a_former_one_there_is_nothing_to_go_back_to(now):
    assert guard.guard(now) is None
