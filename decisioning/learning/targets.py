"""What customers did, and moments, come in; who can be foretold anything then, and what came true, come out.

Three things are foretold of a customer within a horizon (days). **Churn**: somebody who did something within the
horizon before does nothing within the one after. **Repurchase**: somebody who has bought buys again. **Value**: the
money that somebody who has bought spends. What is known at a moment lies strictly before it; what counts as come true
lies at it or after it, and before the horizon's end.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.asof import DAY
from decisioning.learning.family import CHANCE
from decisioning.learning.family import VALUE as MONEY

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
CHURN, REPURCHASE, VALUE = "churn", "repurchase", "value"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to foretell: `task` "chance" or "value", the `fact` that it becomes, and words for people."""

    name: str
    task: str
    fact: str
    label: str
    text: str
    days: int


TARGETS: Final = {
    one.name: one
    for one in (
        Target(
            CHURN,
            CHANCE,
            "churn_risk",
            "Churn risk",
            "Foretold: the chance that somebody who was active of late does nothing within the horizon.",
            30,
        ),
        Target(
            REPURCHASE,
            CHANCE,
            "repurchase_chance",
            "Repurchase chance",
            "Foretold: the chance that somebody who has bought buys again within the horizon.",
            30,
        ),
        Target(
            VALUE,
            MONEY,
            "foretold_value",
            "Foretold value",
            "Foretold: the money that somebody who has bought spends within the horizon.",
            90,
        ),
    )
}


class Happened:
    """Things that customers did, sorted by customer and moment: how often, and how much, between two moments.

    `customers` (things,) ids, `at` (things,) microseconds since 1970 (UTC), `amounts` (things,) money.
    """

    def __init__(self, customers: Ints, at: Ints, amounts: Floats | None = None) -> None:
        self.ids = np.unique(customers)
        self.moments = np.unique(at)
        width = len(self.moments) + 1
        keys = np.searchsorted(self.ids, customers) * width + np.searchsorted(self.moments, at)
        order = np.argsort(keys, kind="stable")
        self._keys, self._width = keys[order], width
        self._sums = np.concatenate([[0.0], np.cumsum(np.zeros(len(at)) if amounts is None else amounts[order])])

    def between(self, customers: Ints, since: Ints, until: Ints) -> tuple[Ints, Floats]:
        """(customers,) counts and sums of what each did at `since` or after, and before `until`, of any ids."""
        if not len(self.ids):
            return np.zeros(len(customers), np.int64), np.zeros(len(customers))
        place = np.searchsorted(self.ids, customers).clip(max=len(self.ids) - 1)
        known = self.ids[place] == customers
        first, last = (
            np.searchsorted(self._keys, place * self._width + np.searchsorted(self.moments, moment))
            for moment in (since, until)
        )
        counts, sums = last - first, self._sums[last] - self._sums[first]
        return np.where(known, counts, 0), np.where(known, sums, 0.0)


def foretellable(
    target: str, done: Happened, bought: Happened, customers: Ints, at: Ints, days: int
) -> npt.NDArray[np.bool_]:
    """(customers,) of whom it can be foretold at the moments: by what lies before, never by what comes."""
    if target == CHURN:
        return done.between(customers, at - days * DAY, at)[0] > 0
    return bought.between(customers, np.zeros_like(at), at)[0] > 0


def came_true(
    target: str, done: Happened, bought: Happened, customers: Ints, at: Ints, days: int
) -> npt.NDArray[np.float64]:
    """(customers,) 0 or 1, or money, of the horizon from each moment on."""
    if target == CHURN:
        return (done.between(customers, at, at + days * DAY)[0] == 0).astype(np.float64)
    counts, sums = bought.between(customers, at, at + days * DAY)
    return np.maximum(sums, 0.0) if target == VALUE else (counts > 0).astype(np.float64)


def cuts(first: int, now: int, days: int, most: int) -> list[int]:
    """Moments to learn from, rising, a horizon apart: the last one's horizon has just closed, the first has one before.

    Raises `ValueError` where there are fewer than two: one to learn from, and one to judge by.
    """
    horizon = days * DAY
    found = [at for back in range(1, most + 1) if (at := now - back * horizon) - horizon >= first]
    if len(found) < 2:
        covered = max(0, now - first) // DAY
        raise ValueError(
            f"The log covers {covered} days; to foretell {days} days it must cover {3 * days}. Choose a shorter"
            " horizon, or wait."
        )
    return found[::-1]
