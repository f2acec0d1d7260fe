"""Rows of customers who got one of several contents at random come in; what each content gains over another, by
customer, comes out.

`TLearner` takes the difference of what two sets of trees expect, one for each content; `XLearner` (Künzel et al. 2019,
*Metalearners for estimating heterogeneous treatment effects*) learns the differences themselves. Noise looks like a
difference: so what they say beyond the mean effect is kept only as far as later rows bear it out, by doubly robust
pseudo-outcomes (Kennedy 2023); with nothing kept everybody gets the content of the best mean.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.boosting import Boosted
from decisioning.learning.family import PRIOR_STRENGTH, UPLIFT, Chances, Labels, Scorer
from decisioning.learning.features import Matrix
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.slicing import Groups, Rows, Weights
from decisioning.learning.tempering import Floats, counted, kept_slope

Models = dict[str, list["Means"]]
RATE: Final = 0.05
FEWEST: Final = 30  # rows with something, and with nothing, that a content needs to be told apart from others
FIRST_HALF: Final = 0.5  # effects are noisy: as many rows judge them as they are learned from
LEAST: Final = 0.01  # propensities below are taken for this


class Means(Boosted):
    """The mean of a number, which may be below zero: squared error."""

    objective, metric = "regression", "l2"
    more: ClassVar[Mapping[str, Any]] = {"boost_from_average": True}

    def check(self, y: Labels, groups: Groups) -> None:
        if not len(y):
            raise ValueError("A mean needs rows.")

    def said(self, raw: Chances) -> Chances:
        return raw


class Uplift(Scorer):
    """What a content gains over `control`; without one over the content that does best for everybody.

    Raises `ValueError` when `control` was not shown often enough. A content that was shown too rarely to learn from
    has the same effect for everybody, and one never shown what all contents had together.
    """

    task = UPLIFT
    models_: Models

    def __init__(
        self,
        schema: FeatureSchema,
        control: str = "",
        trees: int = 60,
        leaves: int = 5,
        smallest_leaf: int = 100,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        super().__init__(schema)
        self.control = control
        self.trees = trees
        self.leaves = leaves
        self.smallest_leaf = smallest_leaf
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
        propensities: Floats | None = None,
    ) -> Self:
        """`propensities` (rows,) are the chances that each row's content had of being the one that was shown.

        Where they are missing (NaN, or none at all) a content's share of the rows is taken.
        """
        self.expect(X, self.schema.hash)
        if len(contents) != len(y):
            raise ValueError("An uplift is learned by content: say which content each row shows (contents).")
        rows = Rows.of(X, np.asarray(y, np.float64), contents, at, groups, weights)
        rows.need_both()
        rows = replace(rows, chances=chances_of(rows, _weighed(propensities, weights)))
        self.learn_rates(rows.y, rows.keys, rows.weights)
        self._settle(rows)
        self._judge(*rows.halved(FIRST_HALF))
        self.models_ = self.grown(rows, [key for key, share in self.kept_.items() if share])
        self.centres_ = {key: self._centre(rows, key) for key in self.models_ if key in self.kept_}
        return self

    def _settle(self, rows: Rows) -> None:
        """Each content's mean, as if everybody had got it, and the one that all are compared with."""
        self.usual_ = float(np.average(rows.y, weights=rows.weights))
        found = sorted(set(rows.keys))
        self.means_ = {key: mean_of(rows.only(rows.contents == key), self.usual_) for key in found}
        arms = told_apart(rows, found)
        self.base_ = self.control or max(arms or found, key=lambda key: self.means_[key])
        if self.base_ not in arms:
            raise ValueError(
                f"{self.base_!r} was shown too rarely to compare with: it needs {FEWEST} rows with a success and as "
                "many without. Name another control, or wait for more."
            )
        self.kept_ = {key: 0.0 for key in arms if key != self.base_}

    def _judge(self, first: Rows, second: Rows) -> None:
        """How much of what the first half says of each content's effects the second half bears out."""
        arms = told_apart(first, [self.base_, *self.kept_])
        if self.base_ not in arms:
            return
        outcomes = {key: self.outcome(first, key) for key in arms}
        self.models_ = self.grown(first, [key for key in arms if key != self.base_], outcomes)
        means = {key: one.raw(second.X) for key, one in outcomes.items()}
        for key in arms[1:]:
            said, came = self.effects(second.X, key), robust(second, key, self.base_, means)
            self.kept_[key] = kept_slope(centred(said, second), centred(came, second), second.weights)

    def outcome(self, rows: Rows, key: str) -> Means:
        """What to expect of those who got a content."""
        mine = rows.only(rows.contents == key)
        return replace(mine, groups=None).fit(self.trees_of())

    def trees_of(self) -> Means:
        """Trees, not yet fitted."""
        return Means(self.schema, self.trees, self.leaves, RATE, self.smallest_leaf, self.seed, self.threads)

    @abstractmethod
    def grown(self, rows: Rows, keys: Sequence[str], outcomes: Mapping[str, Means] | None = None) -> Models:
        """What tells the effects of these contents; `outcomes` are used where they are at hand."""

    def parts(self, key: str) -> list[tuple[float, Means]]:
        """The models that a content's gain is the weighed sum of, beside a constant; none where it is a constant."""
        kept = self.kept_.get(key, 0.0)
        return [(kept * weight, model) for weight, model in self.summed(key)] if kept else []

    @abstractmethod
    def summed(self, key: str) -> list[tuple[float, Means]]:
        """The models that `effects` is the weighed sum of."""

    def effects(self, X: Matrix, key: str) -> Floats:
        """(rows,) what a content gains over the base, as the models have it."""
        return np.sum([weight * model.raw(X) for weight, model in self.summed(key)], axis=0)

    def _centre(self, rows: Rows, key: str) -> float:
        return float(np.average(self.effects(rows.X, key), weights=rows.weights))

    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        """The gain a row. Raises `ValueError` unless `contents` says which content each row shows."""
        self.expect(X, schema_hash)
        if len(X) and not contents:
            raise ValueError("An uplift is that of a content: say which content each row shows (contents).")
        found, different = np.empty(len(X)), {key: place for place, key in enumerate(dict.fromkeys(contents))}
        which = np.resize([different[key] for key in contents], len(X)) if contents else np.empty(0)
        for key, place in different.items():
            mine = which == place
            found[mine] = self._gain(X[mine], key)
        return found

    def _gain(self, X: Matrix, key: str) -> Floats:
        usual = np.full(len(X), self.means_.get(key, self.usual_) - self.means_[self.base_])
        if not self.kept_.get(key):
            return usual
        return usual + self.kept_[key] * (self.effects(X, key) - self.centres_[key])

    def learned(self) -> dict[str, Any]:
        models = {key: [one.learned() for one in some] for key, some in self.models_.items()}
        return {
            "base": self.base_,
            "usual": self.usual_,
            "means": self.means_,
            "kept": self.kept_,
            "centres": self.centres_,
            "models": models,
        }

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = cls(schema, learned["base"])
        scorer.base_, scorer.usual_ = learned["base"], float(learned["usual"])
        scorer.means_, scorer.kept_, scorer.centres_ = (dict(learned[name]) for name in ("means", "kept", "centres"))
        scorer.models_ = {key: [Means.restored(schema, one) for one in some] for key, some in learned["models"].items()}
        needed = {key for key, share in scorer.kept_.items() if share}
        if not needed <= set(scorer.models_) & set(scorer.centres_) or scorer.base_ not in scorer.means_:
            raise ValueError("effects lack what they are told by")
        return scorer


