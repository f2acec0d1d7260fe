"""Whatever is killed while events come in: none is lost, none counts twice, and everybody is who they were."""

from pathlib import Path

import pytest

from tests.fault import bombs, intake, stopped
from tests.fault.figure import table

pytestmark = pytest.mark.story


def test_kills_at_random_change_nothing_that_a_quiet_run_would_have_given(tmp_path: Path):
    figures = intake.run(intake.Plan(events=4_000, kills=5, postgres=1, valkey=1, minutes=3, folder=tmp_path))
    assert all(one.holds for one in figures), table(figures)


def test_a_postgresql_that_stands_still_costs_no_event(tmp_path: Path):
    # Seconds are the bench machine's matter; here others run at the same time.
    figures = [one for one in stopped.run(20260302, tmp_path) if not one.invariant.endswith((", s", "taken again"))]
    assert all(one.holds for one in figures), table(figures)


def test_hostile_bodies_are_refused_and_cost_little(tmp_path: Path):
    # Milliseconds are the bench machine's matter; here others run at the same time.
    figures = [one for one in bombs.run(20260302, tmp_path, times=1) if not one.invariant.endswith(": ms")]
    assert all(one.holds for one in figures), table(figures)
