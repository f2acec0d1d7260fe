"""Only one of a kind learns at a time; who died is known, and what it was doing is told."""

import subprocess
import sys
import time

import psycopg
import pytest
from django.db import connection

from decisioning.models import LearningRun
from decisioning.store import runs

pytestmark = pytest.mark.django_db

HOLD = """
import sys, time, psycopg
held = psycopg.connect(sys.argv[1], autocommit=True)
held.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [int(sys.argv[2]), "train"])
print("held", flush=True)
time.sleep(600)
"""


def address() -> str:
    """Of the test's own database."""
    return psycopg.conninfo.make_conninfo(connection.connection.info.dsn, password=connection.settings_dict["PASSWORD"])


@pytest.fixture
def other():
    """Another process that is at it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    command = [sys.executable, "-c", HOLD, address(), str(runs.LOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_run_tells_how_far_it_is_and_how_it_ended():
    with runs.alone("train", "because") as run:
        run.tell(2, 5, "thinking")
        row = runs.newest("train")
        assert (row.state, row.step, row.steps, row.doing, row.reason) == ("running", 2, 5, "thinking", "because")
        assert runs.held("train") and not runs.held("recall")
    row = runs.newest("train")
    assert (row.state, row.doing, row.error) == ("done", "thinking", "") and row.finished_at
    assert not runs.held("train")


def test_one_that_fails_says_why_and_lets_the_next_one_run():
    with pytest.raises(ValueError), runs.alone("train", "one"):
        raise ValueError("nothing to learn from")
    row = runs.newest("train")
    assert (row.state, row.error) == ("failed", "nothing to learn from")
    with runs.alone("train", "two"):
        pass
    assert runs.newest("train").state == "done"


def test_a_second_one_is_refused_while_one_runs_elsewhere_and_begins_after_that_was_killed(other):
    LearningRun.objects.create(verb="train", reason="theirs")
    assert runs.newest("train").state == "running"
    with pytest.raises(runs.Busy, match=r"runs since .* \(theirs\); wait"), runs.alone("train", "mine"):
        pass
    other.kill()
    end = time.monotonic() + 60
    while runs.held("train") and time.monotonic() < end:
        time.sleep(0.01)
    died = runs.newest("train")
    assert (died.state, died.error) == ("failed", runs.DIED)
    with runs.alone("train", "mine"):
        pass
    assert list(LearningRun.objects.order_by("pk").values_list("reason", "state", "error")) == [
        ("theirs", "failed", runs.DIED),
        ("mine", "done", ""),
    ]


def test_another_kind_may_run_beside_it(other):
    with runs.alone("shadow", "mine"):
        assert runs.held("shadow")


def test_old_runs_are_forgotten(monkeypatch):
    monkeypatch.setattr(runs, "KEPT", 3)
    for number in range(6):
        with runs.alone("train", str(number)):
            pass
    assert list(LearningRun.objects.order_by("pk").values_list("reason", flat=True)) == ["2", "3", "4", "5"]
