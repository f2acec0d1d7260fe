"""What can be foretold of whom, and what came true: by the definition, whatever the order, never by the future."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from decisioning.learning.asof import DAY
from decisioning.learning.targets import CHURN, REPURCHASE, TARGETS, VALUE, Happened, came_true, cuts, foretellable

DICE = np.random.default_rng(3)
WHO, WHEN = DICE.integers(5, 25, 400), DICE.integers(0, 200, 400) * DAY // 2
PAID = DICE.integers(1, 50, 400).astype(float)
ASKED = np.arange(30)


def test_counts_and_sums_are_those_of_looking_at_every_event():
    log = Happened(WHO, WHEN, PAID)
    since, until = ASKED * DAY, (ASKED + 40) * DAY
    counts, sums = log.between(ASKED, since, until)
    for place, pk in enumerate(ASKED):
        mine = (pk == WHO) & (since[place] <= WHEN) & (until[place] > WHEN)
        assert (counts[place], sums[place]) == (mine.sum(), PAID[mine].sum())


def test_an_event_at_the_moment_itself_is_the_future_and_one_at_the_end_of_the_horizon_is_beyond_it():
    at, days = np.array([100 * DAY]), 30
    who = np.array([1])
    for when, before, after in ((70, 1, 0), (69, 0, 0), (99, 1, 0), (100, 0, 1), (129, 0, 1), (130, 0, 0)):
        log = Happened(who, np.array([when * DAY]), np.array([5.0]))
        assert foretellable(CHURN, log, log, who, at, days)[0] == bool(before)
        assert came_true(CHURN, log, log, who, at, days)[0] == 1 - after
        assert came_true(REPURCHASE, log, log, who, at, days)[0] == after
        assert came_true(VALUE, log, log, who, at, days)[0] == 5.0 * after
        assert foretellable(REPURCHASE, log, log, who, at, days)[0] == (when < 100)


@pytest.mark.parametrize("target", TARGETS)
def test_whom_it_is_about_does_not_hang_on_what_comes(target):
    at = np.full(30, 50 * DAY)
    poisoned = np.where(WHEN >= 50 * DAY, 50 * DAY + DICE.integers(0, 9, 400), WHEN)
    found = [foretellable(target, log, log, ASKED, at, 30) for log in (Happened(WHO, WHEN), Happened(WHO, poisoned))]
    assert found[0].any() and (found[0] == found[1]).all()


def test_money_given_back_is_no_loss():
    log = Happened(np.array([1]), np.array([DAY]), np.array([-3.0]))
    assert came_true(VALUE, log, log, np.array([1]), np.array([0]), 30)[0] == 0.0


def test_an_empty_log_says_nothing_of_anybody():
    log = Happened(np.array([], np.int64), np.array([], np.int64))
    assert log.between(ASKED, ASKED, ASKED)[0].sum() == 0


def test_moments_lie_a_horizon_apart_and_all_have_closed():
    found = cuts(0, 400 * DAY, 30, 6)
    assert found == [day * DAY for day in (220, 250, 280, 310, 340, 370)]
    assert cuts(0, 90 * DAY, 30, 6) == [30 * DAY, 60 * DAY]
    with pytest.raises(ValueError, match="covers 89 days; to foretell 30 days it must cover 90"):
        cuts(0, 90 * DAY - 1, 30, 6)


def test_the_page_says_what_there_is_and_its_examples_run():
    page = Path(__file__).parents[2] / "docs" / "foretelling.md"
    done = doctest.testfile(str(page), module_relative=False)
    assert (done.failed, done.attempted) == (0, 7)
    for one in TARGETS.values():
        assert f"| `{one.name}` | `{one.fact}`" in page.read_text() and f"| {one.days} days |" in page.read_text()
