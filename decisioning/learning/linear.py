"""Labelled rows come in; a logistic regression over plain numbers comes out.

Numbers are standardised and held within a few deviations, so that one odd customer cannot swing the line; a missing one
stands at the mean with a column of its own that says so; levels are columns of 0 and 1, an unseen one is none of them.
Coefficients are drawn towards zero, and with all of them zero the common rate is left: how strongly is chosen on the
latest fifth of the rows by time. Fitted by scikit-learn, scored by NumPy alone.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.evaluation import log_loss
from decisioning.learning.family import Chances, Labels, Scorer
from decisioning.learning.features import Matrix
from decisioning.learning.later import Later
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.slicing import BOTH, FEWEST_CONVERSIONS, chosen, parts, present

if TYPE_CHECKING:
    from sklearn import linear_model
else:
    linear_model = Later("sklearn.linear_model")

FARTHEST: Final = 5.0  # standard deviations
TRIED: Final = (0.0003, 0.003, 0.03, 0.3)  # scikit-learn's C: the smaller, the closer to the common rate
STEPS: Final = 200
EXACT: Final = 1e-8
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """Means and deviations of the columns, where they are known."""

    means: Floats
    deviations: Floats

    @classmethod
    def of(cls, X: Matrix) -> Self:
        known = np.isfinite(X)
        count = np.maximum(known.sum(axis=0), 1)
        wide = np.where(known, X, 0.0).astype(np.float64)
        means = wide.sum(axis=0) / count
        spread = np.sqrt((np.where(known, wide - means, 0.0) ** 2).sum(axis=0) / count)
        return cls(means, np.where(spread > EXACT, spread, 1.0))


class Logistic(Scorer):
    """A line through what is known, as a chance. Raises `ValueError` unless both outcomes occur.

    `strength` is scikit-learn's C; without one the latest fifth of the rows chooses it.
    """

    kind: ClassVar[str] = "logistic"

    def __init__(self, schema: FeatureSchema, seed: int = 0, strength: float | None = None) -> None:
        super().__init__(schema)
        self.seed = seed
        self.strength = strength

    def fit(
        self,
        X: Matrix,
        y: Labels,
        contents: Sequence[str] = (),
        at: npt.ArrayLike | None = None,
        *,
        groups: npt.NDArray[np.int64] | None = None,
        weights: Floats | None = None,
    ) -> Self:
        self.expect(X, self.schema.hash)
        if weights is not None:
            X, y, contents, at, groups, weights = present(X, y, contents, at, groups, weights)
        hits = (np.asarray(y) > 0).astype(np.int8)
        if len(np.unique(hits)) < 2:
            raise ValueError(BOTH)
        self.learn_rates(hits, contents, weights)
        early, late = parts(at, groups, len(hits))
        self.strength_ = self.strength or self._chosen(X, hits, weights, early, late)
        self._learn(X, hits, weights, self.strength_)
        return self

    def _chosen(self, X: Matrix, y: npt.NDArray[np.int8], weights: Floats | None, early: Any, late: Any) -> float:
        """How far coefficients may go: the one that says the latest rows best; the middle where they are too few."""
        if late is None or min(y[early].sum(), y[late].sum()) < FEWEST_CONVERSIONS:
            return TRIED[len(TRIED) // 2 - 1]
        losses = []
        for strength in TRIED:
            self._learn(X[early], y[early], chosen(weights, early), strength)
            losses.append(log_loss(y[late], self._chances(X[late])))
        return TRIED[int(np.argmin(losses))]

    def _learn(self, X: Matrix, y: npt.NDArray[np.int8], weights: Floats | None, strength: float) -> None:
        self.scale_ = Scale.of(X)
        line = linear_model.LogisticRegression(C=strength, max_iter=STEPS, tol=EXACT, random_state=self.seed)
        with warnings.catch_warnings():
            # The last steps change digits that nobody sees; what is chosen is judged on later rows.
            warnings.filterwarnings("ignore", "lbfgs failed to converge")
            line.fit(self._columns(X), y, sample_weight=weights)
        self.coefficients_ = np.asarray(line.coef_[0], np.float64)
        self.intercept_ = float(line.intercept_[0])

    def _columns(self, X: Matrix) -> Floats:
        """Standardised numbers, or a column a level; then a column for each that may be missing."""
        found = [self._column(column, X[:, place], place) for place, column in enumerate(self.schema.columns)]
        return np.hstack([*found, (~np.isfinite(X)).astype(np.float64)]) if found else np.zeros((len(X), 0))

    def _column(self, column: Column, values: npt.NDArray[np.float32], place: int) -> Floats:
        if column.levels:
            return (values[:, None] == np.arange(len(column.levels))).astype(np.float64)
        known = np.where(np.isfinite(values), values, self.scale_.means[place])
        centred = (known - self.scale_.means[place]) / self.scale_.deviations[place]
        return np.clip(centred, -FARTHEST, FARTHEST)[:, None]

    def _chances(self, X: Matrix) -> Chances:
        if not len(X):
            return np.empty(0)
        # A sum in one order for one row and for many: a matrix product may differ in the last bit.
        line = (self._columns(X) * self.coefficients_).sum(axis=1) + self.intercept_
        return 1 / (1 + np.exp(-np.clip(line, -35.0, 35.0)))

    def shares(self, row: Matrix) -> Floats:
        """(features,) what each feature of one row adds to the log-odds, beside a customer of mean values."""
        widths = [len(column.levels) or 1 for column in self.schema.columns]
        owners = np.r_[np.repeat(np.arange(len(widths)), widths), np.arange(len(widths))]
        shares = (self._columns(row) * self.coefficients_)[0]
        return np.bincount(owners, shares, len(widths)).astype(np.float64)

    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        self.expect(X, schema_hash)
        return self._chances(X)

    def learned(self) -> dict[str, Any]:
        return {
            "coefficients": self.coefficients_.tolist(),
            "intercept": self.intercept_,
            "means": self.scale_.means.tolist(),
            "deviations": self.scale_.deviations.tolist(),
            "strength": self.strength_,
        }

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = cls(schema)
        scorer.scale_ = Scale(np.array(learned["means"], np.float64), np.array(learned["deviations"], np.float64))
        scorer.coefficients_ = np.array(learned["coefficients"], np.float64)
        scorer.intercept_, scorer.strength_ = float(learned["intercept"]), float(learned["strength"])
        width = sum(len(column.levels) or 1 for column in schema.columns) + len(schema.columns)
        if len(scorer.coefficients_) != width or len(scorer.scale_.means) != len(schema.columns):
            raise ValueError("the coefficients are not those of the schema")
        return scorer
