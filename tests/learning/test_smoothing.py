"""Smoothed rates by group: drawn to the common rate where little was seen, and not followed where nothing bears out."""

import numpy as np
import pytest

from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Prior, Rates, Scorer

SCHEMA = FeatureSchema([Column("plan", "fact", "plan", "category", ("gold", "plain")), Column("age", "fact", "age")])
DICE = np.random.default_rng(5)
ROWS = 4000
PLAN = DICE.choice([0.0, 1.0, np.nan], ROWS, p=[0.3, 0.6, 0.1])
AGE = DICE.normal(40, 10, ROWS)
X = np.column_stack([PLAN, AGE]).astype(np.float32)
CHANCE = np.where(PLAN == 0, 0.4, 0.1) * np.where(AGE > 45, 1.5, 0.8)
Y = (DICE.random(ROWS) < CHANCE).astype(np.int8)
KEYS = tuple(np.where(DICE.random(ROWS) < 0.5, "a", "b"))


def test_groups_are_told_apart_those_who_lack_a_feature_and_levels_never_seen_too():
    fitted = Rates(SCHEMA).fit(X, Y, KEYS, np.arange(ROWS))
    asked = np.array([[0, 50], [1, 30], [np.nan, 50], [9, 50]], np.float32)
    gold, plain, unknown, unseen = fitted.score(asked, SCHEMA.hash)
    assert gold == pytest.approx(0.6, abs=0.07) and plain == pytest.approx(0.08, abs=0.02)
    assert unknown == unseen and plain < unknown < gold


def test_noise_is_not_followed():
    fitted = Rates(SCHEMA).fit(X, DICE.permutation(Y), KEYS, np.arange(ROWS))
    constant = Prior(SCHEMA).fit(X, Y, KEYS)
    assert fitted.weight_ == 0.0
    assert len(set(fitted.score(X[:50], SCHEMA.hash))) == len(set(constant.score(X[:50], SCHEMA.hash))) == 1


def test_a_group_of_which_little_was_seen_stays_near_the_common_rate():
    rare = X.copy()
    rare[:, 0] = 1
    rare[-3:, 0] = 0
    y = Y.copy()
    y[-3:] = 1
    fitted = Rates(SCHEMA).fit(rare, y, KEYS, np.arange(ROWS))
    usual = fitted.rate_
    assert 0 < fitted.odds_[0][0] < np.log((3 + 20 * usual) / (20 * (1 - usual))) - np.log(usual / (1 - usual)) + 1e-9


def test_groups_that_are_not_those_of_the_features_are_refused():
    artefact = Rates(SCHEMA).fit(X, Y, KEYS, np.arange(ROWS))
    learned = artefact.learned()
    learned["odds"][1].pop()
    with pytest.raises(ValueError, match="not those of its features"):
        Rates.restored(SCHEMA, learned)
    assert isinstance(Scorer.from_artefact(artefact.to_artefact()), Rates)
