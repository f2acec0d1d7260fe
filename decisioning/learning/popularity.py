"""Touches come in; how popular each content is with everybody, and in each group, comes out.

Popularity is the share of all touches, each by its weight and age. A group's share is drawn towards everybody's: with
few touches it says what all say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.touches import Floats, Touches

MOST: Final = 500  # contents of a group that are kept
STRENGTH: Final = 200.0  # the weight of everybody's shares in a group's, in touches
FEWEST: Final = 30  # touches of a group that is kept


@dataclass(frozen=True, slots=True)
class Popularity:
    """`shares` (contents,) among everybody, summing to 1; by group `names` the contents most popular there, in order.

    `order` are all contents, the most popular first; equal ones by position.
    """

    shares: Floats
    order: npt.NDArray[np.int32]
    names: tuple[str, ...]
    tops: tuple[npt.NDArray[np.int32], ...]


def popularity(touches: Touches, moment: int) -> Popularity:
    """As of a moment (µs). Contents nobody touched have the same small share.

    A group's share is (its touches + 200 · everybody's share) / (all of its touches + 200): the mean of a Dirichlet
    posterior whose prior is everybody (Good 1965).
    """
    weights = touches.fresh(moment)
    counts = np.bincount(touches.contents, weights, touches.size)
    shares = (counts + 1.0 / max(touches.size, 1)) / (counts.sum() + 1.0)
    names, tops = [], []
    sizes = np.bincount(touches.groups, minlength=len(touches.names))
    by_group = np.argsort(touches.groups, kind="stable")
    ends = np.cumsum(sizes)
    for number in sorted(range(len(touches.names)), key=touches.names.__getitem__):
        if sizes[number] >= FEWEST:
            rows = touches.rows[by_group[ends[number] - sizes[number] : ends[number]]]
            theirs = np.bincount(touches.contents[rows], weights[rows], touches.size)
            names.append(touches.names[number])
            tops.append(best((theirs + STRENGTH * shares) / (theirs.sum() + STRENGTH), MOST))
    return Popularity(shares, best(shares, touches.size), tuple(names), tuple(tops))


def best(values: Floats | Sequence[float], most: int) -> npt.NDArray[np.int32]:
    """Positions of the greatest values in their order; equal ones by position."""
    return np.argsort(-np.asarray(values), kind="stable")[:most].astype(np.int32)
