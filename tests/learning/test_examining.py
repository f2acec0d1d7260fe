"""Figures of a scorer beside another's: of every task those that fit it, and gains of which more is better."""

import numpy as np
import pytest

from decisioning.learning.evaluation import auc, calibration_error, log_loss
from decisioning.learning.examining import (
    Figure,
    Seen,
    calibration,
    calibration_by_chance,
    figures,
)
from decisioning.learning.family import CHANCE, ORDER, VALUE

RNG = np.random.default_rng(8)
ROWS = 1200
TRUE = RNG.random(ROWS) * 0.6
Y = (RNG.random(ROWS) < TRUE).astype(float)
SEEN = Seen(Y, np.arange(ROWS) // 6, np.arange(ROWS) // 12)
CONSTANT = np.full(ROWS, Y.mean())


def named(task: str, scores: np.ndarray, seen: Seen = SEEN) -> dict[str, Figure]:
    return {found.metric: found for found in figures(seen, scores, CONSTANT, task, np.random.default_rng(0))}


def test_a_scorer_of_chances_is_judged_by_order_and_by_truth() -> None:
    found = named(CHANCE, TRUE)
    assert list(found) == ["AUC", "log loss", "calibration error", "nDCG@10", "MRR"]
    y = Y.astype(np.int8)
    assert found["AUC"].value.value == pytest.approx(auc(y, TRUE))
    assert found["log loss"].value.value == pytest.approx(log_loss(y, TRUE))
    assert found["log loss"].baseline == pytest.approx(log_loss(y, CONSTANT))
    assert found["calibration error"].value.value == pytest.approx(calibration_error(y, TRUE))
    assert all(figure.gain.low > 0 for figure in found.values() if figure.gain), "the truth beats a constant in all"


def test_worse_than_a_constant_has_a_gain_below_zero() -> None:
    found = named(CHANCE, 1 - TRUE)
    assert found["AUC"].gain is not None and found["AUC"].gain.high < 0
    assert found["log loss"].gain is not None and found["log loss"].gain.high < 0


def test_other_tasks_have_other_figures() -> None:
    assert list(named(ORDER, 10 * TRUE)) == ["nDCG@10", "MRR"]
    assert next(iter(named(VALUE, TRUE))) == "squared error"


def test_single_rows_have_no_order() -> None:
    alone = Seen(Y, np.arange(ROWS), SEEN.customers)
    assert list(named(CHANCE, TRUE, alone)) == ["AUC", "log loss", "calibration error"]


def test_perfect_chances_come_to_the_error_of_chance_and_false_ones_to_more() -> None:
    y = np.random.default_rng(9).random((60, ROWS)) < TRUE
    seen = [calibration_error(row.astype(np.int8), TRUE) for row in y]
    assert np.mean(seen) == pytest.approx(calibration_by_chance(TRUE), rel=0.1)
    told = calibration(SEEN, TRUE * 0.5, np.random.default_rng(0))
    assert told.low > calibration_by_chance(TRUE * 0.5)


def test_the_rarer_outcome_counts_and_rows_can_be_picked() -> None:
    assert SEEN.fewer == min(Y.sum(), ROWS - Y.sum())
    assert len(SEEN.only(Y > 0)) == Y.sum()
    assert SEEN.only(Y > 0).fewer == 0
