"""Labelled rows come in; a scorer comes out: the best constant (`Prior`), or one of those imported here.

Importing this module makes all of them known to `Scorer.from_artefact`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.boosting import Boosted, Forest, Trees
from decisioning.learning.careful import Careful
from decisioning.learning.family import Chances, Labels, SchemaMismatch, Scorer
from decisioning.learning.features import Content, Facts, Matrix
from decisioning.learning.linear import Logistic
from decisioning.learning.ordering import Order
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.smoothing import Rates
from decisioning.learning.uplift import TLearner, XLearner
from decisioning.learning.worth import TwoStage, Worth

__all__ = [
    "Boosted",
    "Careful",
    "Forest",
    "Logistic",
    "Order",
    "Prior",
    "Rates",
    "SchemaMismatch",
    "Scorer",
    "TLearner",
    "Trees",
    "TwoStage",
    "Worth",
    "XLearner",
]


class Prior(Scorer):
    """The best constant: everybody gets the common rate, each content its smoothed own. The one to beat."""

    kind = "prior"

    def fit(
        self,
        X: Matrix,
        y: Labels,
        contents: Sequence[str] = (),
        at: npt.ArrayLike | None = None,
        *,
        groups: npt.NDArray[np.int64] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        self.learn_rates(y, contents, weights)
        return self

    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        self.expect(X, schema_hash)
        return self.constants(len(X), contents)

    def score_contents(self, facts: Facts, contents: Sequence[Content]) -> list[float]:
        return [self.priors_.get(content.key, self.rate_) for content in contents]

    def score_everybody(self, facts: pl.DataFrame, contents: Sequence[Content]) -> Chances:
        return np.tile(self.score_contents({}, contents), (facts.height, 1))

    def learned(self) -> dict[str, Any]:
        return {}

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        return cls(schema)
