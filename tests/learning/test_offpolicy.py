"""What another policy would have earned is found from a log of which the truth is known, and doubt is told."""

from dataclasses import replace

import numpy as np
import pytest

from decisioning.learning.enough import more_needed, rounded
from decisioning.learning.evaluation import Estimate
from decisioning.learning.offpolicy import Log, Target, Worth, worth

from .logs import LOGGED, TARGET, log_of, worth_of

TRUE, GAINED = worth_of(TARGET), worth_of(TARGET) - worth_of(LOGGED)
SEEDS = 200


@pytest.fixture(scope="module")
def many() -> list[Worth]:
    """The same question to 200 logs."""
    return [worth(*log_of(1000, seed), np.random.default_rng(seed)) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def one() -> tuple[Log, Target]:
    return log_of(4000, 1)


def covered(found: list[Estimate | None], truth: float) -> float:
    return sum(each is not None and each.low <= truth <= each.high for each in found) / len(found)


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_intervals_contain_the_truth_as_often_as_they_promise(many: list[Worth], name: str) -> None:
    assert covered([getattr(each, name) for each in many], TRUE) >= 0.93
    assert np.mean([getattr(each, name).value for each in many]) == pytest.approx(TRUE, rel=0.03)


def test_intervals_of_the_gain_do_too(many: list[Worth]) -> None:
    assert covered([each.gain for each in many], GAINED) >= 0.93


def test_knowing_what_to_expect_makes_the_estimate_steadier(many: list[Worth]) -> None:
    spread = {name: np.std([getattr(each, name).value for each in many]) for name in ("ips", "dr")}
    assert spread["dr"] < spread["ips"]


def test_the_policy_that_was_logged_is_worth_what_was_logged(one: tuple[Log, Target]) -> None:
    log = one[0]
    found = worth(log, Target(log.chances, np.full(len(log), np.nan)), np.random.default_rng(0))
    assert found.ips.value == found.snips.value == found.logged.value == pytest.approx(log.rewards.sum() / 4000)
    assert found.dr is None
    assert (found.by, found.effective, found.gain.value) == ("SNIPS", pytest.approx(8000), 0)


def test_diagnostics_say_how_far_the_figures_carry(one: tuple[Log, Target]) -> None:
    log, target = one
    found = worth(log, target, np.random.default_rng(0), clip=2.0)
    weights = np.minimum(target.chances / log.chances, 2.0)
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert found.clipped == pytest.approx((target.chances / log.chances > 2.0).mean())
    assert found.largest == 2.0
    assert found.ips.value < worth(log, target, np.random.default_rng(0)).ips.value, "clipping only takes away"
    whole = worth(log, target, np.random.default_rng(0))
    assert whole.mean_weight.low < 1 < whole.mean_weight.high
    assert whole.problem == ""


def test_a_log_that_never_tried_what_the_policy_wants_is_told(one: tuple[Log, Target]) -> None:
    log = replace(one[0], chances=np.ones(len(one[0])))
    only = (np.arange(len(log)) % 3 == 0).astype(float)
    found = worth(log, Target(only, np.full(len(log), np.nan)), np.random.default_rng(0))
    assert "no chance of showing about 67% of what this policy would show" in found.problem


def test_what_was_explored_rarely_is_no_lack_of_a_chance() -> None:
    """A tenth explored over 27 contents: each had a chance of 1 in 270, and weights are cut far below that."""
    dice, rows = np.random.default_rng(1), np.arange(20_000)
    shown = dice.random(len(rows)) < 1 / 270
    chances = np.where(shown, 1 / 270, 269 / 270)
    earned = np.where(shown, (dice.random(len(rows)) < 0.5).astype(float), 0.01)
    log = Log(earned, chances, rows, rows, np.ones(len(rows), int), np.full(len(rows), np.nan))
    found = worth(log, Target(shown.astype(float), np.full(len(rows), np.nan)), np.random.default_rng(0))
    assert found.mean_weight.low < 1 < found.mean_weight.high
    assert found.problem == f"not enough data: about {found.needed:,} more decisions needed"
    assert found.needed >= 270**2 - 20_000


def test_nobody_is_told_to_wait_for_trillions(one: tuple[Log, Target]) -> None:
    log = replace(one[0], chances=np.where(np.arange(len(one[0])) == 0, 1e-9, 0.5))
    target = Target((np.arange(len(log)) == 0).astype(float), np.full(len(log), np.nan))
    found = worth(log, target, np.random.default_rng(0))
    assert found.needed <= 1_000_000_000
    assert "billion" in found.problem or "no chance" in found.problem


def test_too_little_is_told_with_how_much_more_would_do(one: tuple[Log, Target]) -> None:
    log, target = log_of(100, 3)
    found = worth(log, target, np.random.default_rng(0))
    assert found.problem == f"not enough data: about {found.needed:,} more decisions needed"
    half = (found.best.high - found.best.low) / 2
    assert found.needed >= 100 * ((half / (0.25 * found.logged.value)) ** 2 - 1)
    assert worth(*one, np.random.default_rng(0)).needed == 0


def test_so_many_more_decisions_do() -> None:
    short = worth(*log_of(300, 4), np.random.default_rng(0))
    assert short.needed > 0
    assert worth(*log_of(300 + int(1.5 * short.needed), 4), np.random.default_rng(0)).needed == 0


def test_needs_grow_with_each_thing_that_is_short() -> None:
    assert more_needed(1000, 50.0, 100, 0.1, 0.2) == 1000, "half the effective rows"
    assert more_needed(1000, 500.0, 10, 0.1, 0.2) == 2000, "a third of the rewards"
    assert more_needed(1000, 500.0, 100, 0.2, 0.1) == 3000, "twice too wide"
    assert more_needed(1000, 500.0, 100, 0.1, 0.2) == 0
    assert more_needed(1000, 0.0, 0, 0.0, 0.0) > 1e6
    assert [rounded(number) for number in (7, 38_214, 40_000)] == [7, 39_000, 40_000]


def test_two_policies_are_compared_on_the_same_draws(one: tuple[Log, Target]) -> None:
    log, target = one
    none = worth(log, target, np.random.default_rng(0), against=target)
    assert (none.gain.low, none.gain.high) == (0, 0)
    constant = Target(np.full(len(log), 0.25), np.full(len(log), float(np.nanmean(log.expected))))
    assert worth(log, target, np.random.default_rng(0), against=constant).gain.low > 0


def test_a_gain_that_stands_on_few_rows_is_not_told(one: tuple[Log, Target]) -> None:
    log, target = one
    other = np.where(np.arange(len(log)) < 60, 0.0, target.chances)
    found = worth(log, target, np.random.default_rng(0), against=Target(other, target.expected), wanted=np.inf)
    assert ((log.rewards != 0) & (other != target.chances)).sum() < 30
    assert "more decisions needed" in found.problem


def test_a_log_is_refused_where_chances_or_lengths_cannot_be(one: tuple[Log, Target]) -> None:
    log = one[0]
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        replace(log, chances=np.where(np.arange(len(log)) == 5, 0.0, log.chances))
    with pytest.raises(ValueError, match="equally long"):
        replace(log, rewards=log.rewards[1:])
    empty = Log(*(np.empty(0, kind) for kind in (float, float, int, int, int, float)))
    with pytest.raises(ValueError, match="no rows"):
        worth(empty, Target(np.empty(0), np.empty(0)), np.random.default_rng(0))
