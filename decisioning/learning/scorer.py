"""Labelled rows come in; a scorer comes out: the best constant (`Prior`) or boosted trees (`Trees`).

Importing this module makes both known to `Scorer.from_artefact`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.family import Chances, Labels, SchemaMismatch, Scorer
from decisioning.learning.features import Content, Facts, Matrix
from decisioning.learning.later import Later
from decisioning.learning.schema import FeatureSchema

if TYPE_CHECKING:
    import lightgbm
else:
    lightgbm = Later("lightgbm")
__all__ = ["Prior", "SchemaMismatch", "Scorer", "Trees"]

FEWEST_CONVERSIONS: Final = 30  # on each side of the early stopping, else it is not done
FEWEST_TREES: Final = 10
PATIENCE: Final = 15


class Prior(Scorer):
    """The best constant: everybody gets the common rate, each content its smoothed own. The one to beat."""

    kind = "prior"

    def fit(self, X: Matrix, y: Labels, contents: Sequence[str] = (), at: npt.ArrayLike | None = None) -> Self:
        self.learn_rates(y, contents)
        return self

    def score(self, X: Matrix, schema_hash: str) -> Chances:
        self.expect(X, schema_hash)
        return np.full(len(X), self.rate_)

    def score_contents(self, facts: Facts, contents: Sequence[Content]) -> list[float]:
        return [self.priors_.get(content.key, self.rate_) for content in contents]

    def score_everybody(self, facts: pl.DataFrame, contents: Sequence[Content]) -> Chances:
        return np.tile(self.score_contents({}, contents), (facts.height, 1))

    def learned(self) -> dict[str, Any]:
        return {}

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        return cls(schema)


class Trees(Scorer):
    """A small, regularised gradient boosting of trees (LightGBM; Ke et al. 2017).

    At most `trees` trees of `leaves` leaves. The number kept is chosen by early stopping on the latest fifth
    of the rows by time, then everything is fitted anew with that number. LightGBM's threads do not survive
    a fork: train in a spawned process, load after forking.
    """

    kind = "trees"

    def __init__(
        self,
        schema: FeatureSchema,
        trees: int = 60,
        leaves: int = 7,
        rate: float = 0.06,
        smallest_leaf: int = 40,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        super().__init__(schema)
        self.trees = trees
        self.leaves = leaves
        self.rate = rate
        self.smallest_leaf = smallest_leaf
        self.seed = seed
        self.threads = threads

    def fit(self, X: Matrix, y: Labels, contents: Sequence[str] = (), at: npt.ArrayLike | None = None) -> Self:
        """Raises `ValueError` unless both outcomes occur: without them only a `Prior` can be had."""
        self.expect(X, self.schema.hash)
        if len(np.unique(y)) < 2:
            raise ValueError("Training needs rows with and without a conversion; use Prior until there are some.")
        self.learn_rates(y, contents)
        self.trees_ = self.enough_trees(X, y, at)
        booster = lightgbm.train(self.parameters(), self.rows(X, y), self.trees_)
        self.text_ = booster.model_to_string()
        self.booster_ = lightgbm.Booster(model_str=self.text_)
        return self

    def enough_trees(self, X: Matrix, y: Labels, at: npt.ArrayLike | None) -> int:
        """How many trees the latest fifth of the rows wants; all of them when it is too thin to tell."""
        if at is None:
            return self.trees
        moments = np.asarray(at)
        late = moments > np.quantile(moments, 0.8)
        if min(np.sum(y[late] == 1), np.sum(y[~late] == 1)) < FEWEST_CONVERSIONS:
            return self.trees
        early = self.rows(X[~late], y[~late])
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        watched = [early.create_valid(X[late], y[late])]
        booster = lightgbm.train(self.parameters(), early, self.trees, watched, callbacks=[stop])
        return max(booster.best_iteration, FEWEST_TREES)

    def rows(self, X: Matrix, y: Labels) -> "lightgbm.Dataset":
        return lightgbm.Dataset(X, y, free_raw_data=False, params={"verbose": -1, "max_bin": 63})

    def parameters(self) -> dict[str, Any]:
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.smallest_leaf,
            "lambda_l2": 10.0,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "max_bin": 63,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }

    def score(self, X: Matrix, schema_hash: str) -> Chances:
        self.expect(X, schema_hash)
        if not len(X):
            return np.empty(0)
        return np.asarray(self.booster_.predict(X, num_threads=self.threads), np.float64)

    def learned(self) -> dict[str, Any]:
        return {"text": self.text_, "trees": self.trees_}

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = cls(schema)
        scorer.text_, scorer.trees_ = learned["text"], learned["trees"]
        try:
            scorer.booster_ = lightgbm.Booster(model_str=scorer.text_)
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(str(error)) from error
        return scorer
