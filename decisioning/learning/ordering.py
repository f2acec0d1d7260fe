"""Labelled slates come in; boosted trees come out that say in which order the contents of a slate are best shown."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.boosting import Boosted
from decisioning.learning.family import ORDER, Chances, Labels
from decisioning.learning.features import Matrix
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.sigmoid import Sigmoid
from decisioning.learning.slicing import Groups, Weights


class Order(Boosted):
    """The order within a slate: LambdaMART (Burges 2010, *From RankNet to LambdaRank to LambdaMART*), for NDCG at 10.

    What the trees say only orders a slate. So that boosts, margins and exploration can multiply it, a sigmoid fitted on
    the training rows (Platt 1999) makes something like a chance of it, which leaves the order as it is.
    """

    kind = "order"
    task = ORDER
    objective, metric = "lambdarank", "ndcg"
    more: ClassVar[Mapping[str, Any]] = {"eval_at": [10], "lambdarank_truncation_level": 20}
    sigmoid_: Sigmoid

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
        """`groups` says which slate a row belongs to, rows of one together. Graded `y` are whole numbers to 30."""
        relevance: Any = np.asarray(y).astype(np.int64)
        return super().fit(X, relevance, contents, at, groups=groups, weights=weights)

    def settle(self, X: Matrix, y: Labels, weights: Weights) -> None:
        self.sigmoid_ = Sigmoid.fitted(self.raw(X), (y > 0).astype(np.float64), weights)

    def check(self, y: Labels, groups: Groups) -> None:
        if groups is None:
            raise ValueError("An order is learned within slates: say which slate each row belongs to (groups).")
        super().check(y, groups)
        if len(np.flatnonzero(np.diff(groups))) + 1 != len(np.unique(groups)):
            raise ValueError("The rows of one slate must stand together; sort them by slate.")

    def said(self, raw: Chances) -> Chances:
        return self.sigmoid_.chances(raw)

    def learned(self) -> dict[str, Any]:
        return {**super().learned(), "sigmoid": self.sigmoid_.to_list()}

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = super().restored(schema, learned)
        scorer.sigmoid_ = Sigmoid.from_list(learned["sigmoid"])
        return scorer
