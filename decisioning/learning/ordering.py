"""Labelled slates come in; boosted trees come out that say in which order the contents of a slate are best shown."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.boosting import Boosted
from decisioning.learning.family import ORDER, Chances, Labels
from decisioning.learning.features import Matrix
from decisioning.learning.gains import ndcg
from decisioning.learning.later import Later
from decisioning.learning.lines import Line
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.sigmoid import Sigmoid
from decisioning.learning.slicing import FEWEST_CONVERSIONS, Groups, Weights, chosen
from decisioning.learning.tempering import surely

if TYPE_CHECKING:
    import lightgbm
else:
    lightgbm = Later("lightgbm")

FEWER: Final = (40, 20, 10)  # trees that are tried beside all of them


class Order(Boosted):
    """The order within a slate: LambdaMART (Burges 2010, *From RankNet to LambdaRank to LambdaMART*), for NDCG at 10.

    Trees are grown on top of a line (see `lines`): few slates bear out a slope long before they bear out a staircase.
    The position has its own trees, so that holding it fixed leaves the order of contents to what they are.

    What the trees say only orders a slate. So that boosts, margins and exploration can multiply it, a sigmoid fitted on
    the training rows (Platt 1999) makes something like a chance of it, which leaves the order as it is.
    """

    kind = "order"
    task = ORDER
    objective, metric = "lambdarank", "ndcg"
    more: ClassVar[Mapping[str, Any]] = {"eval_at": [10], "lambdarank_truncation_level": 20}
    sigmoid_: Sigmoid
    line_: Line | None = None

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

    def begin(self, X: Matrix, y: Labels, groups: Groups, weights: Weights) -> None:
        names = self.schema.names
        ways = {names.index(name): way for name, way in self.monotone.items() if way}
        self.line_ = Line.fitted(self.schema, X, y, np.asarray(groups), weights, ways)

    def start(self, X: Matrix) -> Chances | None:
        return None if self.line_ is None else self.line_.of(X)

    def raw(self, X: Matrix) -> Chances:
        grown, start = super().raw(X), self.start(X)
        return grown if start is None else grown + start

    def parameters(self) -> dict[str, Any]:
        places = [place for place, column in enumerate(self.schema.columns) if column.source == "position"]
        others = [place for place in range(len(self.schema.columns)) if place not in places]
        apart = {"interaction_constraints": [others, places]} if places and others else {}
        return {**super().parameters(), **apart}

    def enough_trees(self, X: Matrix, y: Labels, groups: Groups, weights: Weights, early: Any, late: Any) -> int:
        """All of them, unless the latest fifth of the slates is surely better ordered by fewer.

        nDCG moves in jumps, so that the first tree after which it does not rise for a while is mostly chance.
        """
        if late is None or min(np.sum(y[late] > 0), np.sum(y[early] > 0)) < FEWEST_CONVERSIONS:
            return self.trees
        self.begin(X[early], y[early], chosen(groups, early), chosen(weights, early))
        rows = self.rows(X[early], y[early], chosen(groups, early), chosen(weights, early))
        booster = lightgbm.train(self.parameters(), rows, self.trees)
        start = self.start(X[late])
        found: dict[int, Any] = {}
        for trees in (self.trees, *(number for number in FEWER if number < self.trees)):
            said = np.asarray(booster.predict(X[late], num_iteration=trees, num_threads=self.threads), np.float64)
            said = said if start is None else said + start
            found[trees] = ndcg(y[late], said, groups[late], groups[late]).figures  # type: ignore[index]
        best = max(found, key=lambda trees: (found[trees].mean() if len(found[trees]) else 0.0, trees))
        gains = found[best] - found[self.trees]
        return best if surely(gains, np.full(len(gains), 1 / max(len(gains), 1))) else self.trees

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
        line = {} if self.line_ is None else {"line": self.line_.to_dict()}
        return {**super().learned(), "sigmoid": self.sigmoid_.to_list(), **line}

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = super().restored(schema, learned)
        scorer.sigmoid_ = Sigmoid.from_list(learned["sigmoid"])
        scorer.line_ = Line.from_dict(learned["line"]) if "line" in learned else None
        return scorer
