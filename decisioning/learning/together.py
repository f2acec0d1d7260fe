"""Who touched what, and what orders held, comes in; contents of the same people, or bought together, come out."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from decisioning.learning.nearest import Nearest, Row, gathered, products, rows_of
from decisioning.learning.touches import Floats, Touches

DOUBT: Final = 5.0  # customers: a cosine of so many in common counts half
SUPPORT: Final = 3  # orders that two contents were in together, at least
EXPECTED: Final = 5.0  # orders, by which lift is drawn towards 1


def by_people(touches: Touches, tie: Floats) -> Nearest:
    """Item to item: the cosine between who touched one and who touched the other, by n / (n + 5) for n in common.

    Sources: Sarwar and others 2001 (item-based cosine); Koren 2008 (shrinkage by the support).
    """
    matrix = touches.matrix(binary=True)
    people = np.sqrt(np.bincount(matrix.indices, minlength=touches.size))

    def rows() -> Iterator[Row]:
        for start, block in products(matrix.T.tocsr(), matrix):
            for number, (others, common) in enumerate(rows_of(block), start):
                yield others, common / (people[others] * people[number]) * (common / (common + DOUBT))

    return gathered(rows(), tie)


def by_orders(touches: Touches, tie: Floats) -> Nearest:
    """Bought together: the lift over chance, drawn towards 1, of contents that were in three orders together or more.

    Of n orders in common where e = orders of one · orders of the other / all orders were to be expected, it is
    (n + 5) / (e + 5) − 1, so that a rare pair does not win by luck; at or below 0 the pair is not kept. Sources: Brin
    and others 1997 (lift, as "interest"); DuMouchel 1999 (shrinkage of n / e by a Gamma prior).
    """
    matrix = touches.orders()
    orders = np.bincount(matrix.indices, minlength=touches.size).astype(np.float64)
    total = max(matrix.shape[0], 1)

    def rows() -> Iterator[Row]:
        for start, block in products(matrix.T.tocsr(), matrix):
            for number, (others, common) in enumerate(rows_of(block), start):
                expected = orders[others] * orders[number] / total
                lift = (common + EXPECTED) / (expected + EXPECTED) - 1.0
                yield others, np.where(common >= SUPPORT, lift, 0.0)

    return gathered(rows(), tie)
