"""Showings come in; folds come out: earlier ones to teach by and later ones to measure by, labelled and ready.

Whole slates stand on one side, what teaches had closed before what measures began, and schema, treatment and rates are
those of the earlier rows alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from decisioning.learning.bench import Question, rarer
from decisioning.learning.dataset import Labelled, checked, known_by, label, outcome, schema_for
from decisioning.learning.family import CHANCE, ORDER, Chances, Scorer, made
from decisioning.learning.features import served
from decisioning.learning.gains import ndcg
from decisioning.learning.resampling import Floats, Ints
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.tempering import losses, surely
from decisioning.learning.training import FEWEST_CONVERSIONS, USUAL, Ingredients, fit_rows, treatment_for

CUTS: Final = (0.4, 0.6, 0.8)  # shares of the rows: each fold is measured up to the next cut


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows that teach and rows that ask, by the schema of those that teach."""

    schema: FeatureSchema
    taught: Labelled
    asked: Labelled

    def scores(self, kind: type[Scorer], question: Question, settings: Mapping[str, Any] = USUAL) -> Chances:
        """What a scorer of the rows that teach says of the others, as if it were serving."""
        scorer = made(kind, self.schema, seed=question.seed, threads=question.threads, **settings)
        fit_rows(scorer, self.taught, self.taught.y)
        return scorer.score(served(self.schema, self.asked.X), self.schema.hash, self.asked.contents)

    def lost(self, kind: type[Scorer], question: Question, settings: Mapping[str, Any] = USUAL) -> "Lost":
        """What that costs: nats a row for chances, 1 − nDCG@10 a slate for orders, squared error a row for values."""
        scores, rows = self.scores(kind, question, settings), self.asked
        if kind.task == ORDER:
            told = ndcg(rows.y, scores, rows.groups, rows.customers)
            return Lost(1.0 - told.figures, told.customers)
        if kind.task == CHANCE:
            return Lost(losses(rows.y, scores), rows.customers)
        return Lost((scores - np.asarray(rows.y, np.float64)) ** 2, rows.customers)


@dataclass(frozen=True, slots=True)
class Lost:
    """What a scorer lost, a row or a slate, and whose it was."""

    figures: Floats
    customers: Ints

    @property
    def mean(self) -> float:
        return float(self.figures.mean())

    def surely_more(self, other: "Lost") -> bool:
        """Whether the other lost less of the same rows by more than a standard error, customers taken as one."""
        _, which = np.unique(self.customers, return_inverse=True)
        rows = np.bincount(which)
        return surely(np.bincount(which, self.figures - other.figures) / rows, rows / rows.sum())


def prepared(
    showings: pl.DataFrame, early: pl.DataFrame, late: pl.DataFrame, parts: Ingredients, question: Question
) -> Fold:
    """A fold of these two sides; what is counted is counted in what of `showings` was known as the later one began."""
    treatment = treatment_for(early, parts, question.seed)
    moment = late["shown_at"].min()
    assert isinstance(moment, datetime)
    log = known_by(showings, moment)
    known = treatment.showings(early)
    schema = schema_for(known, parts.contents, parts.kinds, parts.crosses, parts.extras, log, moment)
    taught = label(schema, known, parts.contents, objective=question.objective, log=log)
    asked = label(schema, treatment.showings(late), parts.contents, objective=question.objective, log=showings)
    return Fold(schema, taught, asked)


def expanding(
    showings: pl.DataFrame, known: pl.DataFrame, parts: Ingredients, question: Question, cuts: Sequence[float] = CUTS
) -> list[Fold]:
    """Folds that each teach by all before a cut and measure up to the next; none with too few outcomes on a side."""
    ordered = checked(known, question.objective).with_columns(pl.col("shown_at").min().over("group").alias("begun"))
    begun = ordered["begun"].sort()
    moments = sorted({begun[int(cut * (ordered.height - 1))] for cut in cuts} if ordered.height else set())
    found = []
    for moment, until in zip(moments, [*moments[1:], None], strict=True):
        # Outcomes may be settled at once: what is shown just then is later, and nothing else.
        early = ordered.filter((pl.col("settled_at") <= moment) & (pl.col("begun") < moment)).drop("begun")
        later = pl.col("begun") >= moment if until is None else pl.col("begun").is_between(moment, until, "left")
        late = ordered.filter(later).drop("begun")
        if min(rarer(outcome(side, question.objective)) for side in (early, late)) >= FEWEST_CONVERSIONS:
            found.append(prepared(showings, early, late, parts, question))
    return found
