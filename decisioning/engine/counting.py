"""What is believed of the contents of a placement in; the chance of each to win a slot, counted in draws, out.

Chances that have no closed form are counted in `COUNTED` draws that are the same for everybody, with one more win
shared by all who compete, so that none has chance 0. The draws are made once for a placement: from slot to slot only
who still competes changes, so the further slots cost a comparison and no new draws.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from .dice import Dice, Floats

COUNTED: Final = 1000
BLOCK: Final = 64  # columns of normal numbers that are made and kept together: half a megabyte

Belief = tuple[float, float]  # (successes, failures) with the prior for Beta; (mean, width) for the linear ones


# Contents, what is believed of each, their factors, and α, by which widths are multiplied: (draws, contents) worth.
Count = Callable[[Sequence[str], Sequence[Belief], Sequence[float], float], Floats]


class Counted:
    """What every content is worth in every draw, made when it is first asked for, and who of them still competes."""

    def __init__(
        self, count: Count, keys: Sequence[str], beliefs: Sequence[Belief], factors: Sequence[float], width: float
    ) -> None:
        # The draws may be made slots later, when the caller's list of who is left is shorter.
        kept = tuple(keys)
        self.make = lambda: count(kept, beliefs, factors, width)
        self.places = {key: place for place, key in enumerate(kept)}
        self.worth: Floats | None = None
        self.closed: dict[int, Floats] = {}
        self.scratch: Floats | None = None

    def chances(self, keys: Sequence[str], penalties: Sequence[float], keep: float) -> tuple[float, ...]:
        """The chance of each of these, where only they compete; ties go to who stood first in the placement.

        What a content is worth is taken `keep` times, less its penalty.
        """
        worth = self.worth = self.make() if self.worth is None else self.worth
        places = [self.places[key] for key in keys]
        self._compete(worth, places)
        many = self._less(worth, places, penalties, keep) if keep <= 0 or any(penalties) else worth
        wins = np.bincount(np.argmax(many, axis=1), minlength=many.shape[1])[places]
        return tuple(((wins + 1.0 / len(keys)) / (len(many) + 1.0)).tolist())

    def _compete(self, worth: Floats, places: Sequence[int]) -> None:
        """Close the columns of all others; open those that come back."""
        now = set(places)
        for place in [place for place in self.closed if place in now]:
            worth[:, place] = self.closed.pop(place)
        for place in set(self.places.values()) - now - self.closed.keys():
            self.closed[place] = worth[:, place].copy()
            worth[:, place] = -np.inf

    def _less(self, worth: Floats, places: Sequence[int], penalties: Sequence[float], keep: float) -> Floats:
        taken, shares = np.full(worth.shape[1], np.inf), np.ones(worth.shape[1])
        taken[places], shares[places] = penalties, keep
        many = self.scratch = np.empty_like(worth) if self.scratch is None else self.scratch
        np.multiply(worth, shares, out=many)
        return np.subtract(many, taken, out=many)


def betas(keys: Sequence[str], beliefs: Sequence[Belief], factors: Sequence[float], width: float = 1.0) -> Floats:
    """Rates drawn from Beta posteriors, times the factors. A content's draws are its own, whoever else competes."""
    worth = np.empty((COUNTED, len(keys)))
    for place, (key, (successes, failures)) in enumerate(zip(keys, beliefs, strict=True)):
        worth[:, place] = _beta(key, successes, failures)
    worth *= np.asarray(factors)
    return worth


def rewards(keys: Sequence[str], beliefs: Sequence[Belief], factors: Sequence[float], width: float = 1.0) -> Floats:
    """Rewards drawn from normal posteriors of (mean, α · width), at least 0, times the factors."""
    means, widths = (np.array(column, np.float64) for column in zip(*beliefs, strict=True))
    worth, wide, many = np.empty((COUNTED, len(keys))), width * widths, np.asarray(factors)
    for start in range(0, len(keys), BLOCK):
        part = slice(start, start + BLOCK)
        view = worth[:, part]
        # Block by block, so that the passes over it find it in the processor's cache.
        np.multiply(_normals(start // BLOCK)[:, : view.shape[1]], wide[part], out=view)
        view += means[part]
        np.maximum(view, 0.0, out=view)
        view *= many[part]
    return worth


@lru_cache(maxsize=2048)
def _beta(key: str, successes: float, failures: float) -> Floats:
    return Dice("count").generator(f"beta {key}").beta(successes, failures, COUNTED)


@lru_cache(maxsize=64)
def _normals(block: int) -> Floats:
    """(COUNTED, BLOCK) standard normal numbers, always the same: to count with, not to choose with."""
    return Dice("count").normals(f"normals {block}", COUNTED * BLOCK).reshape(COUNTED, BLOCK)
