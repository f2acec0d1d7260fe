"""Showings with their chances and a ranking of every candidate come in; the log and the policy to be judged, come out.

A policy that shows the best scored contents is judged place by place: given what stood above, it would have shown the
best of the remaining candidates. Candidates are what the placement ever showed in the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.expecting import Table, expectation, expected_rewards, folds
from decisioning.learning.offpolicy import Log, Target
from decisioning.learning.resampling import Floats, Ints

CERTAIN: Final = 0.999  # a greater chance is none
EXPLORED: Final = 0.5  # of the rows must have had another chance than 1, or nothing can be told of other policies
MOST_CANDIDATES: Final = 100
MOST_ROWS: Final = 400_000  # decisions × candidates; of more decisions an even sample is judged


@dataclass(frozen=True, slots=True)
class Slots:
    """What was shown, a row a content, ordered by decision and place; all (rows,).

    `decisions` count from 0 without gaps, `shown` is the place among the candidates, `places` count from 1.
    """

    decisions: Ints
    shown: Ints
    places: Ints
    chances: Floats
    rewards: Floats
    customers: Ints

    def __len__(self) -> int:
        return len(self.shown)


def explored(propensity: npt.NDArray[np.float64]) -> bool:
    """Whether the log tried other contents often enough that other policies can be judged by it."""
    known = propensity[~np.isnan(propensity)]
    return len(known) > 0 and float((known < CERTAIN).mean()) >= EXPLORED


def sampled(groups: npt.NDArray[np.int64], candidates: int) -> npt.NDArray[np.bool_]:
    """The rows of so many decisions as can be judged, evenly by their numbers."""
    every = max(1, -(-len(np.unique(groups)) * candidates // MOST_ROWS))
    return np.asarray(np.unique(groups, return_inverse=True)[1] % every == 0)


def slots_of(
    groups: Ints,
    contents: Sequence[str],
    position: Ints,
    propensity: Floats,
    rewards: Floats,
    customers: Ints,
    candidates: Sequence[str],
) -> Slots:
    """The slots of rows with known chances; places that are unknown are by the order of the rows."""
    rows = np.lexsort((position, groups))
    _, decisions = np.unique(groups[rows], return_inverse=True)
    first = np.searchsorted(decisions, decisions, side="left")
    where = {key: place for place, key in enumerate(candidates)}
    shown = np.array([where[contents[row]] for row in rows], np.int64)
    places = np.arange(len(rows)) - first + 1
    chances = np.minimum(propensity[rows], 1.0)
    return Slots(decisions, shown, places, chances, rewards[rows], customers[rows])


def crossed(showings: pl.DataFrame, candidates: Sequence[str]) -> pl.DataFrame:
    """Every decision (`group`) with every candidate, sorted by both: what could have been shown to it."""
    one = showings.unique("group", keep="first", maintain_order=True).drop("content_key")
    keys = pl.DataFrame({"content_key": list(candidates)}, schema={"content_key": pl.String})
    return one.join(keys, how="cross").sort("group", "content_key")


def logged(slots: Slots) -> tuple[Log, tuple[Table, Table]]:
    """The log, with a model of what each content earns in each place."""
    tables = expected_rewards(slots.rewards, slots.shown, slots.places, slots.customers)
    fold = folds(slots.customers).tolist()
    expected = [
        expectation(tables[f], key, place)
        for f, key, place in zip(fold, slots.shown.tolist(), slots.places.tolist(), strict=True)
    ]
    log = Log(slots.rewards, slots.chances, slots.decisions, slots.customers, slots.places, np.array(expected))
    return log, tables


def best_first(slots: Slots, scores: Floats, tables: tuple[Table, Table]) -> Target:
    """The policy that fills each place with the best of what is left; `scores` (decisions, candidates).

    Of equals, the first of the candidates.
    """
    left = scores.copy()
    chances, expected = np.empty(len(slots)), np.empty(len(slots))
    fold = folds(slots.customers)
    for place in np.unique(slots.places):
        rows = np.flatnonzero(slots.places == place)
        mine = slots.decisions[rows]
        best = left[mine].argmax(axis=1)
        chances[rows] = best == slots.shown[rows]
        expected[rows] = [
            expectation(tables[f], key, int(place)) for f, key in zip(fold[rows].tolist(), best.tolist(), strict=True)
        ]
        left[mine, slots.shown[rows]] = -np.inf
    return Target(chances, expected)
