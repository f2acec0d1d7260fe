"""What customers clicked last comes in; how near a content is to it, by who clicked or bought what else, comes out.

The same lists that find candidates among many contents (see `recall`) say how near two contents are: by who touched
both (`people`), by matrix factors of tastes (`tastes`), by orders that held both (`together`). A feature is the score
by which a list would have found the content: the sum of its nearness to each content clicked last, the newest counting
most. It is missing where a list knows nothing of what was clicked, and of a content that was not there in training.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.asof import Ints
from decisioning.learning.later import Later
from decisioning.learning.nearest import Nearest
from decisioning.learning.recall import LATER, PEOPLE, TASTES, TOGETHER

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = Later("scipy.sparse")

Floats = npt.NDArray[np.float64]
DIGITS: Final = 6  # what is computed is rounded, so that no order of summation can show
ROWS: Final = 20_000  # lists of clicks that are looked up at a time
LABELS: Final = {
    PEOPLE: "What others chose who chose what the customer clicked",
    TASTES: "What customers with such tastes chose",
    TOGETHER: "What is bought together with what the customer clicked",
}
UNKNOWN: Final = -1  # the place of a content that was not there in training


class Associations:
    """The lists of the contents `keys`, in the order of their positions; what nobody knows is the place −1."""

    def __init__(self, keys: Sequence[str], lists: Mapping[str, Nearest]) -> None:
        self.keys, self.lists = tuple(keys), lists

    @cached_property
    def places(self) -> dict[str, int]:
        """{content key: its position}"""
        return {key: place for place, key in enumerate(self.keys)}

    def of(self, names: Sequence[str], clicked: Sequence[str], places: Ints) -> Floats:
        """(contents, lists) for one customer."""
        found = np.full((len(places), len(names)), np.nan)
        seeds = [(self.places[key], LATER**age) for age, key in enumerate(clicked) if key in self.places]
        for column, name in enumerate(names):
            nearest = self.lists[name]
            parts = [(nearest.of(seed), weight) for seed, weight in seeds]
            parts = [(part, weight) for part, weight in parts if part.start < part.stop]
            if parts:
                others = np.concatenate([nearest.others[part] for part, _ in parts])
                scores = np.concatenate([nearest.scores[part] * weight for part, weight in parts])
                # One more place than there are contents, where what is not known looks itself up.
                sums = np.bincount(others, scores, len(self.keys) + 1)
                found[:, column] = np.where(places == UNKNOWN, np.nan, sums[places])
        return found.round(DIGITS)

    def everybody(self, names: Sequence[str], clicked: Sequence[Sequence[str]], places: Ints) -> Floats:
        """(customers, contents, lists): every list of clicks with every content."""
        found = np.full((len(clicked), len(places), len(names)), np.nan)
        lists = self._seeds(clicked)
        for column, name in enumerate(names):
            matrix, known = self._matrix(name), self._known(name, lists)
            found[:, :, column] = (lists @ matrix[:, np.maximum(places, 0)]).toarray()
            found[~known, :, column] = np.nan
        found[:, places == UNKNOWN] = np.nan
        return found.round(DIGITS)

    def paired(self, names: Sequence[str], clicked: Sequence[Sequence[str]], who: Ints, places: Ints) -> Floats:
        """(rows, lists): the clicks `clicked[who]` with the content at `places`, for many rows at once."""
        found = np.full((len(who), len(names)), np.nan)
        lists, order = self._seeds(clicked), np.argsort(who, kind="stable")
        for column, name in enumerate(names):
            matrix, known = self._matrix(name), self._known(name, lists)
            for start in range(0, len(clicked), ROWS):
                first, last = np.searchsorted(who[order], [start, start + ROWS])
                rows = order[first:last]
                sums = (lists[start : start + ROWS] @ matrix).tocsr()
                sums.sort_indices()
                values = np.asarray(sums[who[rows] - start, np.maximum(places[rows], 0)]).ravel()
                found[rows, column] = np.where(known[who[rows]] & (places[rows] != UNKNOWN), values, np.nan)
        return found.round(DIGITS)

    def _seeds(self, clicked: Sequence[Sequence[str]]) -> "sparse.csr_matrix":
        """(lists, contents): what each content of a list of clicks weighs, in the order of the list."""
        known = [
            [(self.places[key], LATER**age) for age, key in enumerate(one) if key in self.places] for one in clicked
        ]
        ends = np.cumsum([0, *map(len, known)])
        where = np.array([place for one in known for place, _ in one], np.int64)
        weights = np.array([weight for one in known for _, weight in one], np.float64)
        return sparse.csr_matrix((weights, where, ends), (len(clicked), len(self.keys)))

    def _matrix(self, name: str) -> "sparse.csr_matrix":
        one, size = self.lists[name], len(self.keys)
        return sparse.csr_matrix((one.scores, one.others.astype(np.int64), one.starts), (size, size))

    def _known(self, name: str, lists: "sparse.csr_matrix") -> npt.NDArray[np.bool_]:
        """Of which lists of clicks the list `name` knows any content."""
        known: npt.NDArray[np.bool_] = lists @ (np.diff(self.lists[name].starts) > 0).astype(np.float64) > 0
        return known

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives an equal one back."""
        lists = {
            name: {"starts": one.starts.tolist(), "others": one.others.tolist(), "scores": one.scores.tolist()}
            for name, one in self.lists.items()
        }
        return {"keys": list(self.keys), "lists": lists}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Associations":
        """Raises `ValueError` where a list names contents that there are not."""
        keys, lists = tuple(stored["keys"]), {}
        for name, one in stored["lists"].items():
            types = {"starts": np.int64, "others": np.int32, "scores": np.float64}
            nearest = lists[name] = Nearest(*(np.array(one[part], kind) for part, kind in types.items()))
            if not nearest.fits(len(keys)):
                raise ValueError(f"The list {name!r} of the scorer is damaged; train the scorer again.")
        return cls(keys, lists)