class TLearner(Uplift):
    """The difference between what trees expect with the content and with the base."""

    kind = "uplift-t"

    def grown(self, rows: Rows, keys: Sequence[str], outcomes: Mapping[str, Means] | None = None) -> Models:
        known = outcomes or {}
        wanted = [self.base_, *keys] if keys else []
        return {key: [known[key] if key in known else self.outcome(rows, key)] for key in wanted}

    def summed(self, key: str) -> list[tuple[float, Means]]:
        return [(1.0, self.models_[key][0]), (-1.0, self.models_[self.base_][0])]


class XLearner(Uplift):
    """Trees that learn the differences themselves, from both sides.

    Of those who got the content: what came less what was to be expected with the base; of those who got the base: what
    was to be expected with the content less what came. The two are mixed by how often each was shown, so that the side
    with fewer rows, whose outcomes are known worse, says less about them.
    """

    kind = "uplift"

    def grown(self, rows: Rows, keys: Sequence[str], outcomes: Mapping[str, Means] | None = None) -> Models:
        if not keys:
            return {}
        known = dict(outcomes or {}) or {key: self.outcome(rows, key) for key in (self.base_, *keys)}
        self.shares_ = {key: self._share(rows, key) for key in keys}
        return {key: self._sides(rows, key, known) for key in keys}

    def _sides(self, rows: Rows, key: str, known: Mapping[str, Means]) -> list[Means]:
        with_it, base = (rows.only(rows.contents == each) for each in (key, self.base_))
        differences = (
            replace(with_it, y=with_it.y - known[self.base_].raw(with_it.X), groups=None),
            replace(base, y=known[key].raw(base.X) - base.y, groups=None),
        )
        return [one.fit(self.trees_of()) for one in differences]

    def _share(self, rows: Rows, key: str) -> float:
        shown, base = (
            float(counted(len(rows), rows.weights)[rows.contents == each].sum()) for each in (key, self.base_)
        )
        return shown / (shown + base)

    def summed(self, key: str) -> list[tuple[float, Means]]:
        own, others = self.models_[key]
        return [(self.shares_[key], others), (1 - self.shares_[key], own)]

    def learned(self) -> dict[str, Any]:
        return {**super().learned(), "shares": self.shares_ if self.models_ else {}}

    @classmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        scorer = super().restored(schema, learned)
        scorer.shares_ = dict(learned["shares"])
        return scorer


