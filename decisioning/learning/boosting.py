"""Labelled rows come in; trees come out that say a chance, boosted (`Trees`) or as a forest (`Forest`).

What else trees are grown for (`ordering`, `worth`, `uplift`) inherits from `Boosted`. All are small, regularised
LightGBM ensembles (Ke et al. 2017). How many boosted trees are kept is chosen by early stopping on the latest fifth of
the rows by time, whole slates together; then everything is fitted anew with as many. The same rows, seed and settings
give the same bytes. LightGBM's threads do not survive a fork: train in a spawned process, load after forking.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning import distributed
from decisioning.learning.family import CHANCE, ORDER, Chances, Labels, Scorer
from decisioning.learning.features import Matrix
from decisioning.learning.later import Later
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.slicing import BOTH, FEWEST_CONVERSIONS, Groups, Weights, chosen, parts, present

if TYPE_CHECKING:
    import lightgbm
else:
    lightgbm = Later("lightgbm")

FEWEST_TREES: Final = 10
PATIENCE: Final = 15


class Boosted(Scorer):
    """At most `trees` trees of `leaves` leaves each.

    `l2` draws each leaf towards 0; a tree sees a share of `columns`; `random_cuts` tries one threshold a feature
    instead of all (extremely randomised trees, Geurts et al. 2006).
    `monotone` {feature: 1 or -1}: the score may only rise or only fall with it, all else the same. Raises `ValueError`
    for names that are no features.
    """

    objective: ClassVar[str]
    metric: ClassVar[str]
    more: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        schema: FeatureSchema,
        trees: int = 60,
        leaves: int = 7,
        rate: float = 0.06,
        smallest_leaf: int = 40,
        seed: int = 0,
        threads: int = 1,
        monotone: Mapping[str, int] | None = None,
        l2: float = 10.0,
        columns: float = 0.5,
        random_cuts: bool = False,
    ) -> None:
        super().__init__(schema)
        self.trees = trees
        self.leaves = leaves
        self.rate = rate
        self.smallest_leaf = smallest_leaf
        self.seed = seed
        self.threads = threads
        self.l2 = l2
        self.columns = columns
        self.random_cuts = random_cuts
        self.monotone = dict(monotone or {})
        if unknown := sorted(set(self.monotone) - set(schema.names)):
            raise ValueError(f"No such features: {', '.join(unknown)}. There are {', '.join(schema.names)}.")

    def fit(
        self,
        X: Matrix,
        y: Labels,
        contents: Sequence[str] = (),
        at: npt.ArrayLike | None = None,
        *,
        groups: Groups = None,
        weights: Weights = None,
    ) -> Self:
        """Raises `ValueError` unless some rows succeeded and some did not: without them only a `Prior` can be had."""
        self.expect(X, self.schema.hash)
        if weights is not None:
            X, y, contents, at, groups, weights = present(X, y, contents, at, groups, weights)
        self.check(y, groups)
        self.learn_rates(y, contents, weights)
        early, late = parts(at, groups, len(y))
        self.trees_ = self.enough_trees(X, y, groups, weights, early, late)
        self.begin(X, y, groups, weights)
        self.text_ = self.grown(X, y, groups, weights)
        self.booster_ = lightgbm.Booster(model_str=self.text_)
        self.settle(X, y, weights)
        return self

    def grown(self, X: Matrix, y: Labels, groups: Groups, weights: Weights) -> str:
        """LightGBM's text of as many trees as are enough; by the workers of a Dask cluster, where there is one."""
        address = distributed.scheduler()
        if address is not None and len(X) >= distributed.FEWEST_ROWS:
            given = distributed.Given(X, y, weights, sizes(groups, self.task), self.start(X))
            return distributed.grown(address, given, self.parameters(), self.trees_)
        booster = lightgbm.train(self.parameters(), self.rows(X, y, groups, weights), self.trees_)
        # The number of threads changes no tree; without it the text is the same for any.
        return booster.model_to_string().replace(f"[num_threads: {self.threads}]", "[num_threads: 1]")

    def begin(self, X: Matrix, y: Labels, groups: Groups, weights: Weights) -> None:
        """What is learned of rows before trees are grown on them."""

    def start(self, X: Matrix) -> Chances | None:
        """What the trees are added to, a row; nothing where they stand alone."""
        return None

    def settle(self, X: Matrix, y: Labels, weights: Weights) -> None:
        """What is learned of the trees' scores once they stand, on the rows they were taught by."""

    def check(self, y: Labels, groups: Groups) -> None:
        """Whether there is something to learn from."""
        if not (np.any(y > 0) and np.any(y <= 0)):
            raise ValueError(BOTH)

    def enough_trees(self, X: Matrix, y: Labels, groups: Groups, weights: Weights, early: Any, late: Any) -> int:
        """How many trees the latest fifth of the rows wants; all of them when it is too thin to tell."""
        if late is None or min(np.sum(y[late] > 0), np.sum(y[early] > 0)) < FEWEST_CONVERSIONS:
            return self.trees
        data = self.rows(X[early], y[early], chosen(groups, early), chosen(weights, early))
        later = chosen(groups, late)
        watched = data.create_valid(X[late], y[late], weight=chosen(weights, late), group=sizes(later, self.task))
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        booster = lightgbm.train(self.parameters(), data, self.trees, [watched], callbacks=[stop])
        return max(booster.best_iteration, FEWEST_TREES)

    def rows(self, X: Matrix, y: Labels, groups: Groups = None, weights: Weights = None) -> "lightgbm.Dataset":
        params = {"verbose": -1, "max_bin": 63}
        more: dict[str, Any] = {"group": sizes(groups, self.task), "init_score": self.start(X)}
        return lightgbm.Dataset(X, y, weight=weights, free_raw_data=False, params=params, **more)

    def parameters(self) -> dict[str, Any]:
        ruled = {"monotone_constraints": [self.monotone.get(name, 0) for name in self.schema.names]}
        return {
            "objective": self.objective,
            "metric": self.metric,
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.smallest_leaf,
            "lambda_l2": self.l2,
            "feature_fraction": self.columns,
            "extra_trees": self.random_cuts,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "max_bin": 63,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
            **self.more,
            **(ruled if self.monotone else {}),
        }

    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        self.expect(X, schema_hash)
        return self.said(self.raw(X))

    def raw(self, X: Matrix) -> Chances:
        """What the trees sum to, or what LightGBM makes of it for its objective."""
        if not len(X):
            return np.empty(0)
        return np.asarray(self.booster_.predict(X, num_threads=self.threads), np.float64)

    @abstractmethod
    def said(self, raw: Chances) -> Chances:
        """The score from it."""

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


