"""Showings come in; a challenger taught by the earlier ones, and how it did on the later ones, come out.

It is held against the best constant choice and against the champion.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from decisioning.learning.bench import (
    Bench,
    Champion,
    Constants,
    Question,
    Rival,
    constants_of,
    of_contents,
    rarer,
    seen_of,
)
from decisioning.learning.dataset import Labelled, Split, closed, outcome, split_by_time
from decisioning.learning.evaluation import Estimate, rate_interval
from decisioning.learning.examining import CALIBRATION, DECIDING, Figure, calibration_by_chance, figures
from decisioning.learning.expecting import fifth
from decisioning.learning.fairness import Audit
from decisioning.learning.family import CHANCE
from decisioning.learning.gate import CHAMPION, CONSTANT, Evidence, Gain
from decisioning.learning.offpolicy import Worth
from decisioning.learning.scorer import Scorer
from decisioning.learning.training import Ingredients, fitted


@dataclass(frozen=True, slots=True)
class Taught:
    """What a scorer learned from: rows, those of the rarer outcome, and rows that neither taught nor judge."""

    rows: int
    outcomes: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Contest:
    """How the challenger did. `figures` are beside the best constant, `against` beside the champion."""

    scorer: Scorer
    trained_rows: int
    trained: int
    tested: Labelled
    left_out: int
    base_rate: Estimate
    figures: tuple[Figure, ...]
    against: tuple[Figure, ...]
    compared: int | None
    worths: tuple[tuple[str, Worth], ...]
    audits: tuple[Audit, ...]
    calibration_by_chance: float

    def evidence(self, milliseconds: float | None) -> Evidence:
        """What the gate judges by."""
        deciding = DECIDING[self.scorer.task]
        gains = [
            Gain(figure.metric, over, figure.gain)
            for over, found in ((CONSTANT, self.figures), (CHAMPION, self.against))
            for figure in found
            if figure.metric in deciding and figure.gain is not None
        ]
        error = next((f.value.value for f in self.figures if f.metric == CALIBRATION), None)
        told = None if error is None else (error, self.calibration_by_chance, self.base_rate.value)
        tested = seen_of(self.tested).fewer
        return Evidence(self.trained, tested, self.compared, gains, self.worths, told, self.audits, milliseconds)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: figures, worths and audits by name."""
        return {
            "trained_rows": self.trained_rows,
            "tested_rows": len(self.tested),
            "tested_outcomes": int((self.tested.y > 0).sum()),
            "left_out": self.left_out,
            "figures": {figure.metric: figure.to_dict() for figure in self.figures},
            "against the champion": {figure.metric: figure.to_dict() for figure in self.against},
            "by the log": {over: found.to_dict() for over, found in self.worths},
            "fairness": {one.attribute: one.to_dict() for one in self.audits},
        }


def sides(known: pl.DataFrame, question: Question) -> Split:
    """What to learn from, and what to judge by: earlier and later; of a log without time, a fifth of the customers.

    Raises `ValueError` where one of them is empty.
    """
    split, moments = question.split, known["shown_at"]
    if known.height and moments.min() == moments.max():
        late = fifth(known["customer_id"].cast(pl.Int64).to_numpy())
        parts = Split(known.filter(~late), known.filter(late), 0)
    else:
        parts = split_by_time(known, split, question.objective)
    if parts.test.is_empty() or parts.train.is_empty():
        raise ValueError(
            f"Nothing was shown {'from' if parts.test.is_empty() else 'and settled before'} {split.isoformat()}"
            f"{' on' if parts.test.is_empty() else ''}; choose another split."
        )
    return parts


def contest(
    showings: pl.DataFrame,
    judged: pl.DataFrame,
    ingredients: Ingredients,
    question: Question,
    champion: Champion | None = None,
) -> Contest:
    """Learn from what of `judged` had closed by the split, and judge by what was shown from it on.

    `showings` are all there are, `judged` those of the placement in question. Raises `ValueError` when nothing was
    shown before the split, or nothing after it has closed.
    """
    q = question
    known = closed(judged, q.now, q.since, q.objective)
    parts = sides(known, q)
    at = (showings, q.split)
    scorer = fitted(parts.train, ingredients, q.seed, q.threads, q.objective, q.kind, at, q.settings)
    bench = Bench(showings, parts.test, ingredients, q)
    taught = Taught(parts.train.height, rarer(outcome(parts.train, q.objective)), parts.between)
    return held_against(bench, scorer, taught, constants_of(parts.train, q.objective), champion)


def held_against(
    bench: Bench, scorer: Scorer, taught: Taught, constants: Constants, champion: Champion | None = None
) -> Contest:
    """How a scorer does on the bench's rows, of which it has seen none."""
    rng = np.random.default_rng(bench.question.seed)
    tested, scores = bench.scored(scorer)
    seen, others = seen_of(tested), of_contents(constants, tested.contents)
    against, compared = bench.against(champion, seen, scores, scorer, rng)
    rivals: dict[str, Rival] = {CONSTANT: constants}
    if champion:
        rivals[CHAMPION] = champion.scorer
    return Contest(
        scorer=scorer,
        trained_rows=taught.rows,
        trained=taught.outcomes,
        tested=tested,
        left_out=taught.left_out,
        base_rate=rate_interval((seen.y > 0).astype(np.int8), seen.customers, rng),
        figures=tuple(figures(seen, scores, others, scorer.task, rng)),
        against=against,
        compared=compared,
        worths=tuple(bench.worths(scorer, tested, rivals, rng)),
        audits=tuple(bench.audits(tested, scores, rng)),
        calibration_by_chance=calibration_by_chance(scores) if scorer.task == CHANCE else 0.0,
    )
