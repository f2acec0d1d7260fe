"""Rows with the money that followed come in; trees come out that say how much to expect, at once or in two stages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.boosting import Boosted, Trees
from decisioning.learning.family import VALUE, Chances, Labels, Scorer
from decisioning.learning.features import Matrix
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.slicing import FEWEST_CONVERSIONS, Groups, Rows, Weights
from decisioning.learning.tempering import kept_slope


def refuse_losses(y: Labels) -> None:
    """Raises `ValueError` for money below zero."""
    if np.any(y < 0):
        raise ValueError("A value below zero cannot be learned; leave returns out, or count them as 0.")


class Worth(Boosted):
    """The value a showing is expected to bring, never below zero.

    Tweedie's compound of Poisson and gamma (Jørgensen 1987): most showings bring nothing, some a skewed amount.
    """

    kind = "worth"
    task = VALUE
    objective, metric = "tweedie", "tweedie"
    more: ClassVar[Mapping[str, Any]] = {"tweedie_variance_power": 1.5}

    def check(self, y: Labels, groups: Groups) -> None:
        refuse_losses(y)
        super().check(y, groups)

    def said(self, raw: Chances) -> Chances:
        return raw


class Amount(Boosted):
    """How much a showing brings, given that it brings something: all `y` above zero, gamma distributed."""

    task = VALUE
    objective, metric = "gamma", "gamma"

    def check(self, y: Labels, groups: Groups) -> None:
        if not np.all(y > 0):
            raise ValueError("An amount is learned from what brought something; leave out the rows with 0.")

    def said(self, raw: Chances) -> Chances:
        return raw


class TwoStage(Scorer):
    """The chance that a showing brings something, times how much it brings if it does.

    The two-part (hurdle) model of Cragg (1971): what makes people buy is not what makes them buy much. The product is
    drawn towards the common mean by as much as the latest fifth of the rows asks for; below `FEWEST_CONVERSIONS`
    successes everybody who buys is expected to pay the mean.
    """

    kind = "two-stage"
    task = VALUE
    amount_: Amount | None

    def __init__(self, schema: FeatureSchema, seed: int = 0, threads: int = 1) -> None:
        super().__init__(schema)
        self.seed = seed
        self.threads = threads

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
        self.expect(X, self.schema.hash)
        refuse_losses(y)
        rows = Rows.of(X, y, contents, at, groups, weights)
        rows.need_both()
        self.learn_rates(rows.y, rows.keys, rows.weights)
        self.weight_ = self._judge(*rows.halved())
        self._learn(rows)
        return self

    def _judge(self, early: Rows, late: Rows) -> float:
        """How much of what the early rows say of the late ones they bear out; all of it where they are too few."""
        if not (early.enough() and late.enough()):
            return 1.0
        self._learn(early)
        return kept_slope(self._product(late.X) - self.usual_, late.y - self.usual_, late.weights)

    def _learn(self, rows: Rows) -> None:
        self.usual_ = float(np.average(rows.y, weights=rows.weights))
        hits = (rows.y > 0).astype(np.int8)
        self.chance_ = replace(rows, y=hits).fit(Trees(self.schema, seed=self.seed, threads=self.threads))
        bought = rows.only(hits > 0)
        self.mean_, self.amount_ = float(np.average(bought.y, weights=bought.weights)), None
        if len(bought) >= FEWEST_CONVERSIONS:
            amount = Amount(self.schema, trees=30, smallest_leaf=20, seed=self.seed, threads=self.threads)
            self.amount_ = bought.fit(amount)

    def _product(self, X: Matrix) -> Chances:
        amounts = np.full(len(X), self.mean_) if self.amount_ is None else self.amount_.raw(X)
        return self.chance_.raw(X) * amounts

    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        self.expect(X, schema_hash)
        return self.weight_ * self._product(X) + (1 - self.weight_) * self.usual_

    def learned(self) -> dict[str, Any]:
        return {
            "chance": self.chance_.learned(),
            "amount": None if self.amount_ is None else self.amount_.learned(),
            "mean": self.mean_,
            "usual": self.usual_,
            "weight": self.weight_,
        }

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = cls(schema)
        scorer.chance_ = Trees.restored(schema, learned["chance"])
        scorer.amount_ = None if learned["amount"] is None else Amount.restored(schema, learned["amount"])
        scorer.mean_, scorer.usual_, scorer.weight_ = (float(learned[name]) for name in ("mean", "usual", "weight"))
        return scorer
