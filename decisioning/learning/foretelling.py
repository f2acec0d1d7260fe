"""Facts of customers as of several moments, with what came true after each, come in; a scorer that may be used, and how
it did on moments that it has not seen, come out.

Baselines first: the constant, and a customer's recency, frequency and money scores, which are hard to beat at telling
who buys again. A scorer of all facts is taken only where it is surely better on the latest moment it may learn from;
then whatever was chosen is judged on a later one, whose customers' horizon begins after all others have ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from decisioning.learning.card import card
from decisioning.learning.contest import Taught
from decisioning.learning.dataset import Labelled
from decisioning.learning.evaluation import Estimate, rate_interval
from decisioning.learning.examining import (
    CALIBRATION,
    DECIDING,
    Figure,
    Seen,
    calibration_by_chance,
    figures,
)
from decisioning.learning.expecting import fifth
from decisioning.learning.family import CHANCE, Scorer, made
from decisioning.learning.features import Matrix, design_matrix, learn_schema
from decisioning.learning.gate import CONSTANT, Evidence, Gain
from decisioning.learning.resampling import Floats, Ints
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.scorer import Careful, Logistic, Prior, TwoStage, Worth
from decisioning.learning.slicing import FEWEST_CONVERSIONS
from decisioning.learning.targets import Target
from decisioning.learning.tempering import surely
from decisioning.learning.verifying import Thing

RFM: Final = ("rfm_score", "recency_score", "frequency_score", "monetary_score")
SIMPLE, WHOLE = "recency, frequency and money alone", "all facts"
NOBODY: Final = Thing("")  # a customer alone is scored: there is no content to it
TINY: Final = 1e-9
TOP: Final = 0.1


@dataclass(frozen=True, slots=True)
class Rows:
    """A row a customer and moment: facts, what came true, whose it is and when; `frame` holds the facts."""

    frame: pl.DataFrame
    y: Floats
    customers: Ints
    at: Ints

    def only(self, mine: Any) -> "Rows":
        """Some of the rows."""
        return Rows(self.frame.filter(pl.Series(mine)), self.y[mine], self.customers[mine], self.at[mine])

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, slots=True)
class Foretold:
    """The scorer of all rows, and how its like did on the last moment; `chosen` says in words what it is."""

    scorer: Scorer
    chosen: str
    taught: Taught
    tested: int
    outcomes: int
    base: Estimate
    figures: tuple[Figure, ...]
    against: tuple[Figure, ...]
    by_chance: float
    caught: tuple[float, float]
    card: dict[str, Any]

    def evidence(self, milliseconds: float | None) -> Evidence:
        """What the gate judges by."""
        gains = [
            Gain(one.metric, CONSTANT, one.gain)
            for one in self.figures
            if one.metric in DECIDING[self.scorer.task] and one.gain is not None
        ]
        error = next((one.value.value for one in self.figures if one.metric == CALIBRATION), None)
        told = None if error is None else (error, self.by_chance, self.base.value)
        return Evidence(self.taught.outcomes, self.outcomes, None, gains, (), told, (), milliseconds)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "chosen": self.chosen,
            "taught rows": self.taught.rows,
            "tested rows": self.tested,
            "tested outcomes": self.outcomes,
            "base": self.base.to_dict(),
            "figures": {one.metric: one.to_dict() for one in self.figures},
            f"against {SIMPLE}": {one.metric: one.to_dict() for one in self.against},
            "caught by the top tenth": self.caught[0],
            f"caught by {SIMPLE}": self.caught[1],
            "card": self.card,
        }


def foretold(target: Target, rows: Rows, kinds: Mapping[str, str], seed: int = 0) -> Foretold:
    """Learn, choose and judge. Raises `ValueError` where too little came true, or not, to learn anything."""
    last = rows.at.max()
    early, late = rows.only(rows.at < last), rows.only(rows.at == last)
    _enough(target, early, late)
    chosen, kind, schema = _chosen(target, early, kinds, seed)
    one = fitted(kind, schema, early, target, seed)
    simple = one if chosen == SIMPLE else fitted(_simple(target), schema_of(RFM, early, kinds), early, target, seed)
    scores, theirs = said(one, late), said(simple, late)
    constant = np.full(len(late), float(early.y.mean()))
    seen, rng = Seen(late.y, np.arange(len(late)), late.customers), np.random.default_rng(seed)
    return Foretold(
        scorer=fitted(kind, schema, rows, target, seed),
        chosen=f"{chosen} ({kind.kind})",
        taught=Taught(len(early), rarer(early.y)),
        tested=len(late),
        outcomes=rarer(late.y),
        base=rate_interval((late.y > 0).astype(np.int8), late.customers, rng),
        figures=tuple(figures(seen, scores, constant, target.task, rng)),
        against=() if chosen == SIMPLE else tuple(figures(seen, scores, theirs, target.task, rng)),
        by_chance=calibration_by_chance(scores) if target.task == CHANCE else 0.0,
        caught=(caught(late.y, scores), caught(late.y, theirs)),
        card=card(one, labelled(one.schema, late)),
    )


def labelled(schema: FeatureSchema, rows: Rows) -> Labelled:
    """The rows as a card reads them: each is a showing of nothing, and a slate of its own."""
    size = len(rows)
    nowhere, one = np.zeros(size, np.int64), np.arange(size)
    y = rows.y.astype(np.float64)
    X, contents = matrix(schema, rows), ("",) * size
    return Labelled(X, y, rows.customers, contents, rows.at, one, nowhere, np.full(size, np.nan), y, np.ones(size))


def _enough(target: Target, early: Rows, late: Rows) -> None:
    for side, words in ((early, "to learn from"), (late, "to judge by")):
        found = rarer(side.y)
        if found < FEWEST_CONVERSIONS:
            raise ValueError(
                f"not enough data: {found} outcomes of the rarer kind {words} for {target.name}; about"
                f" {FEWEST_CONVERSIONS - found} more are needed"
            )


def _chosen(
    target: Target, early: Rows, kinds: Mapping[str, str], seed: int
) -> tuple[str, type[Scorer], FeatureSchema]:
    """The first of the candidates, unless a later one is surely better on the latest moment that may teach."""
    moments = np.unique(early.at)
    aside = early.at == moments[-1] if len(moments) > 1 else fifth(early.customers)
    taught, watched = early.only(~aside), early.only(aside)
    narrow, wide = schema_of(RFM, early, kinds), schema_of(tuple(kinds), early, kinds)
    every = [(SIMPLE, _simple(target), narrow), *((WHOLE, kind, wide) for kind in _whole(target))]
    if min(rarer(taught.y), rarer(watched.y)) < FEWEST_CONVERSIONS:
        return every[0]
    best, least = every[0], losses(target, watched, said(fitted(every[0][1], narrow, taught, target, seed), watched))
    for each in every[1:]:
        found = losses(target, watched, said(fitted(each[1], each[2], taught, target, seed), watched))
        if surely(least - found, np.full(len(found), 1 / len(found))):
            best, least = each, found
    return best


def _simple(target: Target) -> type[Scorer]:
    return Logistic if target.task == CHANCE else Worth


def _whole(target: Target) -> Sequence[type[Scorer]]:
    return (Logistic, Careful) if target.task == CHANCE else (Worth, TwoStage)


def schema_of(names: Sequence[str], rows: Rows, kinds: Mapping[str, str]) -> FeatureSchema:
    """Facts that there are among these names."""
    return learn_schema({name: kinds[name] for name in names if name in kinds}, rows.frame, [], {})


def fitted(kind: type[Scorer], schema: FeatureSchema, rows: Rows, target: Target, seed: int) -> Scorer:
    """Taught by these rows; a schema without facts gives the constant."""
    y = rows.y.astype(np.int8 if target.task == CHANCE else np.float32)
    empty: Scorer = made(kind, schema, seed=seed) if schema.columns else Prior(schema)
    order = np.argsort(rows.at, kind="stable")
    return empty.fit(matrix(schema, rows)[order], y[order], ("",) * len(rows), rows.at[order])


def matrix(schema: FeatureSchema, rows: Rows) -> Matrix:
    """The rows as the scorer reads them."""
    return design_matrix(schema, rows.frame, [NOBODY])


def said(scorer: Scorer, rows: Rows) -> Floats:
    """Its scores."""
    return np.asarray(scorer.score(matrix(scorer.schema, rows), scorer.schema.hash, ("",)), np.float64)


def losses(target: Target, rows: Rows, scores: Floats) -> Floats:
    """Log loss (nats) or squared error, a row each."""
    if target.task != CHANCE:
        return np.asarray((rows.y - scores) ** 2)
    chances = np.clip(scores, TINY, 1 - TINY)
    return -np.where(rows.y > 0, np.log(chances), np.log1p(-chances))


def rarer(y: Floats) -> int:
    """Rows of the rarer outcome, something or nothing."""
    good = int((y > 0).sum())
    return min(good, len(y) - good)


def caught(y: Floats, scores: Floats) -> float:
    """The share of all that came true, or of all money, that the tenth with the highest scores brought."""
    top = np.argsort(-scores, kind="stable")[: max(1, int(TOP * len(y)))]
    return float(y[top].sum() / max(y.sum(), TINY))
