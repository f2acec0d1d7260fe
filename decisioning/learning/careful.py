"""Labelled rows come in; a scorer of chances that trusts another one as far as later rows bear it out comes out.

Its chances lie between those of the best constant (each content's smoothed rate) and those of the scorer inside, in
log-odds, at a weight chosen on the latest fifth of the rows by time; 0 is the constant itself. Then they are calibrated
where that helps. The scorer inside is fitted anew to all rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.boosting import Forest, Trees
from decisioning.learning.calibrating import Calibrated, Same, calibrated, curve_from
from decisioning.learning.family import CHANCE, Chances, Labels, Scorer, made
from decisioning.learning.features import Matrix
from decisioning.learning.linear import Logistic
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.slicing import Groups, Rows, Weights
from decisioning.learning.tempering import blended, trusted

INSIDE: Final = (Trees.kind, Forest.kind, Logistic.kind)


class Careful(Scorer):
    """`inner` is the kind of the scorer inside, with its `settings`; it says chances.

    `weight_` is how far it is trusted, `calibration_` the curve with the calibration error before and after it. Where
    the latest rows have fewer than 30 of either outcome nothing vouches for it, and the weight is 0.
    """

    kind = "careful"
    task = CHANCE

    def __init__(
        self,
        schema: FeatureSchema,
        inner: str = Trees.kind,
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        super().__init__(schema)
        if inner not in INSIDE:
            raise ValueError(f"There is no scorer of chances {inner!r} to look after; take one of {', '.join(INSIDE)}.")
        self.inner = inner
        self.settings = dict(settings or {})
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
        """Without times the rows are taken to come in their order. Raises `ValueError` unless both outcomes occur."""
        self.expect(X, self.schema.hash)
        rows = Rows.of(X, (np.asarray(y) > 0).astype(np.int8), contents, at, groups, weights)
        rows.need_both()
        self._judge(*rows.halved())
        self.learn_rates(rows.y, rows.keys, rows.weights)
        self.scorer_ = rows.fit(self.inside())
        return self

    def inside(self) -> Scorer:
        """A scorer to put inside, not yet fitted."""
        return made(Scorer.family[self.inner], self.schema, seed=self.seed, threads=self.threads, **self.settings)

    def _judge(self, early: Rows, late: Rows) -> None:
        """Learn from the early rows how far to trust it on the late ones, and which curve its chances need."""
        self.weight_, self.calibration_ = 0.0, Calibrated(Same(), 0.0, 0.0)
        if not (early.enough() and late.enough()):
            return
        self.learn_rates(early.y, early.keys, early.weights)
        late = late.only(np.argsort(late.at, kind="stable"))
        said = early.fit(self.inside()).score(late.X, self.schema.hash, late.keys)
        constants = self.constants(len(late), late.keys)
        self.weight_ = trusted(late.y, said, constants, late.weights)
        if self.weight_:
            self.calibration_ = calibrated(blended(said, constants, self.weight_), late.y, late.weights)

    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        self.expect(X, schema_hash)
        constants = self.constants(len(X), contents)
        if not self.weight_:
            return constants
        said = self.scorer_.score(X, schema_hash, contents)
        return self.calibration_.curve.chances(blended(said, constants, self.weight_))

    def learned(self) -> dict[str, Any]:
        return {
            "inner": self.inner,
            "settings": self.settings,
            "scorer": self.scorer_.learned(),
            "weight": self.weight_,
            "calibration": self.calibration_.curve.to_dict(),
            "calibration_errors": [self.calibration_.before, self.calibration_.after],
        }

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = cls(schema, learned["inner"], learned["settings"])
        scorer.scorer_ = Scorer.family[scorer.inner].restored(schema, learned["scorer"])
        scorer.weight_ = float(learned["weight"])
        before, after = map(float, learned["calibration_errors"])
        scorer.calibration_ = Calibrated(curve_from(learned["calibration"]), before, after)
        return scorer
