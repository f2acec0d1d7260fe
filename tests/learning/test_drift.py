"""What moved is found, what chance moves is not, and scores are held against what came of them."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from decisioning.learning.drift import DAY_US, calibration_over_time, ks, moved, moved_columns, moved_shares

RNG = np.random.default_rng(6)
THEN, SAME = RNG.normal(size=3000), RNG.normal(size=2000)


def test_ks_equals_the_reference() -> None:
    for now in (SAME, SAME + 0.05, SAME * 1.5):
        reference = ks_2samp(THEN, now, method="asymp")
        found = ks(THEN, now)
        assert found[0] == pytest.approx(reference.statistic)
        assert found[1] == pytest.approx(reference.pvalue, abs=0.01)
    assert ks(THEN, np.empty(0)) == (0.0, 1.0)


@pytest.mark.parametrize(("now", "verdict"), [(SAME, "steady"), (SAME + 0.45, "moving"), (SAME + 1, "moved")])
def test_a_column_is_judged_by_how_far_it_moved(now: np.ndarray, verdict: str) -> None:
    assert moved("spend", THEN, now).verdict == verdict


def test_values_that_went_missing_count() -> None:
    gone = np.where(np.arange(2000) % 5 < 2, np.nan, SAME)
    assert moved("spend", THEN, gone).verdict == "moved"


def test_too_few_rows_say_nothing() -> None:
    assert moved("spend", THEN, SAME[:50] + 3).verdict == "unknown"


def test_columns_come_with_the_one_that_moved_most_first() -> None:
    found = moved_columns(["a", "b"], np.c_[THEN, THEN], np.c_[SAME, SAME + 1])
    assert [move.name for move in found] == ["b", "a"]


def test_shares_of_segments_are_compared_by_name() -> None:
    then = {"new": 500, "loyal": 400, "lost": 100}
    assert moved_shares("segments", then, {"loyal": 410, "new": 480, "lost": 110}).verdict == "steady"
    assert moved_shares("segments", then, {"new": 100, "lost": 500, "back": 400}).verdict == "moved"
    assert moved_shares("segments", {}, {}).verdict == "unknown"


def test_scores_that_stop_being_true_are_seen_week_by_week() -> None:
    at = np.arange(4000) * 28 // 4000 * DAY_US
    chances = np.full(4000, 0.3)
    y = np.arange(4000) % 10 < np.where(at < 21 * DAY_US, 3, 5)
    found = calibration_over_time(at, y, chances, np.arange(4000), np.random.default_rng(1))
    assert [period.holds for period in found] == [True, True, True, False]
    assert sum(period.rows for period in found) == 4000
    assert found[1].start == 7 * DAY_US
    assert calibration_over_time(at[:50], y[:50], chances[:50], np.arange(50), np.random.default_rng(1)) == []
