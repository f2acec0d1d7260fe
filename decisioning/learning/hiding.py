"""Known facts and a way to fill gaps come in; how far off it is where the truth was hidden comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from decisioning.learning.imputing import BOOLEAN, NUMBER, kind_of, numbers
from decisioning.learning.policies import MEDIAN, MODE, Policy
from decisioning.learning.treating import fit

HIDDEN: Final = 0.2
MOST: Final = 500
FEWEST: Final = 20


@dataclass(frozen=True, slots=True)
class Worth:
    """How far off `hidden` values were filled: mean absolute error of a number, share of wrong ones otherwise.

    `simplest` is the same for the median (of other types the commonest value): what a better way has to beat.
    """

    hidden: int
    error: float
    simplest: float
    is_number: bool

    @property
    def better(self) -> bool:
        """Whether it beats the simplest way at all."""
        return self.error < self.simplest


def worth(
    facts: pl.DataFrame, fact: str, how: str, candidates: Sequence[str] | None = None, seed: int = 0
) -> Worth | None:
    """Hide a fifth of the known values (at most `MOST`), fill them `how`; None where too few are known."""
    if fact not in facts.columns:
        return None
    known = np.flatnonzero(facts[fact].is_not_null().to_numpy())
    size = min(MOST, int(HIDDEN * len(known)))
    if size < FEWEST:
        return None
    rows = np.sort(np.random.default_rng(seed).permutation(known)[:size])
    gone = np.isin(np.arange(facts.height), rows)
    partly = facts.with_columns(pl.when(~pl.Series(gone)).then(fact).alias(fact))
    kind = kind_of(facts, fact)
    simple = MEDIAN if kind == NUMBER else MODE
    errors = [_error(facts, partly, fact, way, rows, candidates, seed) for way in (how, simple)]
    return Worth(size, errors[0], errors[1], kind == NUMBER)


def _error(
    facts: pl.DataFrame,
    partly: pl.DataFrame,
    fact: str,
    how: str,
    rows: np.ndarray,
    candidates: Sequence[str] | None,
    seed: int,
) -> float:
    filled, _ = fit(partly, {fact: Policy(missing=how)}, candidates, seed).apply(partly)
    places = rows.tolist()
    if kind_of(facts, fact) in (NUMBER, BOOLEAN):
        away = numbers(filled[places], [fact]) - numbers(facts[places], [fact])
        return float(np.abs(away).mean())
    return float((filled[fact][places] != facts[fact][places]).mean() or 0.0)
