"""The worker's tasks for the ledger: they count, open months, drop what is past its time, and are in the timetable."""

from datetime import UTC, datetime, timedelta

import pytest

from decisioning import tasks
from decisioning.config.celery import app
from decisioning.models import Decision, DroppedMonth, Tally, Uncounted, UncountedOutcome
from decisioning.store import months, tallies
from decisioning.store.copying import copy_new
from decisioning.store.counting import PATIENCE

from ..conftest import NOW
from .test_ledger import at_moment, placed
from .test_ledger_counting import decision, held, outcome

pytestmark = pytest.mark.django_db


def test_counting_goes_on_until_nothing_is_left_and_says_what_it_gave_up(monkeypatch, caplog):
    monkeypatch.setattr("decisioning.store.counting.DECISIONS", 2)
    monkeypatch.setattr(tasks.clock, "now", lambda: NOW + PATIENCE * 2)
    copy_new([decision(number) for number in range(5)])
    outcome(decision(77), "click", "m").save()
    tasks.count_ledger()
    assert (Uncounted.objects.count(), UncountedOutcome.objects.count()) == (0, 0)
    assert {row[5] for row in held()} == {5}
    assert "1 outcomes belong to decisions that the ledger does not have" in caplog.text


def test_months_are_opened_and_dropped_as_the_setting_says(settings):
    settings.LEDGER_MONTHS = 3
    real = datetime.now(UTC)
    long_ago = real - timedelta(days=200)
    months.open_months(long_ago)
    copy_new([placed(at_moment(long_ago)), placed(at_moment(real))])
    tallies.add_now("answers", "hit", NOW - timedelta(days=4000), 2)
    tasks.count_ledger()
    tasks.keep_ledger()
    assert [row.pk for row in Decision.objects.all()] == [at_moment(real)]
    assert DroppedMonth.objects.filter(rows=1).count() == 1
    assert {(real + timedelta(days=ahead)).strftime("%Y_%m") for ahead in (0, 27)} <= {
        f"{one.first:%Y_%m}" for one in months.months()
    }
    assert Tally.objects.get().count == 2


def test_the_timetable_has_both():
    named = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {"decisioning.tasks.count_ledger", "decisioning.tasks.keep_ledger"} <= named
