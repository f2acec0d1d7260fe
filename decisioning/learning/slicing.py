"""Rows with times, slates and weights come in; those that count, and which of them are early or late, come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt

from decisioning.learning.family import Labels, Scorer
from decisioning.learning.features import Matrix

FEWEST_CONVERSIONS: Final = 30  # in the early and in the late part, else nothing is chosen by them
LATE: Final = 0.8
BOTH: Final = "Training needs rows with and without a conversion; use Prior until there are some."
Weights = npt.NDArray[np.float64] | None
Groups = npt.NDArray[np.int64] | None
Kind = TypeVar("Kind", bound=Scorer)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a scorer is fitted to, each array (rows,): see `Scorer.fit`. `contents` are keys, or nothing at all.

    `chances` are those that each row's content had of being the one that was shown.
    """

    X: Matrix
    y: Labels
    contents: npt.NDArray[np.object_]
    at: npt.NDArray[Any]
    groups: Groups = None
    weights: Weights = None
    chances: Weights = None

    @classmethod
    def of(
        cls,
        X: Matrix,
        y: Labels,
        contents: Sequence[str],
        at: npt.ArrayLike | None,
        groups: Groups,
        weights: Weights,
    ) -> Self:
        """The rows that weigh something; without times they are taken to come in their order."""
        moments = np.arange(len(y)) if at is None else np.asarray(at)
        if weights is not None:
            X, y, contents, moments, groups, weights = present(X, y, contents, moments, groups, weights)  # type: ignore
        return cls(X, y, np.array(contents, object), moments, groups, weights)

    def __len__(self) -> int:
        return len(self.y)

    def only(self, which: npt.NDArray[Any]) -> Self:
        """Some of the rows, by a mask or by their places."""
        keys = self.contents[which] if len(self.contents) else self.contents
        more = (chosen(each, which) for each in (self.groups, self.weights, self.chances))
        return type(self)(self.X[which], self.y[which], keys, self.at[which], *more)

    def halved(self, share: float = LATE) -> tuple[Self, Self]:
        """The early ones, a `share` of all, and the late ones; a slate is whole on one side."""
        early, late = parts(self.at, self.groups, len(self), share)
        return self.only(early), self.only(late)

    def enough(self, fewest: int = FEWEST_CONVERSIONS) -> bool:
        """Whether both outcomes, something and nothing, are there often enough to choose anything by."""
        hits = int((self.y > 0).sum())
        return min(hits, len(self) - hits) >= fewest

    def need_both(self) -> None:
        """Raises `ValueError` unless some rows succeeded and some did not."""
        if not self.enough(1):
            raise ValueError(BOTH)

    def fit(self, scorer: Kind) -> Kind:
        """The scorer, fitted to them."""
        return scorer.fit(self.X, self.y, self.keys, self.at, groups=self.groups, weights=self.weights)

    @property
    def keys(self) -> list[str]:
        return list(self.contents)

    @property
    def odds(self) -> npt.NDArray[np.float64]:
        """`chances`, or certainty where none are known."""
        return np.ones(len(self)) if self.chances is None else self.chances


def present(
    X: Matrix,
    y: Labels,
    contents: Sequence[str],
    at: npt.ArrayLike | None,
    groups: Groups,
    weights: npt.NDArray[np.float64],
) -> tuple[Matrix, Labels, Sequence[str], npt.ArrayLike | None, Groups, Weights]:
    """The rows that weigh something, their weights with a mean of 1: only how they differ means anything."""
    there = np.asarray(weights) > 0
    kept = [key for key, stays in zip(contents, there, strict=False) if stays]
    moments = None if at is None else np.asarray(at)[there]
    share = np.asarray(weights, np.float64)[there]
    return X[there], y[there], kept, moments, chosen(groups, there), share / share.mean() if len(share) else share


def parts(at: npt.ArrayLike | None, groups: Groups, rows: int, share: float = LATE) -> tuple[Any, Any]:
    """Which rows are early and which late; a slate is whole on one side. Nothing where no time is known."""
    if at is None:
        return None, None
    moments = np.asarray(at)
    if groups is not None and rows:
        # A slate is as late as its latest row.
        _, where = np.unique(groups, return_inverse=True)
        latest = np.full(where.max() + 1, moments.min())
        np.maximum.at(latest, where, moments)
        moments = latest[where]
    late = moments > np.quantile(moments, share)
    return ~late, late


def chosen(values: Any, which: Any) -> Any:
    return None if values is None else values[which]
