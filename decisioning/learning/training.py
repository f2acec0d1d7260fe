"""Showings with outcomes come in; a scorer comes out, and what it was worth on showings it had not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import polars as pl

from decisioning.learning.dataset import (
    CONVERSION,
    Labelled,
    closed,
    known_by,
    label,
    outcome,
    schema_for,
    split_by_time,
)
from decisioning.learning.evaluation import (
    Estimate,
    auc_gain,
    auc_interval,
    calibration_error,
    log_loss,
    rate_interval,
)
from decisioning.learning.family import CHANCE, Chances, Labels, made
from decisioning.learning.features import Content, served
from decisioning.learning.history import Extras
from decisioning.learning.policies import Policy, Treatment
from decisioning.learning.scorer import Prior, Scorer, Trees
from decisioning.learning.treating import facts_in, fit

FEWEST_CONVERSIONS: Final = 30
USUAL: Final[Mapping[str, Any]] = MappingProxyType({})  # a scorer's settings as they are


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What scorers are made from: fact kinds, crosses and contents (see `features.learn_schema`).

    `policies` {fact: what is done about its outliers and gaps}; those of facts that are not learned from do nothing.
    `extras` is what is learned from beside facts, attributes and crosses: the moment, rates, likeness and so on.
    """

    kinds: Mapping[str, str]
    crosses: Mapping[str, Mapping[str, str]]
    contents: Sequence[Content]
    policies: Mapping[str, Policy] = field(default_factory=dict)
    extras: Extras | None = None

    @property
    def facts(self) -> list[str]:
        """Every fact that is read, once."""
        return sorted({*self.kinds, *(fact for weights in self.crosses.values() for fact in weights.values())})


