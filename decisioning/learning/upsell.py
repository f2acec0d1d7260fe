"""Contents come in; those alike in their texts, and of these the ones that earn more, come out."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np

from decisioning.learning.nearest import NEAREST, Nearest, Row, gathered, products, rows_of
from decisioning.learning.similarity import Space, rarity
from decisioning.learning.touches import Floats
from decisioning.learning.traits import Described, Traits, telling, traits_of

WIDER: Final = 4  # times as many are looked through for those that earn more
DEARER: Final = 3.0  # at most so many times what the customer looks at: nobody buys a car instead of a bicycle
LEAST_ALIKE: Final = 0.2


class Sold(Described, Protocol):
    """A content with its worth; `margin` is a share of `value`, None all of it."""

    @property
    def value(self) -> float: ...

    @property
    def margin(self) -> float | None: ...


def by_texts(contents: Sequence[Described], tie: Floats, most: int = NEAREST) -> Nearest:
    """The nearest of each content by the cosine of its texts (see `similarity`): also of those nobody touched yet."""
    names = telling(contents)
    known: list[Traits] = [traits_of(content, names) for content in contents]
    space = Space(("",), rarity(known), {})
    matrix = space.matrix([space.vectors(traits)[0] for traits in known])

    def rows() -> Iterator[Row]:
        for _, block in products(matrix, matrix.T.tocsr()):
            yield from rows_of(block)

    return gathered(rows(), tie, most)


def earnings(contents: Sequence[Sold]) -> Floats:
    """What one sale of each earns: value × margin."""
    return np.array([one.value * (1.0 if one.margin is None else one.margin) for one in contents], np.float64)


def that_earn_more(alike: Nearest, others: Nearest, earned: Floats, tie: Floats) -> Nearest:
    """Of what is alike, and of what the same people touch, those that earn more: closeness × (1 − earned / theirs).

    At most three times as much, and alike by 0.2 at least: an upsell is the better one of the same, not another thing.
    """

    def rows() -> Iterator[Row]:
        for number in range(len(earned)):
            where = alike.of(number)
            found, closeness = alike.others[where].astype(np.int64), alike.scores[where].astype(np.float64)
            same = others.others[others.of(number)]
            # Who looked at the one looked at the other too: that counts for half as much again.
            closeness = np.where(closeness >= LEAST_ALIKE, closeness, 0.0) * (1.0 + 0.5 * np.isin(found, same))
            theirs = earned[found]
            better = (theirs > earned[number]) & (theirs <= DEARER * earned[number])
            with np.errstate(divide="ignore", invalid="ignore"):
                yield found, np.where(better, closeness * (1.0 - earned[number] / theirs), 0.0)

    return gathered(rows(), tie)


def cut(nearest: Nearest, most: int = NEAREST) -> Nearest:
    """The first `most` of each."""
    rows = (_row(nearest, number, most) for number in range(len(nearest.starts) - 1))
    return gathered(rows, np.zeros(len(nearest.starts) - 1), most)


def _row(nearest: Nearest, number: int, most: int) -> Row:
    where = nearest.of(number)
    where = slice(where.start, min(where.stop, where.start + most))
    return nearest.others[where].astype(np.int64), nearest.scores[where].astype(np.float64)