def told_apart(rows: Rows, keys: Sequence[str]) -> list[str]:
    """The contents that were shown often enough to learn from, in their order."""
    return [key for key in keys if rows.only(rows.contents == key).enough(FEWEST)]


def mean_of(rows: Rows, usual: float) -> float:
    """The mean of a content's rows as if everybody had got it (Hájek 1971), drawn to the usual one if few."""
    share = counted(len(rows), rows.weights)
    # Weights that add up to the rows keep the pull of the usual mean the same for any propensities.
    share = share / rows.odds * (share.sum() / (share / rows.odds).sum())
    return float(((share * rows.y).sum() + PRIOR_STRENGTH * usual) / (share.sum() + PRIOR_STRENGTH))


def chances_of(rows: Rows, given: Floats | None) -> Floats:
    """The propensity a row: as given, else the content's share of the rows."""
    share = counted(len(rows), rows.weights)
    places = {key: place for place, key in enumerate(sorted(set(rows.keys)))}
    which = np.array([places[key] for key in rows.keys], np.int64)
    found = (np.bincount(which, share) / share.sum())[which]
    if given is not None:
        found = np.where(np.isfinite(given) & (given > 0), given, found)
    return np.clip(found, LEAST, 1.0)


def robust(rows: Rows, key: str, base: str, means: Mapping[str, Floats]) -> Floats:
    """(rows,) numbers whose mean, for any kind of customer, is the effect on them: the doubly robust pseudo-outcome."""
    found = means[key] - means[base]
    for each, sign in ((key, 1), (base, -1)):
        mine = rows.contents == each
        found[mine] += sign * (rows.y[mine] - means[each][mine]) / rows.odds[mine]
    return found


def centred(values: Floats, rows: Rows) -> Floats:
    return values - np.average(values, weights=rows.weights)


def _weighed(propensities: Floats | None, weights: Weights) -> Floats | None:
    """Those of the rows that weigh something."""
    if propensities is None or weights is None:
        return propensities
    return np.asarray(propensities, np.float64)[np.asarray(weights) > 0]
