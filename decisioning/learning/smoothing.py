"""Labelled rows come in; chances from smoothed rates come out: of each content, drawn aside by what each group does.

A group is a level of a category (a segment, a text of the content), a fifth of a number, or those who lack the feature.
Its rate is drawn towards the common one as if so many rows (`strength`) had been seen before; a row's log-odds are
those of its content and the sum of its groups', like naive Bayes, at a weight that the latest fifth of the rows bears
out. Counting and nothing else: what trees must beat to be worth their trouble.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.family import CHANCE, PRIOR_STRENGTH, Chances, Labels, Scorer
from decisioning.learning.features import Matrix
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.slicing import Groups, Rows, Weights
from decisioning.learning.tempering import blended, counted, expit, logit, trusted

FIFTHS: Final = (0.2, 0.4, 0.6, 0.8)
Floats = npt.NDArray[np.float64]


class Rates(Scorer):
    """Smoothed rates by content and by every group; `weight_` 0 leaves those of the contents."""

    kind = "rates"
    task = CHANCE

    def __init__(self, schema: FeatureSchema, strength: float = PRIOR_STRENGTH) -> None:
        super().__init__(schema)
        self.strength = strength

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
        """Without times the rows are taken to come in their order. Raises `ValueError` unless both outcomes occur."""
        self.expect(X, self.schema.hash)
        rows = Rows.of(X, (np.asarray(y) > 0).astype(np.int8), contents, at, groups, weights)
        rows.need_both()
        early, late = rows.halved()
        self.weight_ = 0.0
        if early.enough() and late.enough():
            self._learn(early)
            constants = self.constants(len(late), late.keys)
            self.weight_ = trusted(late.y, self._said(late.X, constants), constants, late.weights)
        self._learn(rows)
        return self

    def _learn(self, rows: Rows) -> None:
        self.learn_rates(rows.y, rows.keys, rows.weights)
        share = counted(len(rows), rows.weights)
        self.edges_ = [edges_of(column, rows.X[:, place]) for place, column in enumerate(self.schema.columns)]
        self.odds_ = [
            self._odds(self._group(place, rows.X), rows.y, share, size_of(column, self.edges_[place]))
            for place, column in enumerate(self.schema.columns)
        ]

    def _odds(self, group: npt.NDArray[np.int64], y: Labels, share: Floats, size: int) -> Floats:
        """(groups,) how far the log-odds of each lie from the common ones."""
        hits, seen = np.bincount(group, share * y, size), np.bincount(group, share, size)
        return logit((hits + self.strength * self.rate_) / (seen + self.strength)) - logit(self.rate_)

    def _group(self, place: int, X: Matrix) -> npt.NDArray[np.int64]:
        """(rows,) which group each is in by one feature; the last is of those without it, or of a level never seen."""
        column, values = self.schema.columns[place], X[:, place].astype(np.float64)
        last = size_of(column, self.edges_[place]) - 1
        if column.kind == "category":
            found = np.where(np.isfinite(values), values, last)
        else:
            found = np.where(np.isfinite(values), np.searchsorted(self.edges_[place], values, side="left"), last)
        return np.clip(found, 0, last).astype(np.int64)

    def _said(self, X: Matrix, constants: Chances) -> Chances:
        odds = logit(constants)
        for place, own in enumerate(self.odds_):
            odds = odds + own[self._group(place, X)]
        return expit(odds)

    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        self.expect(X, schema_hash)
        constants = self.constants(len(X), contents)
        return blended(self._said(X, constants), constants, self.weight_) if self.weight_ else constants

    def learned(self) -> dict[str, Any]:
        return {
            "weight": self.weight_,
            "edges": [list(edges) for edges in self.edges_],
            "odds": [odds.tolist() for odds in self.odds_],
        }

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = cls(schema)
        scorer.weight_ = float(learned["weight"])
        scorer.edges_ = [tuple(map(float, edges)) for edges in learned["edges"]]
        scorer.odds_ = [np.array(odds, np.float64) for odds in learned["odds"]]
        sizes = [size_of(column, edges) for column, edges in zip(schema.columns, scorer.edges_, strict=True)]
        if [len(odds) for odds in scorer.odds_] != sizes:
            raise ValueError("its groups are not those of its features")
        return scorer


def edges_of(column: Column, values: npt.NDArray[Any]) -> tuple[float, ...]:
    """Where a number's fifths end, each once; nothing of a category."""
    known = values[np.isfinite(values)].astype(np.float64)
    if column.kind == "category" or not len(known):
        return ()
    return tuple(np.unique(np.quantile(known, FIFTHS)).tolist())


def size_of(column: Column, edges: tuple[float, ...]) -> int:
    """How many groups a feature has, those who lack it among them."""
    return (len(column.levels) if column.kind == "category" else len(edges) + 1) + 1
