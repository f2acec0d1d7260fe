"""How close contents are to each other comes in, some rows at a time; the nearest others of each come out.

They lie end to end in two arrays, so that a decision reads the nearest of a content by one slice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.asof import Ints

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
NEAREST: Final = 48  # of each content
BLOCK: Final = 512  # contents whose closeness to all others is in memory at once
TIE: Final = 1e-6  # of popularity in closeness: it decides between equals


@dataclass(frozen=True, slots=True)
class Nearest:
    """`others[starts[i]:starts[i + 1]]` are the positions of the nearest of content i, the nearest first.

    `starts` int64 (contents + 1,), `others` int32, `scores` float32 (float64 where they are rounded) > 0.
    """

    starts: Ints
    others: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32] | Floats

    def of(self, content: int) -> slice:
        """Where a content's nearest are."""
        return slice(int(self.starts[content]), int(self.starts[content + 1]))

    @property
    def covered(self) -> int:
        """How many contents have a nearest one."""
        return int((np.diff(self.starts) > 0).sum())

    def fits(self, size: int) -> bool:
        """Whether the arrays are as long as they have to be for so many contents, and name no other."""
        ordered = len(self.starts) == size + 1 and bool((np.diff(self.starts) >= 0).all())
        whole = ordered and self.starts[0] == 0 and self.starts[-1] == len(self.others) == len(self.scores)
        return whole and (not len(self.others) or bool(0 <= self.others.min() <= self.others.max() < size))


Row = tuple[Ints, Floats]


def gathered(rows: Iterable[Row], tie: Floats, most: int = NEAREST) -> Nearest:
    """The nearest of every content; a row is (other contents, their closeness), 0 or less is not close.

    `tie` in [0, 1], one a content, decides between equally close ones: how popular each is.
    """
    lengths: list[int] = []
    others: list[Ints] = []
    scores: list[Floats] = []
    for number, (found, closeness) in enumerate(rows):
        kept = np.flatnonzero((closeness > 0) & (found != number))
        weighed = closeness[kept] + TIE * tie[found[kept]]
        if len(kept) > most:
            best = np.argpartition(-weighed, most - 1)[:most]
            kept, weighed = kept[best], weighed[best]
        order = np.lexsort((found[kept], -weighed))
        lengths.append(len(kept))
        others.append(found[kept][order])
        scores.append(closeness[kept][order])
    return Nearest(
        np.cumsum([0, *lengths]),
        np.concatenate([*others, np.empty(0, np.int64)]).astype(np.int32),
        np.concatenate([*scores, np.empty(0)]).astype(np.float32),
    )


def rows_of(matrix: "sparse.csr_matrix") -> Iterator[Row]:
    """The rows of a sparse matrix."""
    for start, end in zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True):
        yield matrix.indices[start:end].astype(np.int64), matrix.data[start:end].astype(np.float64)


def products(left: "sparse.csr_matrix", right: "sparse.csr_matrix") -> Iterator["tuple[int, sparse.csr_matrix]"]:
    """(number of the first row, some rows of left · right), block by block: the whole would not fit."""
    for start in range(0, left.shape[0], BLOCK):
        yield start, (left[start : start + BLOCK] @ right).tocsr()


def strongest(nearest: Nearest, most: int, pairs: int, digits: int) -> Nearest:
    """The first `most` of each content and the closest `pairs` of all, their closeness rounded (float64)."""
    within = np.arange(len(nearest.others)) - np.repeat(nearest.starts[:-1], np.diff(nearest.starts))
    kept = within < most
    if kept.sum() > pairs:
        least = np.partition(nearest.scores[kept], -pairs)[-pairs]
        kept &= nearest.scores > least
    starts = np.concatenate([[0], np.cumsum(kept)])[nearest.starts]
    return Nearest(starts, nearest.others[kept], nearest.scores[kept].astype(np.float64).round(digits))


def nothing(size: int) -> Nearest:
    """Nobody has a nearest one."""
    return Nearest(np.zeros(size + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
