"""Who touched what comes in; contents that go with the same tastes, found by matrix factors, come out.

Factors are learned by alternating least squares for implicit feedback (Hu, Koren and Volinsky 2008, "Collaborative
filtering for implicit feedback datasets"), by the library `implicit`. The same paper (section 5) writes the score of a
content for a customer as a sum over what they touched of closeness = xᵢᵀ W xⱼ. With the same W = (XᵀX + λI)⁻¹ for all
customers it is known beforehand: so a customer's candidates are looked up by what they touched a second ago, and each
can say by which content it came.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.later import Later
from decisioning.learning.nearest import BLOCK, Nearest, Row, gathered, nothing
from decisioning.learning.touches import Floats, Touches

if TYPE_CHECKING:
    from scipy import sparse

als: Any = Later("implicit.als")
threads: Any = Later("threadpoolctl")

FACTORS: Final = 32
CONTENTS_A_FACTOR: Final = 5  # with as many factors as contents each would be close to itself alone
ROUNDS: Final = 15
RIDGE: Final = 0.05
CONFIDENCE: Final = 5.0  # how much a touch says more than none (the paper's α)
FEWEST_PEOPLE: Final = 30
FEWEST_TOUCHING: Final = 3  # customers of a content whose factors mean something


def by_taste(touches: Touches, tie: Floats, seed: int = 0) -> Nearest:
    """The nearest of each content by its factors; none with fewer than 30 customers who touched two contents."""
    matrix = touches.matrix()
    matrix = matrix[np.diff(matrix.indptr) > 1]
    if matrix.shape[0] < FEWEST_PEOPLE:
        return nothing(touches.size)
    known = np.flatnonzero(np.bincount(matrix.indices, minlength=touches.size) >= FEWEST_TOUCHING)
    return gathered(_closest(factors_of(matrix[:, known], seed), known, touches.size), tie)


def factors_of(matrix: "sparse.csr_matrix", seed: int) -> npt.NDArray[np.float32]:
    """(contents, factors), 32 of them, or one for five contents; the same matrix and seed give the same."""
    model = als.AlternatingLeastSquares(
        factors=min(FACTORS, max(2, matrix.shape[1] // CONTENTS_A_FACTOR)),
        regularization=RIDGE,
        alpha=CONFIDENCE,
        iterations=ROUNDS,
        random_state=seed,
        num_threads=1,
        use_gpu=False,
        dtype=np.float32,
    )
    # Threads of the numeric library beside those of `implicit` slow both down, and sums would differ by their order.
    with threads.threadpool_limits(1, "blas"):
        model.fit(matrix.tocsr(), show_progress=False)
    found: npt.NDArray[np.float32] = np.asarray(model.item_factors, np.float32)
    return found


def _closest(factors: npt.NDArray[np.float32], known: npt.NDArray[np.int64], size: int) -> Iterator[Row]:
    """A row for every content; those without factors have none."""
    gram = factors.T.astype(np.float64) @ factors + RIDGE * np.eye(factors.shape[1])
    half = np.linalg.cholesky(np.linalg.inv(gram))
    # So that closeness is a product of two rows, and that much touched contents are not close to everything.
    placed = factors @ half
    lengths = np.linalg.norm(placed, axis=1, keepdims=True)
    placed = (placed / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    empty: Row = (np.empty(0, np.int64), np.empty(0))
    done = 0
    for start in range(0, len(known), BLOCK):
        for number, row in zip(known[start : start + BLOCK], placed[start : start + BLOCK] @ placed.T, strict=True):
            yield from (empty for _ in range(done, int(number)))
            yield known, row.astype(np.float64)
            done = int(number) + 1
    yield from (empty for _ in range(done, size))
