"""Labelled slates come in; a straight line that orders the contents of a slate comes out.

The chance of a content to be the one that is taken of its slate is the softmax of the line: the conditional logit of
McFadden (1974), where each of several that were taken counts as one choice. What is the same for a whole slate cannot
order it and has no part in the line. Each column is bent to normal scores (van der Waerden) of its quantiles, so that
it matters where a value stands among all and not how it is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from decisioning.learning.features import Matrix
from decisioning.learning.schema import FeatureSchema

Floats = npt.NDArray[np.float64]
OF_CONTENTS: Final = ("content", "cross", "rate", "likeness", "association", "position")
KNOTS: Final = 32
RIDGE: Final = 10.0  # choices that speak for no difference
STEPS: Final = 50
FARTHEST: Final = 1.0  # a coefficient goes in one step
CLOSE: Final = 1e-9
DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Bend:
    """What a value of one column counts: straight lines between points (value, normal score); 0 where it is missing."""

    values: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def fitted(cls, column: npt.NDArray[Any]) -> Self | None:
        """None for a column with one value."""
        known = column[np.isfinite(column)].astype(np.float64)
        if not len(known):
            return None
        middles = (np.arange(KNOTS) + 0.5) / KNOTS
        quantiles = np.quantile(known, middles, method="nearest")
        values, which = np.unique(quantiles, return_inverse=True)
        normal = np.array([NormalDist().inv_cdf(middle) for middle in middles.tolist()])
        scores = np.bincount(which, normal) / np.bincount(which)
        if len(values) < 2:
            return None
        return cls(_plain(values), _plain(scores))

    def of(self, column: npt.NDArray[Any]) -> Floats:
        bent = np.interp(column.astype(np.float64), self.values, self.scores)
        return np.where(np.isfinite(column), bent, 0.0)


@dataclass(frozen=True, slots=True)
class Line:
    """`bends` by the place of their column, and a coefficient for each."""

    bends: Mapping[int, Bend]
    coefficients: tuple[float, ...]

    @classmethod
    def fitted(
        cls,
        schema: FeatureSchema,
        X: Matrix,
        y: npt.NDArray[Any],
        groups: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64] | None = None,
        ways: Mapping[int, int] | None = None,
    ) -> Self:
        """The line of greatest likelihood, drawn towards no difference; rows of one slate stand together.

        `ways` {column: 1 or -1}: columns that the line may only rise or fall with; one that would go the other way is
        left out. Where no slate has both what was taken and what was not, every content is alike.
        """
        numbers = [n for n, c in enumerate(schema.columns) if c.source in OF_CONTENTS and not c.levels]
        bends = {place: bend for place in numbers if (bend := Bend.fitted(X[:, place])) is not None}
        taken = np.maximum(np.asarray(y, np.float64), 0.0) * (1.0 if weights is None else weights)
        starts = np.flatnonzero(np.r_[True, np.diff(groups) != 0])
        while True:
            found = _climbed(_bent(bends, X), taken, starts)
            against = [p for p, slope in zip(bends, found.tolist(), strict=True) if slope * (ways or {}).get(p, 0) < 0]
            if not against:
                return cls(bends, _plain(found))
            bends = {place: bend for place, bend in bends.items() if place not in against}

    def of(self, X: Matrix) -> Floats:
        """What the line says of each row."""
        return np.asarray(self.shares(X).sum(axis=1), np.float64)

    def shares(self, X: Matrix) -> Floats:
        """(rows, bends) what each column adds, in the order of `bends`."""
        return _bent(self.bends, X) * np.array(self.coefficients)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        bends = [[place, list(bend.values), list(bend.scores)] for place, bend in self.bends.items()]
        return {"bends": bends, "coefficients": list(self.coefficients)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Raises `ValueError` for what is no line."""
        bends = {
            int(place): Bend(tuple(map(float, values)), tuple(map(float, scores)))
            for place, values, scores in stored["bends"]
        }
        coefficients = tuple(map(float, stored["coefficients"]))
        whole = all(len(bend.values) == len(bend.scores) > 1 for bend in bends.values())
        if len(coefficients) != len(bends) or not whole:
            raise ValueError("this is no line over the columns of slates")
        return cls(bends, coefficients)


def _bent(bends: Mapping[int, Bend], X: Matrix) -> Floats:
    columns = [bend.of(X[:, place]) for place, bend in bends.items()]
    return np.column_stack(columns) if columns else np.zeros((len(X), 0))


def _climbed(Z: Floats, taken: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """The coefficients, by Newton's method."""
    width = Z.shape[1]
    sizes = np.diff(np.r_[starts, len(Z)])
    choices = np.add.reduceat(taken, starts) if len(Z) else taken
    told = np.repeat(choices, sizes)
    found = np.zeros(width)
    for _ in range(STEPS):
        chance = _softmax(Z @ found, starts, sizes)
        slope = Z.T @ (taken - told * chance) - RIDGE * found
        # Within a slate: the scatter of the columns around their mean by the chances.
        means = np.add.reduceat(Z * chance[:, None], starts) if len(Z) else Z
        curve = (Z * (told * chance)[:, None]).T @ Z - (means * choices[:, None]).T @ means + RIDGE * np.eye(width)
        step = np.clip(np.linalg.solve(curve, slope), -FARTHEST, FARTHEST)
        found = found + step
        if np.abs(step).max(initial=0.0) < CLOSE:
            break
    return found


def _softmax(line: Floats, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Floats:
    if not len(line):
        return line
    raised = np.exp(line - np.repeat(np.maximum.reduceat(line, starts), sizes))
    return np.asarray(raised / np.repeat(np.add.reduceat(raised, starts), sizes), np.float64)


def _plain(values: Sequence[float] | Floats) -> tuple[float, ...]:
    return tuple(np.round(values, DIGITS).tolist())