@dataclass(frozen=True, slots=True)
class Backtest:
    """How a scorer trained before `split` did on what was shown from it on.

    `baseline_auc` is that of one fact alone (`baseline`), `gain` ours minus it, `base_rate` the share of
    converted test showings; `log_loss` (nats) and `prior_log_loss` compare with the best constant. Those and the
    calibration error are there for scorers of chances alone.
    """

    split: datetime
    trained_rows: int
    trained_conversions: int
    left_out: int
    tested_rows: int
    tested_conversions: int
    baseline: str
    auc: Estimate
    baseline_auc: Estimate
    gain: Estimate
    base_rate: Estimate
    log_loss: float | None
    prior_log_loss: float | None
    calibration_error: float | None
    trees: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, times in ISO 8601."""
        return {**asdict(self), "split": self.split.isoformat()}

    def table(self) -> str:
        """For people: a line a figure, intervals at 95 %, customers resampled."""
        lines = (
            ("AUC", str(self.auc)),
            (f"AUC of {self.baseline} alone", str(self.baseline_auc)),
            ("difference", str(self.gain)),
            ("base rate", str(self.base_rate)),
            ("log loss (best constant)", f"{told(self.log_loss)} ({told(self.prior_log_loss)})"),
            ("calibration error", told(self.calibration_error)),
            ("trained on (conversions)", f"{self.trained_rows} ({self.trained_conversions})"),
            ("tested on (conversions)", f"{self.tested_rows} ({self.tested_conversions})"),
            ("window open at the split", f"{self.left_out} left out"),
        )
        return "\n".join(f"{name:<42}{value}" for name, value in lines)


def told(figure: float | None) -> str:
    """Four digits; a dash where there is no such figure."""
    return "-" if figure is None else f"{figure:.4f}"


def train(
    showings: pl.DataFrame,
    ingredients: Ingredients,
    now: datetime,
    *,
    since: datetime | None = None,
    seed: int = 0,
    threads: int = 1,
    objective: str = CONVERSION,
    kind: type[Scorer] = Trees,
    settings: Mapping[str, Any] = USUAL,
) -> Scorer:
    """A scorer from every showing whose window has closed by now (and that was shown from `since` on).

    `showings`: customer_id (Int64), content_key, shown_at, closes_at, converted_at (Datetime UTC) and the
    facts as they were then, as columns or as JSON text in `facts`; `dataset.OPTIONAL` says what else there may be.
    `objective` "click", "conversion" or "value" is what is learned, by a scorer of this `kind`, with these of its
    `settings` (see `tuning`). Too few successes give a `Prior`.
    """
    rows = closed(showings, now, since, objective)
    return fitted(rows, ingredients, seed, threads, objective, kind, (showings, now), settings)


def fitted(
    showings: pl.DataFrame,
    ingredients: Ingredients,
    seed: int,
    threads: int,
    objective: str = CONVERSION,
    kind: type[Scorer] = Trees,
    known_at: tuple[pl.DataFrame, datetime] | None = None,
    settings: Mapping[str, Any] = USUAL,
) -> Scorer:
    """A scorer from all of these showings; what is counted is counted in what of a frame was known at a moment."""
    log, now = (known_by(*known_at), known_at[1]) if known_at else (None, None)
    treatment = treatment_for(showings, ingredients, seed)
    known = treatment.showings(showings)
    parts = ingredients
    schema = schema_for(known, parts.contents, parts.kinds, parts.crosses, parts.extras, log, now)
    rows = label(schema, known, parts.contents, objective=objective, log=log)
    succeeded = int((rows.y > 0).sum())
    enough = min(succeeded, len(rows) - succeeded) >= FEWEST_CONVERSIONS
    scorer: Scorer = made(kind, schema, seed=seed, threads=threads, **settings) if enough else Prior(schema)
    scorer.treatment = treatment
    y = rows.y if enough or rows.y.dtype == np.int8 else (rows.y > 0).astype(np.int8)
    return fit_rows(scorer, rows, y)


def fit_rows(scorer: Scorer, rows: Labelled, y: Any) -> Scorer:
    """Learn from labelled rows, with slates and weights where there is anything to them."""
    more: dict[str, Any] = {}
    if scorer.task != CHANCE:
        more["groups"] = rows.groups
    if (rows.weights != 1.0).any():
        more["weights"] = rows.weights
    return scorer.fit(rows.X, y, rows.contents, rows.at, **more)


def treatment_for(showings: pl.DataFrame, ingredients: Ingredients, seed: int) -> Treatment:
    """What the policies ask for, learned from these showings alone."""
    asked = {fact: ingredients.policies[fact] for fact in ingredients.facts if fact in ingredients.policies}
    if not asked:
        return Treatment()
    numeric = [fact for fact, kind in ingredients.kinds.items() if kind == "number"]
    return fit(facts_in(showings, ingredients.facts), asked, numeric, seed)


def backtest(
    showings: pl.DataFrame,
    ingredients: Ingredients,
    split: datetime,
    *,
    baseline: str,
    now: datetime | None = None,
    since: datetime | None = None,
    seed: int = 0,
    threads: int = 1,
    objective: str = CONVERSION,
    kind: type[Scorer] = Trees,
) -> Backtest:
    """Train on windows closed by `split`, test on what was shown from it on; nothing is tuned on the test.

    `baseline` is the feature to beat, higher meaning likelier; with `now`, only windows closed by then are
    tested on. Raises `ValueError` without test showings.
    """
    known = showings if now is None else closed(showings, now, objective=objective)
    parts = split_by_time(known if since is None else known.filter(pl.col("shown_at") >= since), split, objective)
    if parts.test.is_empty():
        raise ValueError(f"Nothing was shown from {split.isoformat()} on; choose an earlier split.")
    scorer = fitted(parts.train, ingredients, seed, threads, objective, kind, (showings, split))
    shown = scorer.treatment.showings(parts.test)
    test = label(scorer.schema, shown, ingredients.contents, objective=objective, log=showings)
    scores = scorer.score(served(scorer.schema, test.X), scorer.schema.hash, test.contents)
    hits = (test.y > 0).astype(np.int8)
    chance = scorer.task == CHANCE
    return Backtest(
        split=split,
        trained_rows=parts.train.height,
        trained_conversions=int((outcome(parts.train, objective) > 0).sum()),
        left_out=parts.between,
        tested_rows=len(test),
        tested_conversions=int(hits.sum()),
        baseline=baseline,
        log_loss=log_loss(hits, scores) if chance else None,
        prior_log_loss=log_loss(hits, np.full(len(test), scorer.rate_)) if chance else None,
        calibration_error=calibration_error(hits, scores) if chance else None,
        trees=getattr(scorer, "trees_", 0),
        **intervals(test, hits, scores, column_of(scorer, test, baseline), np.random.default_rng(seed)),
    )


def intervals(
    test: Labelled, hits: Labels, scores: Chances, alone: Chances, rng: np.random.Generator
) -> dict[str, Estimate]:
    """AUC of the scores and of one feature alone, their difference, and the share of hits; customers resampled."""
    return {
        "auc": auc_interval(hits, scores, test.customers, rng),
        "baseline_auc": auc_interval(hits, alone, test.customers, rng),
        "gain": auc_gain(hits, scores, alone, test.customers, rng),
        "base_rate": rate_interval(hits, test.customers, rng),
    }


def column_of(scorer: Scorer, rows: Labelled, name: str) -> Chances:
    """One feature of the rows; what is missing ranks below everything."""
    if name not in scorer.schema.names:
        raise ValueError(f"The baseline {name!r} is no feature; take one of {', '.join(scorer.schema.names)}.")
    values = rows.X[:, scorer.schema.names.index(name)].astype(np.float64)
    return np.where(np.isnan(values), -np.inf, values)
