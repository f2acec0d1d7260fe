"""Facts with gaps come in; a bounded set of real customers, whose nearest fill the gaps of others, comes out.

The k nearest among those who have the fact, by Euclidean distance over what both have (Troyanskaya et al. 2001;
`sklearn.impute.KNNImputer` gives the same numbers). Here it is a few lines of NumPy, because a live decision cannot
wait a millisecond for one row.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import polars as pl

from decisioning.learning.features import Facts
from decisioning.learning.imputing import (
    TEXT,
    Imputer,
    Values,
    as_kind,
    kind_of,
    listed,
    numbers,
    packed,
    plain,
    related,
    row_of,
    sampled,
    unpacked,
)
from decisioning.learning.schema import ordered_levels

PROTOTYPES: Final = 400
NEAREST: Final = 5
AT_ONCE: Final = 2_000  # rows whose distances to all prototypes are held at the same time


class Nearest(Imputer):
    """Fills a number with the mean, a text with the commonest value, of the `NEAREST` prototypes that have it.

    `values` are the prototypes' standardised facts (prototypes, reads); `answers` {target: what they have}, texts as
    positions in `levels`.
    """

    name = "nearest"

    def __init__(
        self,
        targets: dict[str, str],
        reads: Sequence[str],
        moments: Values,
        values: Values,
        answers: Mapping[str, Values],
        levels: Mapping[str, Sequence[str]],
    ) -> None:
        self.targets, self.reads = targets, tuple(reads)
        self.moments, self.values = moments, values
        self.answers = {fact: np.asarray(column) for fact, column in answers.items()}
        self.levels = {fact: tuple(known) for fact, known in levels.items()}

    @classmethod
    def fit(cls, facts: pl.DataFrame, targets: Sequence[str], candidates: Sequence[str], seed: int = 0) -> Self:
        """`candidates` are the numeric facts that distances may be measured by; facts nobody has are no targets."""
        kinds = {fact: kind_of(facts, fact) for fact in sorted(targets)}
        kinds = {fact: kind for fact, kind in kinds.items() if any(v is not None for v in listed(facts, fact, kind))}
        looked = sampled(facts, seed)
        plain_targets = [fact for fact, kind in kinds.items() if kind != TEXT]
        codes = {f: ordered_levels(facts[f].to_list()) for f, kind in kinds.items() if kind == TEXT}
        by = related(_coded(looked, codes), list(kinds), candidates)
        reads = sorted({*plain_targets, *by})
        chosen = _prototypes(facts, list(kinds), seed)
        raw = numbers(facts, reads)
        moments = np.vstack([_mean(raw), _deviation(raw)])
        answers = {fact: _answers(chosen, fact, codes.get(fact)) for fact in kinds}
        values = (numbers(chosen, reads) - moments[0]) / moments[1]
        return cls(kinds, reads, moments, values, answers, codes)

    def fill(self, facts: pl.DataFrame) -> dict[str, list[Any]]:
        matrix = numbers(facts, self.reads)
        found = {}
        for fact, kind in self.targets.items():
            held = listed(facts, fact, kind)
            gaps = [row for row, value in enumerate(held) if value is None]
            for start in range(0, len(gaps), AT_ONCE):
                some = gaps[start : start + AT_ONCE]
                for row, value in zip(some, self._guess(matrix[some], fact, kind), strict=True):
                    held[row] = value
            found[fact] = held
        return found

    def fill_one(self, facts: Facts) -> dict[str, Any]:
        gaps = [fact for fact, kind in self.targets.items() if plain(facts.get(fact), kind) is None]
        if not gaps:
            return {}
        row = row_of(facts, self.reads)
        return {fact: self._guess(row, fact, self.targets[fact])[0] for fact in gaps}

    def _guess(self, rows: Values, fact: str, kind: str) -> list[Any]:
        answers = self.answers[fact]
        donors = np.isfinite(answers)
        told, far = answers[donors], distances((rows - self.moments[0]) / self.moments[1], self.values[donors])
        nearest = np.argsort(far, axis=1, kind="stable")[:, :NEAREST]
        near = np.isfinite(np.take_along_axis(far, nearest, axis=1))
        # With nothing in common with anybody, the answer of all of them is the best there is.
        chosen = [told[who[use]] if use.any() else told for who, use in zip(nearest, near, strict=True)]
        if kind == TEXT:
            return [self.levels[fact][int(np.bincount(codes.astype(np.int64)).argmax())] for codes in chosen]
        return [as_kind(float(values.mean()), kind) for values in chosen]

    def learned(self) -> dict[str, Any]:
        return {
            "reads": list(self.reads),
            "moments": packed(self.moments),
            "values": packed(self.values),
            "answers": {fact: packed(column) for fact, column in self.answers.items()},
            "levels": {fact: list(known) for fact, known in self.levels.items()},
        }

    @classmethod
    def restored(cls, targets: dict[str, str], learned: Mapping[str, Any]) -> Self:
        answers = {fact: unpacked(learned["answers"][fact]) for fact in targets}
        arrays = (unpacked(learned["moments"]), unpacked(learned["values"]))
        return cls(targets, learned["reads"], *arrays, answers, learned["levels"])


def distances(rows: Values, others: Values) -> Values:
    """(rows, others): mean squared difference over what both have; infinite where that is nothing.

    Ranks as scikit-learn's `nan_euclidean_distances` does: it is the same before the root and a constant factor.
    """
    here, there = np.isfinite(rows), np.isfinite(others)
    a, b = np.where(here, rows, 0.0), np.where(there, others, 0.0)
    both = here.astype(np.float64) @ there.astype(np.float64).T
    squares = (a**2) @ there.T - 2.0 * (a @ b.T) + here @ (b**2).T
    return np.where(both > 0, np.maximum(squares, 0.0) / np.where(both > 0, both, 1.0), np.inf)


def _prototypes(facts: pl.DataFrame, targets: Sequence[str], seed: int) -> pl.DataFrame:
    """Customers drawn by the seed, as many for each target from those who have it."""
    places: set[int] = set()
    for fact in targets:
        having = facts.with_row_index("place").filter(pl.col(fact).is_not_null()).select("place")
        places |= set(sampled(having, seed, max(NEAREST, PROTOTYPES // len(targets)))["place"].to_list())
    return facts[sorted(places)]


def _coded(facts: pl.DataFrame, codes: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Texts as positions in their levels, so that facts related to them can be looked for."""
    return facts.with_columns(pl.Series(fact, _answers(facts, fact, codes[fact])) for fact in codes)


def _answers(facts: pl.DataFrame, fact: str, levels: Sequence[str] | None) -> Values:
    if levels is None:
        return numbers(facts, [fact])[:, 0]
    places = {level: float(place) for place, level in enumerate(levels)}
    return np.array([places.get(value, np.nan) for value in facts[fact].to_list()], np.float64)


def _mean(raw: Values) -> Values:
    known = np.isfinite(raw)
    return np.asarray(np.where(known, raw, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def _deviation(raw: Values) -> Values:
    known = np.isfinite(raw)
    away = np.where(known, raw - _mean(raw), 0.0)
    scale = np.sqrt((away**2).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    return np.asarray(np.where(scale > 0, scale, 1.0))
