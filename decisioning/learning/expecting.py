"""Rewards of what was shown come in; what to expect of each content in each place, for the doubly robust estimate, out.

Two tables are made, each of one half of the customers; a row is expected what the other half says, so that no reward
vouches for itself.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from decisioning.learning.resampling import Ints

Table = Mapping[tuple[int, int], float]
STRENGTH = 20.0  # a content's own mean weighs as much as the place's after so many showings
ANY = -1  # the content that stands for every content


def expected_rewards(rewards: npt.ArrayLike, keys: Ints, places: Ints, customers: Ints) -> tuple[Table, Table]:
    """For the customers of fold 0 and of fold 1 (`folds`): {(content, place): mean reward drawn towards the place's}.

    All arrays are (rows,); `keys` number the contents from 0, `places` count from 1.
    """
    values, fold = np.asarray(rewards, np.float64), folds(customers)
    one, other = (table_of(values[fold != mine], keys[fold != mine], places[fold != mine]) for mine in (0, 1))
    return one, other


def table_of(rewards: npt.NDArray[np.float64], keys: Ints, places: Ints) -> Table:
    """The same from some rows, with the places' means under the content -1."""
    usual = {int(place): float(rewards[places == place].mean()) for place in np.unique(places)}
    found = {(ANY, place): mean for place, mean in usual.items()}
    pairs, at = np.unique(np.stack([keys, places]), axis=1, return_inverse=True)
    sums, counts = np.bincount(at.ravel(), rewards).tolist(), np.bincount(at.ravel()).tolist()
    for key, place, total, count in zip(*pairs.tolist(), sums, counts, strict=True):
        found[key, place] = (total + STRENGTH * usual[place]) / (count + STRENGTH)
    return found


def folds(customers: Ints) -> Ints:
    """0 or 1 for each customer."""
    return np.asarray(mixed(customers) >> np.uint64(63), np.int64)


def fifth(customers: Ints) -> npt.NDArray[np.bool_]:
    """Whether a customer is in the fifth that is kept aside."""
    return np.asarray((mixed(customers) >> np.uint64(32)) % np.uint64(5) == 0)


def mixed(customers: Ints) -> npt.NDArray[np.uint64]:
    """Knuth's multiplicative hash: neighbouring numbers may have come together."""
    return np.asarray(customers.astype(np.uint64) * np.uint64(11_400_714_819_323_198_485))


def expectation(table: Table, key: int, place: int) -> float:
    """What the table expects of a content in a place; of one it never saw there, the place's mean, of that, nothing."""
    return table.get((key, place), table.get((ANY, place), 0.0))
