"""Figures: equal to the reference ones of scikit-learn, with intervals that hold what they promise."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as reference_log_loss
from sklearn.metrics import roc_auc_score

from decisioning.learning.evaluation import (
    Ranking,
    auc,
    auc_gain,
    auc_interval,
    calibration_error,
    customer_weights,
    log_loss,
    rate_interval,
)

RNG = np.random.default_rng(11)
Y = (RNG.random(400) < 0.3).astype(np.int8)
SCORES = np.clip(0.3 + 0.2 * Y + RNG.normal(0, 0.2, 400), 0.01, 0.99)
CUSTOMERS = RNG.integers(0, 120, 400)


def test_auc_equals_the_reference_with_and_without_ties() -> None:
    assert auc(Y, SCORES) == pytest.approx(roc_auc_score(Y, SCORES))
    assert auc(Y, SCORES.round(1)) == pytest.approx(roc_auc_score(Y, SCORES.round(1)))
    assert auc(Y, np.ones(400)) == 0.5


def test_weighted_auc_equals_repeating_the_rows() -> None:
    weights = customer_weights(CUSTOMERS, np.random.default_rng(1))
    repeated = np.repeat(np.arange(400), weights.astype(int))
    expected = roc_auc_score(Y[repeated], SCORES.round(2)[repeated])
    assert Ranking(Y, SCORES.round(2)).auc(weights) == pytest.approx(expected)


def test_auc_of_one_class_or_nothing_is_that_of_a_coin() -> None:
    assert auc(np.zeros(3, np.int8), [1, 2, 3]) == 0.5
    assert auc(np.zeros(0, np.int8), []) == 0.5


def test_log_loss_equals_the_reference_and_stays_finite() -> None:
    assert log_loss(Y, SCORES) == pytest.approx(reference_log_loss(Y, SCORES))
    assert np.isfinite(log_loss(np.array([0, 1], np.int8), [1.0, 0.0]))


def test_calibration_error_is_the_mean_gap_between_rate_and_score() -> None:
    chances = np.repeat([0.2, 0.6], 500)
    y = np.concatenate([np.arange(500) < 100, np.arange(500) < 300]).astype(np.int8)
    assert calibration_error(y, chances, bins=2) == pytest.approx(0)
    assert calibration_error(y, chances + 0.1, bins=2) == pytest.approx(0.1)


def test_resampling_draws_whole_customers() -> None:
    weights = customer_weights(CUSTOMERS, np.random.default_rng(5))
    for customer in np.unique(CUSTOMERS):
        assert len(set(weights[customer == CUSTOMERS])) == 1
    assert len({*weights}) > 2


def test_intervals_hold_their_value_and_repeat_with_the_same_dice() -> None:
    first = auc_interval(Y, SCORES, CUSTOMERS, np.random.default_rng(3))
    assert first == auc_interval(Y, SCORES, CUSTOMERS, np.random.default_rng(3))
    assert first.low < first.value < first.high
    rate = rate_interval(Y, CUSTOMERS, np.random.default_rng(3))
    assert rate.low < Y.mean() == rate.value < rate.high


def test_intervals_of_customers_with_many_like_rows_are_wider_than_those_of_many_customers() -> None:
    y, scores = np.tile(Y, 5), np.tile(SCORES, 5)
    few = auc_interval(y, scores, np.tile(np.arange(400), 5), np.random.default_rng(3))
    many = auc_interval(y, scores, np.arange(2000), np.random.default_rng(3))
    assert few.high - few.low > 1.5 * (many.high - many.low)


def test_the_gain_over_the_same_scores_is_zero_and_over_noise_is_not() -> None:
    none = auc_gain(Y, SCORES, SCORES * 2, CUSTOMERS, np.random.default_rng(3))
    assert (none.value, none.low, none.high) == (0, 0, 0)
    noise = np.random.default_rng(8).random(400)
    assert auc_gain(Y, SCORES, noise, CUSTOMERS, np.random.default_rng(3)).low > 0
