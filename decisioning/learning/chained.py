"""Facts with gaps come in; the same filled by small linear models of each other, in turns (MICE), come out.

Multivariate imputation by chained equations (van Buuren and Groothuis-Oudshoorn 2011). `chaining.py` fits the models;
here only NumPy is needed, so that serving processes never load what fitted them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import polars as pl

from decisioning.learning.features import Facts
from decisioning.learning.imputing import Imputer, Values, as_kind, listed, numbers, packed, plain, row_of, unpacked

ROUNDS: Final = 10


class Chained(Imputer):
    """Fills numbers by the linear models of all its facts, `ROUNDS` times over, from their means.

    `moments` (4, facts): mean, standard deviation, least and largest value seen, the latter two standardised;
    `weights` (facts, facts + 1): each fact's coefficients for the others and its constant.
    """

    name = "chained"

    def __init__(self, targets: dict[str, str], reads: Sequence[str], moments: Values, weights: Values) -> None:
        self.targets, self.reads = targets, tuple(reads)
        self.moments, self.weights = moments, weights
        self.place = {fact: position for position, fact in enumerate(self.reads)}

    def fill(self, facts: pl.DataFrame) -> dict[str, list[Any]]:
        full = self._completed(numbers(facts, self.reads))
        found = {}
        for fact, kind in self.targets.items():
            guessed = full[:, self.place[fact]].tolist()
            held = listed(facts, fact, kind)
            found[fact] = [as_kind(g, kind) if value is None else value for g, value in zip(guessed, held, strict=True)]
        return found

    def fill_one(self, facts: Facts) -> dict[str, Any]:
        gaps = [fact for fact, kind in self.targets.items() if plain(facts.get(fact), kind) is None]
        if not gaps:
            return {}
        full = self._completed_one(row_of(facts, self.reads)[0])
        return {fact: as_kind(float(full[self.place[fact]]), self.targets[fact]) for fact in gaps}

    def _completed_one(self, raw: Values) -> Values:
        """One row of `_completed`, several times faster: a live decision waits for it."""
        mean, scale, low, high = self.moments
        gaps = np.isnan(raw)
        values = np.where(gaps, 0.0, (raw - mean) / scale)
        steps = [
            (
                column,
                self.weights[column, :-1],
                float(self.weights[column, -1]),
                float(low[column]),
                float(high[column]),
            )
            for column in np.flatnonzero(gaps).tolist()
        ]
        for _ in range(ROUNDS):
            for column, weights, constant, least, most in steps:
                values[column] = min(max(float(weights.dot(values)) + constant, least), most)
        return np.asarray(values * scale + mean)

    def _completed(self, raw: Values) -> Values:
        """The matrix without gaps; each row by itself, so that one customer is filled as among everybody."""
        mean, scale, low, high = self.moments
        gaps = np.isnan(raw)
        values = np.where(gaps, 0.0, (raw - mean) / scale)
        lacking = [(column, np.flatnonzero(gaps[:, column])) for column in np.flatnonzero(gaps.any(axis=0))]
        for _ in range(ROUNDS):
            for column, rows in lacking:
                guess = values[rows] @ self.weights[column, :-1] + self.weights[column, -1]
                values[rows, column] = np.clip(guess, low[column], high[column])
        return values * scale + mean

    def learned(self) -> dict[str, Any]:
        return {"reads": list(self.reads), "moments": packed(self.moments), "weights": packed(self.weights)}

    @classmethod
    def restored(cls, targets: dict[str, str], learned: Mapping[str, Any]) -> Self:
        return cls(targets, learned["reads"], unpacked(learned["moments"]), unpacked(learned["weights"]))
