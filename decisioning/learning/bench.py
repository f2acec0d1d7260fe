"""Showings that a scorer has not seen come in; how anything is scored on them, and what that is worth, comes out.

A rival is another scorer, or the best constant choice: each content's own rate, the same for everybody.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.dataset import Labelled, facts_of, label, outcome
from decisioning.learning.examining import Figure, Seen, figures
from decisioning.learning.fairness import Audit, audit
from decisioning.learning.logged import MOST_CANDIDATES, best_first, crossed, explored, logged, sampled, slots_of
from decisioning.learning.offpolicy import Worth, worth
from decisioning.learning.resampling import Floats
from decisioning.learning.scorer import Scorer
from decisioning.learning.training import Ingredients, served

STRENGTH: Final = 20.0
Constants = Mapping[str, float]
Rival = Scorer | Constants


@dataclass(frozen=True, slots=True)
class Champion:
    """What is used now, and the moment after which it learned nothing."""

    scorer: Scorer
    until: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be learned and how it is judged: everything but the showings.

    `objective` "click", "conversion" or "value"; `sensitive` are facts whose groups must fare alike;
    `settings` are those of the scorer that are not as usual (see `tuning`).
    """

    split: datetime
    now: datetime
    objective: str
    kind: type[Scorer]
    since: datetime | None = None
    sensitive: Sequence[str] = ()
    seed: int = 0
    threads: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """The rows to judge by, and how anything is scored on them."""

    showings: pl.DataFrame
    test: pl.DataFrame
    ingredients: Ingredients
    question: Question

    def scored(self, scorer: Scorer, rows: pl.DataFrame | None = None) -> tuple[Labelled, Floats]:
        """The test's rows (or others) as a scorer reads them, and its scores."""
        shown = scorer.treatment.showings(self.test if rows is None else rows)
        contents = self.ingredients.contents
        found = label(scorer.schema, shown, contents, objective=self.question.objective, log=self.showings)
        rows_as_served = served(scorer.schema, found.X)
        scores = scorer.score(rows_as_served, scorer.schema.hash, found.contents)
        return found, np.asarray(scores, np.float64)

    def against(
        self, champion: Champion | None, seen: Seen, scores: Floats, scorer: Scorer, rng: np.random.Generator
    ) -> tuple[tuple[Figure, ...], int | None]:
        """Figures beside the champion's on what it has not learned from, and how many outcomes those have."""
        if champion is None:
            return (), None
        tested, theirs = self.scored(champion.scorer)
        fresh = tested.at >= int(champion.until.timestamp() * 1e6)
        rows = seen.only(fresh)
        if not rows.fewer:
            return (), 0
        return tuple(figures(rows, scores[fresh], theirs[fresh], scorer.task, rng)), rows.fewer

    def worths(
        self, scorer: Scorer, tested: Labelled, rivals: Mapping[str, Rival], rng: np.random.Generator
    ) -> Iterable[tuple[str, Worth]]:
        """What showing the best scored would have earned, beside each rival; nothing where the log did not explore."""
        candidates = sorted(set(tested.contents))
        if not explored(tested.propensity) or not 1 < len(candidates) <= MOST_CANDIDATES:
            return
        rows = sampled(tested.groups, len(candidates)) & (tested.propensity > 0)
        keys = [key for key, mine in zip(tested.contents, rows, strict=True) if mine]
        slots = slots_of(
            tested.groups[rows],
            keys,
            tested.position[rows],
            tested.propensity[rows],
            np.asarray(tested.y, np.float64)[rows],
            tested.customers[rows],
            candidates,
        )
        every = crossed(self.test.filter(pl.col("group").is_in(np.unique(tested.groups[rows]).tolist())), candidates)
        log, tables = logged(slots)
        ours = best_first(slots, self.matrix(scorer, every, candidates), tables)
        for over, rival in rivals.items():
            theirs = best_first(slots, self.matrix(rival, every, candidates), tables)
            yield over, worth(log, ours, rng, against=theirs, wanted=math.inf)

    def matrix(self, rival: Rival, every: pl.DataFrame, candidates: Sequence[str]) -> Floats:
        """(decisions, candidates) scores; constants are the same for everybody."""
        if not isinstance(rival, Scorer):
            return np.tile(of_contents(rival, candidates), (every.height // len(candidates), 1))
        found, scores = self.scored(rival, every)
        order = np.lexsort((np.array(found.contents), found.groups))
        return scores[order].reshape(-1, len(candidates))

    def audits(self, tested: Labelled, scores: Floats, rng: np.random.Generator) -> Iterable[Audit]:
        """One of each sensitive fact; of facts as they were when shown."""
        if not self.question.sensitive:
            return
        facts = facts_of(self.test)
        for name in self.question.sensitive:
            if isinstance(facts, pl.DataFrame):
                known = facts[name].to_list() if name in facts.columns else [None] * facts.height
            else:
                known = [one.get(name) for one in facts]
            yield audit(name, known, scores, tested.y, tested.customers, rng, tested.contents)


def seen_of(rows: Labelled) -> Seen:
    """What is needed of labelled rows to judge scores of them."""
    return Seen(np.asarray(rows.y, np.float64), rows.groups, rows.customers)


def rarer(y: npt.ArrayLike) -> int:
    """Rows of the rarer outcome, something or nothing."""
    good = np.asarray(y) > 0
    return int(min(good.sum(), (~good).sum()))


def constants_of(train: pl.DataFrame, objective: str) -> Constants:
    """The best constant: each content's mean outcome drawn towards that of all ("" for a content never shown)."""
    y = pl.Series("y", np.asarray(outcome(train, objective), np.float64))
    usual = float(y.mean() or 0.0)  # type: ignore[arg-type]
    sums = train.select("content_key").with_columns(y).group_by("content_key").agg(pl.sum("y"), n=pl.len())
    rates = {key: (total + STRENGTH * usual) / (n + STRENGTH) for key, total, n in sums.iter_rows()}
    return {"": usual, **dict(sorted(rates.items()))}


def of_contents(constants: Constants, contents: Sequence[str]) -> Floats:
    """Each content's constant."""
    return np.array([constants.get(key, constants[""]) for key in contents], np.float64)
