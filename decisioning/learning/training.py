"""Showings with outcomes come in; a scorer comes out, and what it was worth on showings it had not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from decisioning.learning.dataset import Labelled, closed, label, outcome, schema_for, split_by_time
from decisioning.learning.evaluation import (
    Estimate,
    auc_gain,
    auc_interval,
    calibration_error,
    log_loss,
    rate_interval,
)
from decisioning.learning.family import Chances
from decisioning.learning.features import Content
from decisioning.learning.policies import Policy, Treatment
from decisioning.learning.scorer import Prior, Scorer, Trees
from decisioning.learning.treating import facts_in, fit

FEWEST_CONVERSIONS: Final = 30


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What scorers are made from: fact kinds, crosses and contents (see `features.learn_schema`).

    `policies` {fact: what is done about its outliers and gaps}; those of facts that are not learned from do nothing.
    """

    kinds: Mapping[str, str]
    crosses: Mapping[str, Mapping[str, str]]
    contents: Sequence[Content]
    policies: Mapping[str, Policy] = field(default_factory=dict)

    @property
    def facts(self) -> list[str]:
        """Every fact that is read, once."""
        return sorted({*self.kinds, *(fact for weights in self.crosses.values() for fact in weights.values())})


@dataclass(frozen=True, slots=True)
class Backtest:
    """How a scorer trained before `split` did on what was shown from it on.

    `baseline_auc` is that of one fact alone (`baseline`), `gain` ours minus it, `base_rate` the share of
    converted test showings; `log_loss` (nats) and `prior_log_loss` compare with the best constant.
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
    log_loss: float
    prior_log_loss: float
    calibration_error: float
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
            ("log loss (best constant)", f"{self.log_loss:.4f} ({self.prior_log_loss:.4f})"),
            ("calibration error", f"{self.calibration_error:.4f}"),
            ("trained on (conversions)", f"{self.trained_rows} ({self.trained_conversions})"),
            ("tested on (conversions)", f"{self.tested_rows} ({self.tested_conversions})"),
            ("window open at the split", f"{self.left_out} left out"),
        )
        return "\n".join(f"{name:<42}{value}" for name, value in lines)


def train(
    showings: pl.DataFrame,
    ingredients: Ingredients,
    now: datetime,
    *,
    since: datetime | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Scorer:
    """A scorer from every showing whose window has closed by now (and that was shown from `since` on).

    `showings`: customer_id (Int64), content_key, shown_at, closes_at, converted_at (Datetime UTC) and the
    facts as they were then, as columns or as JSON text in `facts`. Too few conversions give a `Prior`.
    """
    return fitted(closed(showings, now, since), ingredients, seed, threads)


def fitted(showings: pl.DataFrame, ingredients: Ingredients, seed: int, threads: int) -> Scorer:
    treatment = treatment_for(showings, ingredients, seed)
    known = treatment.showings(showings)
    schema = schema_for(known, ingredients.contents, ingredients.kinds, ingredients.crosses)
    rows = label(schema, known, ingredients.contents)
    converted = int(rows.y.sum())
    enough = min(converted, len(rows) - converted) >= FEWEST_CONVERSIONS
    scorer: Scorer = Trees(schema, seed=seed, threads=threads) if enough else Prior(schema)
    scorer.treatment = treatment
    return scorer.fit(rows.X, rows.y, rows.contents, rows.at)


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
) -> Backtest:
    """Train on windows closed by `split`, test on what was shown from it on; nothing is tuned on the test.

    `baseline` is the fact to beat, higher meaning likelier; with `now`, only windows closed by then are
    tested on. Raises `ValueError` without test showings.
    """
    known = showings if now is None else closed(showings, now)
    parts = split_by_time(known if since is None else known.filter(pl.col("shown_at") >= since), split)
    if parts.test.is_empty():
        raise ValueError(f"Nothing was shown from {split.isoformat()} on; choose an earlier split.")
    scorer = fitted(parts.train, ingredients, seed, threads)
    test = label(scorer.schema, scorer.treatment.showings(parts.test), ingredients.contents)
    chances = scorer.score(test.X, scorer.schema.hash)
    return Backtest(
        split=split,
        trained_rows=parts.train.height,
        trained_conversions=int(outcome(parts.train).sum()),
        left_out=parts.between,
        tested_rows=len(test),
        tested_conversions=int(test.y.sum()),
        baseline=baseline,
        log_loss=log_loss(test.y, chances),
        prior_log_loss=log_loss(test.y, np.full(len(test), scorer.rate_)),
        calibration_error=calibration_error(test.y, chances),
        trees=getattr(scorer, "trees_", 0),
        **intervals(test, chances, column_of(scorer, test, baseline), np.random.default_rng(seed)),
    )


def intervals(test: Labelled, chances: Chances, alone: Chances, rng: np.random.Generator) -> dict[str, Estimate]:
    return {
        "auc": auc_interval(test.y, chances, test.customers, rng),
        "baseline_auc": auc_interval(test.y, alone, test.customers, rng),
        "gain": auc_gain(test.y, chances, alone, test.customers, rng),
        "base_rate": rate_interval(test.y, test.customers, rng),
    }


def column_of(scorer: Scorer, rows: Labelled, name: str) -> Chances:
    """One feature of the rows; what is missing ranks below everything."""
    if name not in scorer.schema.names:
        raise ValueError(f"The baseline {name!r} is no feature; take one of {', '.join(scorer.schema.names)}.")
    values = rows.X[:, scorer.schema.names.index(name)].astype(np.float64)
    return np.where(np.isnan(values), -np.inf, values)
