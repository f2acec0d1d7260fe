"""Showings and a scorer come in; its rows and scores as a live decision would have had them come out.

Rates, likeness and associations stand as they were when it was trained, and not as of each showing: so a scorer serves.
Positions are held at the first for scores to be compared, and as they were shown where scores are held against what
came of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from decisioning.learning.bench import Bench
from decisioning.learning.dataset import Labelled, checked, outcome, positions, shared_facts
from decisioning.learning.features import Content, Matrix, paired_matrix
from decisioning.learning.resampling import Floats
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.scorer import Scorer


def as_live(
    scorer: Scorer, showings: pl.DataFrame, contents: Sequence[Content], objective: str
) -> tuple[Labelled, Floats]:
    """Rows at the first position, ordered by time, and their scores (rows,)."""
    ordered = scorer.treatment.showings(checked(showings, objective))
    which = positions(ordered["content_key"], contents)
    facts, who = shared_facts(ordered)
    rows = Labelled(
        paired_matrix(scorer.schema, facts, contents, which, None, who.tolist()),
        outcome(ordered, objective),
        ordered["customer_id"].cast(pl.Int64).to_numpy(),
        tuple(ordered["content_key"]),
        ordered["shown_at"].dt.epoch("us").to_numpy(),
        ordered["group"].cast(pl.Int64).to_numpy(),
        ordered["position"].fill_null(0).cast(pl.Int64).to_numpy(),
        ordered["propensity"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        ordered["value"].cast(pl.Float64).fill_null(0.0).to_numpy(),
        ordered["weight"].cast(pl.Float64).to_numpy(),
    )
    return rows, said(scorer, rows)


def said(scorer: Scorer, rows: Labelled, X: Matrix | None = None) -> Floats:
    """The scores of rows, or of others of the same contents."""
    scores = scorer.score(rows.X if X is None else X, scorer.schema.hash, rows.contents)
    return np.asarray(scores, np.float64)


def as_shown(schema: FeatureSchema, rows: Labelled) -> Matrix:
    """The rows at the places they were shown at; where that is unknown, the position is missing."""
    X = rows.X.copy()
    places = np.where(rows.position > 0, rows.position, np.nan)
    X[:, [column.source == "position" for column in schema.columns]] = places[:, None]
    return X


@dataclass(frozen=True, slots=True)
class Live(Bench):
    """A bench on which everything is scored as a live decision would be."""

    def scored(self, scorer: Scorer, rows: pl.DataFrame | None = None) -> tuple[Labelled, Floats]:
        """The test's rows (or others) and the scores."""
        return as_live(scorer, self.test if rows is None else rows, self.ingredients.contents, self.question.objective)
