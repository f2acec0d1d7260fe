"""Outcomes, scores and the slates they belong to come in; how well each slate was ordered, with intervals, comes out.

A slate is what one decision showed. Slates without any outcome, or with the same outcome everywhere, say nothing about
order and are left out. Equal scores share their places: the figure is the mean over every order of the equals, so that
a constant scorer cannot profit from the order of the rows.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.evaluation import Estimate
from decisioning.learning.resampling import Floats, Ints, Sums, ratio

K: Final = 10


@dataclass(frozen=True, slots=True)
class Slates:
    """A figure a slate, whose slate it was, and how many were left out because they cannot tell."""

    figures: Floats
    customers: Ints
    left_out: int

    def __len__(self) -> int:
        return len(self.figures)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows by slate and, within one, from the best score down.

    `start` and `block` are the first row of each row's slate, and of the rows with an equal score in it.
    """

    order: Ints
    start: Ints
    block: Ints

    @property
    def rank(self) -> Ints:
        """Each row's place within its slate, from 1."""
        return np.arange(len(self.order)) - self.start + 1


def by_slate(groups: npt.ArrayLike, scores: npt.ArrayLike) -> Sorted:
    """Every slate sorted by score; a score that is no number comes last."""
    slates = np.asarray(groups, np.int64)
    values = np.nan_to_num(np.asarray(scores, np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    order = np.lexsort((-values, slates))
    slates, values = slates[order], values[order]
    new = np.r_[True, slates[1:] != slates[:-1]] if len(order) else np.empty(0, bool)
    other = np.r_[True, new[1:] | (values[1:] != values[:-1])] if len(order) else new
    return Sorted(order, firsts(new), firsts(other))


def firsts(new: npt.NDArray[np.bool_]) -> Ints:
    """For each row the last row up to it at which something new began."""
    return np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))


def discounted(gains: Floats, rows: Sorted, k: int) -> Floats:
    """Discounted cumulative gain up to place k of each slate, gains in the order of the rows given."""
    place = np.where(rows.rank <= k, 1 / np.log2(rows.rank + 1.0), 0.0)
    block = np.unique(rows.block, return_inverse=True)[1]
    shared = (np.bincount(block, place) / np.bincount(block))[block]
    slate = np.unique(rows.start, return_inverse=True)[1]
    return np.asarray(np.bincount(slate, shared * gains[rows.order]), np.float64)


def ndcg(
    y: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike, customers: npt.ArrayLike, k: int = K
) -> Slates:
    """nDCG@k of each slate (Järvelin and Kekäläinen 2002) with gain 2^y − 1; ties by McSherry and Najork 2008.

    All arrays are (rows,); `y` is 0/1 or a grade ≥ 0. Rows may come in any order.
    """
    grades = np.asarray(y, np.float64)
    gains = np.exp2(grades) - 1.0
    ours, best = by_slate(groups, scores), by_slate(groups, grades)
    if not len(grades):
        return Slates(np.empty(0), np.empty(0, np.int64), 0)
    ideal = discounted(gains, best, k)
    starts = np.unique(ours.start)
    flat = grades[best.order][starts] == np.minimum.reduceat(grades[best.order], starts)
    told = (ideal > 0) & ~flat
    found = discounted(gains, ours, k)[told] / ideal[told]
    return Slates(found, np.asarray(customers, np.int64)[ours.order][starts][told], int((~told).sum()))


def mrr(y: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike, customers: npt.ArrayLike) -> Slates:
    """1 / place of the first row with y > 0, of each slate (Voorhees 1999); equals share their places."""
    good = np.asarray(y, np.float64) > 0
    rows = by_slate(groups, scores)
    if not len(good):
        return Slates(np.empty(0), np.empty(0, np.int64), 0)
    starts, slate = np.unique(rows.start, return_inverse=True)
    blocks, block = np.unique(rows.block, return_inverse=True)
    sizes, hits = np.bincount(block), np.bincount(block, good[rows.order]).astype(int)
    of = slate[blocks]
    hit = hits > 0
    first = np.full(len(starts), -1)
    first[of[hit][::-1]] = np.flatnonzero(hit)[::-1]
    all_good = np.bincount(slate, good[rows.order]) == np.bincount(slate)
    told = (first >= 0) & ~all_good
    figures = [
        reciprocal(int(blocks[b] - starts[s]), int(sizes[b]), int(hits[b])) for s, b in enumerate(first) if told[s]
    ]
    return Slates(np.array(figures), np.asarray(customers, np.int64)[rows.order][starts][told], int((~told).sum()))


@lru_cache(maxsize=65_536)
def reciprocal(before: int, size: int, good: int) -> float:
    """The mean of 1 / place of the first good one among `size` equals in random order, behind `before` others."""
    ways = comb(size, good)
    return sum(comb(size - j, good - 1) / ways / (before + j) for j in range(1, size - good + 2))


def mean(slates: Slates, rng: np.random.Generator) -> Estimate:
    """The mean over slates, customers resampled. Raises `ValueError` without a slate that tells."""
    ones = np.ones(len(slates))
    return Sums([slates.figures, ones], slates.customers, rng).interval(ratio(0, 1))


def gain(ours: Slates, theirs: Slates, rng: np.random.Generator) -> Estimate:
    """The mean of our figure less theirs, on the same slates and the same resampled customers."""
    if len(ours) != len(theirs):
        raise ValueError("The two orders are of different slates; score the same rows twice.")
    difference = Slates(ours.figures - theirs.figures, ours.customers, ours.left_out)
    return mean(difference, rng)
