"""Training by itself: when there is a reason, one at a time, and somebody hears of one that fails."""

from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from campaigns.models.windows import usual
from decisioning import tasks
from decisioning.config import clock
from decisioning.flows import renew, spawning
from decisioning.models import Artefact, Decision, LearningRun, Outcome
from decisioning.store import artefacts, runs

from .shops import open_shop, show

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def shop(now) -> None:
    """A ledger of forty days with some hundred conversions."""
    show(open_shop(now, lambda n: {"orders_365d": n % 20}), now)


def trained(now, ago: timedelta, until, **metrics) -> Artefact:
    """A scorer that was made so long ago, and had learned from what was shown before `until`."""
    found = artefacts.keep("scorer", b"{}", "", {"objective": "conversion", **metrics}, now, None, (until, until))
    Artefact.objects.filter(pk=found.pk).update(created_at=found.created_at - ago)
    return found


def test_a_first_scorer_is_trained_as_soon_as_there_are_outcomes(shop, now):
    assert renew.why(now - 40 * DAY) is None
    assert "outcomes, and no scorer yet" in renew.why(now)


def test_outcomes_whose_window_is_open_do_not_count(shop, now):
    moment = now - 10 * DAY + timedelta(hours=2)
    closed = Decision.objects.filter(at__lte=moment - timedelta(hours=usual()["conversion"])).values("pk")
    told = Outcome.objects.filter(kind="conversion")
    assert renew.fresh(moment, None) == told.filter(decision_id__in=closed).count()
    assert told.filter(at__lte=moment).count() > renew.fresh(moment, None) > 0


def test_many_new_outcomes_are_a_reason_and_few_are_none(shop, now):
    last = trained(now, timedelta(hours=2), now - 20 * DAY, conversions=400)
    fresh = renew.fresh(now, last)
    assert 100 < fresh < 600
    assert "new outcomes since the last training, which had 400" in renew.why(now)
    Artefact.objects.filter(pk=last.pk).update(metrics={"objective": "conversion", "conversions": 5 * fresh})
    assert renew.why(now) is None


def test_drift_is_a_reason_only_with_something_new_to_learn_from(shop, now):
    last = trained(now, timedelta(hours=7), now - 5 * DAY, conversions=1000)
    Artefact.objects.filter(pk=last.pk).update(active=True)
    report = {"verdict": "moved", "reasons": ["ages have moved", "so have places", "and more"]}
    artefacts.note(last, {"watched": report})
    assert renew.why(now) == "drift: ages have moved; so have places"
    Artefact.objects.filter(pk=last.pk).update(until=now - DAY)
    assert renew.why(now) is None


def test_the_schedule_is_a_setting(shop, now, settings):
    trained(now, timedelta(hours=13), now, conversions=100)
    assert renew.why(now) is None
    settings.RETRAIN_HOURS = 12
    assert renew.why(now) == "12 hours have passed"


def test_nobody_begins_beside_a_training_that_runs(shop, now):
    assert renew.why(now)
    with runs.alone("train", "by hand") as run:
        row = LearningRun.objects.filter(pk=run.pk)
        row.update(started_at=row.get().started_at - timedelta(hours=9))
        assert renew.why(now) is None
    assert renew.why(now)


def test_one_that_failed_is_not_tried_again_at_once(shop, now):
    row = LearningRun.objects.create(verb="train", reason="x")

    def after(hours: float, state: str) -> str | None:
        LearningRun.objects.filter(pk=row.pk).update(started_at=row.started_at - timedelta(hours=hours), state=state)
        return renew.why(now)

    assert after(0, "failed") is None
    assert after(2, "failed") is None
    assert "new outcomes" in after(2, "done")
    assert "new outcomes" in after(7, "failed")


def test_the_worker_trains_for_the_reason_and_tells_of_a_failure(shop, now, settings, mailoutbox, monkeypatch):
    settings.MANAGERS = [("", "owner@shop.example")]
    monkeypatch.setattr(clock, "now", lambda: now)
    asked: list[tuple[str, dict[str, str]]] = []

    def fails(verb, words):
        asked.append((verb, words))
        raise RuntimeError("learn train failed: no memory.")

    monkeypatch.setattr(spawning, "in_own_process", fails)
    monkeypatch.setattr(tasks.connection, "close", lambda: None)
    with pytest.raises(RuntimeError):
        tasks.renew_scorer()
    assert asked[0][0] == "train" and "no scorer yet" in asked[0][1]["why"]
    assert "no memory. What is in use stays in use." in mailoutbox[0].body
    LearningRun.objects.create(verb="train", reason="just now")
    tasks.renew_scorer()
    assert len(asked) == 1


def test_a_training_is_written_down_with_its_reason_and_what_came_of_it(shop, now):
    call_command(
        "learn", "train", "--scorer", "prior", "--why", "a look", "--as-of", now.isoformat(), stdout=StringIO()
    )
    run = runs.newest("train")
    assert (run.reason, run.state, run.step, run.steps) == ("a look", "done", 5, 5)
    assert run.artefact == Artefact.objects.get()
    with pytest.raises(CommandError, match="Nothing was shown in the placement"):
        call_command("learn", "train", "--placement", "gone", "--as-of", now.isoformat())
    assert "Nothing was shown in the placement 'gone'" in runs.newest("train").error


def test_a_second_training_exits_as_occupied_and_that_is_no_failure(now, monkeypatch, settings, tmp_path, caplog):
    @contextmanager
    def busy(verb, why):
        raise runs.Busy("Another one runs; wait.")
        yield

    monkeypatch.setattr(runs, "alone", busy)
    with pytest.raises(CommandError) as refused:
        call_command("learn", "train")
    assert refused.value.returncode == spawning.OCCUPIED
    (tmp_path / "manage.py").write_text(f"import sys; sys.exit({spawning.OCCUPIED})")
    settings.BASE_DIR = tmp_path
    spawning.in_own_process("train", {})
    (tmp_path / "manage.py").write_text("import sys; sys.exit(1)")
    with pytest.raises(RuntimeError, match="learn train failed"):
        spawning.in_own_process("train", {})
