"""Training and backtest: no window that is still open, no look ahead, and an honest answer when there is
nothing.
"""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from decisioning.learning.dataset import closed, label, outcome, schema_for, split_by_time
from decisioning.learning.scorer import Prior, Trees
from decisioning.learning.training import Ingredients, backtest, train

from .shop import CROSSES, KINDS, OFFERS, START, showings

INGREDIENTS = Ingredients(KINDS, CROSSES, OFFERS)
SPLIT = START + timedelta(days=70)
END = START + timedelta(days=200)


def test_a_training_row_has_closed_by_the_split_and_a_test_row_is_shown_after_it() -> None:
    frame = showings()
    parts = split_by_time(frame, SPLIT)
    assert parts.train["closes_at"].max() <= SPLIT <= parts.test["shown_at"].min()
    assert parts.train.height + parts.test.height + parts.between == frame.height
    assert parts.between > 0


def test_a_conversion_counts_only_inside_its_window() -> None:
    frame = showings(4).with_columns(
        converted_at=pl.col("shown_at") + pl.Series([timedelta(0), timedelta(days=5), timedelta(days=6), -timedelta(1)])
    )
    assert outcome(frame).tolist() == [1, 1, 0, 0]


def test_what_is_shown_before_recording_began_or_is_still_open_is_left_out() -> None:
    found = closed(showings(), SPLIT, since=START + timedelta(days=10))
    assert found["shown_at"].min() >= START + timedelta(days=10)
    assert found["closes_at"].max() <= SPLIT


def test_rows_come_in_order_of_time_whatever_the_order_of_the_frame() -> None:
    frame = showings(300)
    schema = schema_for(frame, OFFERS, KINDS, CROSSES)
    rows = label(schema, frame, OFFERS)
    mixed = label(schema, frame.sample(fraction=1, shuffle=True, seed=2), OFFERS)
    np.testing.assert_array_equal(mixed.X, rows.X)
    np.testing.assert_array_equal(mixed.y, rows.y)
    assert (np.diff(rows.at) >= 0).all()


def test_facts_as_json_give_the_same_scorer_as_facts_in_columns() -> None:
    frame = showings(800)
    names = [*KINDS, "share_dairy", "share_meat"]
    texts = frame.select(pl.struct(names).struct.json_encode().alias("facts"))
    stored = frame.drop(names).with_columns(texts)
    assert train(stored, INGREDIENTS, END).to_artefact() == train(frame, INGREDIENTS, END).to_artefact()


def test_a_scorer_beats_one_fact_and_the_constant_on_what_came_later() -> None:
    report = backtest(showings(), INGREDIENTS, SPLIT, baseline="redeemed")
    assert report.gain.low > 0
    assert report.auc.low > 0.7
    assert report.log_loss < report.prior_log_loss
    assert report.calibration_error < 0.06
    assert report.trained_rows + report.tested_rows + report.left_out == 3000
    assert "AUC of redeemed alone" in report.table()
    assert report.to_dict()["split"] == SPLIT.isoformat()


def test_outcomes_after_the_split_cannot_change_what_was_learned() -> None:
    frame = showings()
    flipped = frame.with_columns(
        pl.when(pl.col("shown_at") >= SPLIT)
        .then(pl.when(pl.col("converted_at").is_null()).then("shown_at"))
        .otherwise("converted_at")
        .alias("converted_at"),
        pl.when(pl.col("shown_at") >= SPLIT).then(1e6).otherwise("orders_30d").alias("orders_30d"),
    )
    before = train(frame, INGREDIENTS, SPLIT).to_artefact()
    assert train(flipped, INGREDIENTS, SPLIT).to_artefact() == before


def test_noise_is_not_reported_as_knowledge() -> None:
    frame = showings()
    shuffled = frame.with_columns(
        converted_at=pl.when(frame["converted_at"].is_not_null().shuffle(seed=5)).then("shown_at")
    )
    report = backtest(shuffled, INGREDIENTS, SPLIT, baseline="redeemed")
    assert report.auc.low < 0.5 < report.auc.high


def test_too_few_conversions_give_the_best_constant() -> None:
    few = showings(100, seed=1).with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("converted_at"))
    scorer = train(few, INGREDIENTS, END)
    assert isinstance(scorer, Prior)
    assert scorer.rate_ == 1 / 102
    assert isinstance(train(showings(), INGREDIENTS, END), Trees)


def test_only_closed_windows_are_tested_on_when_now_is_given() -> None:
    now = START + timedelta(days=90)
    report = backtest(showings(), INGREDIENTS, SPLIT, baseline="redeemed", now=now)
    assert report.tested_rows < backtest(showings(), INGREDIENTS, SPLIT, baseline="redeemed").tested_rows


def test_it_says_what_it_needs() -> None:
    frame = showings(200)
    with pytest.raises(ValueError, match="earlier split"):
        backtest(frame, INGREDIENTS, END, baseline="redeemed")
    with pytest.raises(ValueError, match="is no feature"):
        backtest(frame, INGREDIENTS, SPLIT, baseline="nothing")
    with pytest.raises(ValueError, match="lack closes_at"):
        train(frame.drop("closes_at"), INGREDIENTS, END)
    with pytest.raises(ValueError, match="unknown contents: offer-0"):
        train(frame, Ingredients(KINDS, CROSSES, OFFERS[1:]), END)
