"""What customers did with contents comes in, as arrays; the part before a moment, and who did how much, comes out.

A touch is one thing that one customer did with one content at one moment: looked at it, clicked it, put it into the
basket, bought it. It may belong to an order (`baskets`) and to groups of customers or moments (`groups`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.asof import DAY, Ints
from decisioning.learning.later import Later

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = Later("scipy.sparse")

Floats = npt.NDArray[np.float64]
VIEWED, CLICKED, ADDED, BOUGHT = range(4)
KINDS: Final = ("viewed", "clicked", "added", "bought")
WEIGHTS: Final = np.array([1.0, 2.0, 3.0, 5.0])
MOST_WEIGHT: Final = 10.0  # of one customer for one content: who buys milk daily does not like it a hundredfold
MOST_CONTENTS: Final = 200  # of one customer, the latest: robots and wholesalers say little and cost much
HALF_LIFE: Final = 30 * DAY
NO_BASKET: Final = -1


def none() -> Ints:
    """No numbers."""
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Touches:
    """Touches in any order; `customers`, `contents` (positions among `size` contents), `kinds`, `at` (µs), `baskets`.

    `baskets` numbers orders, −1 for none. A touch at the position `rows[i]` belongs to the group `groups[i]`, which is
    called `names[groups[i]]`: a segment's key, or a fact of the moment such as device=mobile.
    """

    size: int
    customers: Ints
    contents: Ints
    kinds: Ints
    at: Ints
    baskets: Ints
    names: Sequence[str] = ()
    rows: Ints = field(default_factory=none)
    groups: Ints = field(default_factory=none)

    def before(self, moment: int) -> "Touches":
        """Those strictly before a moment (µs)."""
        return self.where(self.at < moment)

    def where(self, kept: npt.NDArray[np.bool_]) -> "Touches":
        """Those that are marked, with their groups."""
        place = np.cumsum(kept) - 1
        mine = kept[self.rows]
        return replace(
            self,
            customers=self.customers[kept],
            contents=self.contents[kept],
            kinds=self.kinds[kept],
            at=self.at[kept],
            baskets=self.baskets[kept],
            rows=place[self.rows[mine]],
            groups=self.groups[mine],
        )

    @property
    def people(self) -> int:
        """How many different customers."""
        return len(np.unique(self.customers))

    def fresh(self, moment: int) -> Floats:
        """The weight of each touch by its kind and its age: half of it is gone after 30 days."""
        return WEIGHTS[self.kinds] * 0.5 ** ((moment - self.at) / HALF_LIFE)

    def matrix(self, binary: bool = False) -> "sparse.csr_matrix":
        """(customers, contents) what each did with each, at most 10; 1 for anything where it is `binary`.

        Of a customer only the 200 contents touched last count. Rows and columns are in the order of their numbers.
        """
        who, customers = np.unique(self.customers, return_inverse=True)
        pairs = customers * self.size + self.contents
        found, where = np.unique(pairs, return_inverse=True)
        last = np.zeros(len(found), np.int64)
        np.maximum.at(last, where, self.at)
        weights = np.minimum(np.bincount(where, WEIGHTS[self.kinds], len(found)), MOST_WEIGHT)
        rows = found // self.size if self.size else found
        latest = _first(rows, np.lexsort((found, -last, rows)), MOST_CONTENTS)
        values = np.ones(len(found)) if binary else weights
        shape = (len(who), self.size)
        told = (values[latest].astype(np.float32), (rows[latest], found[latest] % max(self.size, 1)))
        matrix = sparse.csr_matrix(told, shape)
        matrix.sort_indices()
        return matrix

    def orders(self) -> "sparse.csr_matrix":
        """(orders, contents) 1 where an order holds a content; orders of a single content are left out."""
        bought = (self.kinds == BOUGHT) & (self.baskets != NO_BASKET)
        _, orders = np.unique(self.baskets[bought], return_inverse=True)
        pairs = np.unique(orders * self.size + self.contents[bought])
        rows, columns = (pairs // self.size, pairs % self.size) if self.size else (pairs, pairs)
        several = np.bincount(rows, minlength=1)[rows] > 1
        _, rows = np.unique(rows[several], return_inverse=True)
        ones = np.ones(len(rows), np.float32)
        return sparse.csr_matrix((ones, (rows, columns[several])), (int(rows.max(initial=-1)) + 1, self.size))


def _first(rows: Ints, order: Ints, most: int) -> Ints:
    """The first `most` of each row in this order, which goes by rows."""
    ordered = rows[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    return order[np.arange(len(order)) - starts < most]