class Trees(Boosted):
    """The chance of a success."""

    kind = "trees"
    task = CHANCE
    objective, metric = "binary", "binary_logloss"

    def said(self, raw: Chances) -> Chances:
        return raw


class Forest(Boosted):
    """The chance of a success, by a random forest (Breiman 2001): deep trees of their own samples, averaged.

    LightGBM grows and scores it. Nothing is stopped early, for more trees do not overfit.
    """

    kind = "forest"
    objective, metric = "binary", "binary_logloss"
    more: ClassVar[Mapping[str, Any]] = {"boosting": "rf", "bagging_fraction": 0.632}

    def __init__(
        self,
        schema: FeatureSchema,
        trees: int = 100,
        leaves: int = 31,
        smallest_leaf: int = 20,
        seed: int = 0,
        threads: int = 1,
        monotone: Mapping[str, int] | None = None,
        l2: float = 1.0,
        columns: float = 0.5,
        random_cuts: bool = False,
    ) -> None:
        ours = (monotone, l2, columns, random_cuts)
        super().__init__(schema, trees, leaves, 1.0, smallest_leaf, seed, threads, *ours)

    def enough_trees(self, X: Matrix, y: Labels, groups: Groups, weights: Weights, early: Any, late: Any) -> int:
        return self.trees

    def said(self, raw: Chances) -> Chances:
        return raw


def sizes(groups: Groups, task: str) -> npt.NDArray[np.int64] | None:
    """How many rows each slate has, in their order; only an order asks for it."""
    if groups is None or task != ORDER:
        return None
    starts = np.flatnonzero(np.r_[True, np.diff(groups) != 0])
    return np.diff(np.r_[starts, len(groups)])
