"""What customers clicked last and the texts of contents come in; how alike a content is to what was clicked, comes out.

A content is a vector of its texts, each weighing the more the fewer contents have it (TF-IDF with smoothed inverse
frequencies, Spärck Jones 1972) and as long as 1. What a customer clicked is the sum of such vectors; likeness is the
cosine between the two, by all texts together ("") or by those of one attribute: then anything above 0 says that the
customer clicked something of this brand, category or genre before. It is missing where either has no text.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.asof import DAY, NEVER, Ints
from decisioning.learning.later import Later
from decisioning.learning.traits import Traits

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = Later("scipy.sparse")

Floats = npt.NDArray[np.float64]
Vector = Mapping[int, float]
"""{number of a text: its weight}"""
LAST: Final = 10  # clicked contents that are looked at, as many as the fact `clicked_contents` lists
REMEMBERED: Final = 90 * DAY
ROWS: Final = 200_000  # compared at a time
DIGITS: Final = 6


def rarity(contents: Sequence[Traits]) -> dict[str, dict[str, float]]:
    """{attribute: {text: ln((1 + contents) / (1 + those with it)) + 1}} of texts that two contents have at least."""
    counts: dict[str, dict[str, int]] = {}
    for traits in contents:
        for attribute, texts in traits.items():
            held = counts.setdefault(attribute, {})
            for text in texts:
                held[text] = held.get(text, 0) + 1
    size = 1 + len(contents)
    return {
        attribute: {text: math.log(size / (1 + n)) + 1 for text, n in sorted(held.items()) if n > 1}
        for attribute, held in sorted(counts.items())
    }


class Space:
    """Vectors of contents in the `views` of the likeness columns: "" for all texts, else one attribute's."""

    def __init__(
        self, views: Sequence[str], rare: Mapping[str, Mapping[str, float]], known: Mapping[str, Traits]
    ) -> None:
        self.views, self.rare, self.known = tuple(views), rare, known
        names = ((attribute, text) for attribute, texts in rare.items() for text in texts)
        self.codes = {name: place for place, name in enumerate(names)}
        self.kept: dict[str, tuple[Vector, ...]] = {}

    def vectors(self, traits: Traits) -> tuple[Vector, ...]:
        """A content in each view; empty where it has no text there."""
        return tuple(self._unit(traits, view) for view in self.views)

    def _unit(self, traits: Traits, view: str) -> Vector:
        names = [view] if view else sorted(traits)
        found = {
            self.codes[name, text]: self.rare[name][text]
            for name in names
            for text in traits.get(name, ())
            if (name, text) in self.codes
        }
        length = math.sqrt(sum(weight * weight for weight in found.values()))
        return {code: weight / length for code, weight in found.items()}

    def of(self, key: str) -> tuple[Vector, ...] | None:
        """The vectors of a content that was known in training; None for another."""
        if key not in self.kept and key in self.known:
            self.kept[key] = self.vectors(self.known[key])
        return self.kept.get(key)

    def likeness(self, clicked: Sequence[str], contents: Sequence[tuple[Vector, ...]]) -> Floats:
        """(contents, views) for one customer."""
        found = np.full((len(contents), len(self.views)), np.nan)
        known = [vectors for key in clicked if (vectors := self.of(key)) is not None]
        for place in range(len(self.views)):
            taste = _sum(vectors[place] for vectors in known)
            length = math.sqrt(sum(weight * weight for weight in taste.values()))
            if length:
                found[:, place] = [_cosine(taste, length, vectors[place]) for vectors in contents]
        return found.round(DIGITS)

    def everybody(self, clicked: Sequence[Sequence[str]], contents: Sequence[tuple[Vector, ...]]) -> Floats:
        """(customers, contents, views): every list with every content."""
        who = np.repeat(np.arange(len(clicked)), len(contents))
        which = np.tile(np.arange(len(contents)), len(clicked))
        return self.paired(clicked, who, contents, which).reshape(len(clicked), len(contents), len(self.views))

    def paired(
        self,
        clicked: Sequence[Sequence[str]],
        who: Ints,
        contents: Sequence[tuple[Vector, ...]],
        which: Ints,
    ) -> Floats:
        """(rows, views): the list `clicked[who]` with the content `which`, for many rows at once."""
        found = np.full((len(who), len(self.views)), np.nan)
        keys = {key: place for place, key in enumerate(sorted({key for one in clicked for key in one}))}
        known = [self.of(key) or ({},) * len(self.views) for key in keys]
        lists = self.matrix([{keys[key]: 1.0 for key in one} for one in clicked], len(keys))
        for place in range(len(self.views)):
            tastes = lists @ self.matrix([vectors[place] for vectors in known])
            theirs = self.matrix([vectors[place] for vectors in contents])
            lengths = np.sqrt(np.asarray(tastes.multiply(tastes).sum(axis=1)).ravel())
            empty = (lengths[who] == 0) | (np.diff(theirs.indptr)[which] == 0)
            for start in range(0, len(who), ROWS):
                part = slice(start, start + ROWS)
                products = tastes[who[part]].multiply(theirs[which[part]]).sum(axis=1)
                found[part, place] = np.asarray(products).ravel()
            with np.errstate(invalid="ignore", divide="ignore"):
                found[:, place] = np.where(empty, np.nan, found[:, place] / lengths[who])
        return found.round(DIGITS)

    def matrix(self, rows: Sequence[Vector], width: int | None = None) -> "sparse.csr_matrix":
        ends = np.cumsum([0, *map(len, rows)])
        codes = np.array([code for row in rows for code in row], np.int64)
        weights = np.array([weight for row in rows for weight in row.values()], np.float64)
        return sparse.csr_matrix((weights, codes, ends), (len(rows), len(self.codes) if width is None else width))


def _sum(vectors: Iterable[Vector]) -> dict[int, float]:
    found: dict[int, float] = {}
    for vector in vectors:
        for code, weight in vector.items():
            found[code] = found.get(code, 0.0) + weight
    return found


def _cosine(taste: Vector, length: float, content: Vector) -> float:
    if not content:
        return math.nan
    return sum(taste[code] * weight for code, weight in content.items() if code in taste) / length


def clicked_in(value: Any) -> tuple[str, ...]:
    """What a fact `clicked_contents` lists, newest first; nothing where it is no list."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(key for key in value if isinstance(key, str))[:LAST]


def clicked_before(
    keys: Sequence[str], clicks: tuple[Ints, Ints, Ints], asked: tuple[Ints, Ints]
) -> tuple[list[tuple[str, ...]], Ints]:
    """The lists of contents clicked last as of any moment, and which of them holds at each question.

    `clicks` are customers, contents (positions in `keys`) and moments, `asked` customers and moments. As the fact has
    it: the last 10 different ones strictly before the moment and at most 90 days ago, newest first, then by key.
    """
    histories = _histories(clicks)
    customers, moments = asked
    lists: list[tuple[str, ...]] = [()]
    which = np.zeros(len(customers), np.int64)
    order = np.lexsort((moments, customers))
    order = order[np.isin(customers[order], list(histories))]
    found: dict[tuple[int, int], int] = {}
    places: dict[tuple[str, ...], int] = {(): 0}
    for row, customer, moment in zip(order.tolist(), customers[order].tolist(), moments[order].tolist(), strict=True):
        if (customer, moment) not in found:
            one = _last(histories[customer], moment, keys)
            found[customer, moment] = places.setdefault(one, len(places))
            if found[customer, moment] == len(lists):
                lists.append(one)
        which[row] = found[customer, moment]
    return lists, which


History = list[tuple[int, int]]


def _histories(clicks: tuple[Ints, Ints, Ints]) -> dict[int, tuple[History, dict[int, int]]]:
    """{customer: (their clicks (moment, content) that are yet to come, the last first; what was clicked when)}"""
    customers, contents, moments = clicks
    happened = moments != NEVER
    customers, contents, moments = customers[happened], contents[happened], moments[happened]
    order = np.lexsort((contents, -moments, customers))
    found: dict[int, tuple[History, dict[int, int]]] = {}
    for customer, content, moment in zip(
        customers[order].tolist(), contents[order].tolist(), moments[order].tolist(), strict=True
    ):
        found.setdefault(customer, ([], {}))[0].append((moment, content))
    return found


def _last(history: tuple[History, dict[int, int]], moment: int, keys: Sequence[str]) -> tuple[str, ...]:
    """What was clicked last before a moment; moments are asked in their order."""
    coming, clicked = history
    while coming and coming[-1][0] < moment:
        at, content = coming.pop()
        clicked[content] = at
    newest = sorted(clicked, key=lambda content: (-clicked[content], keys[content]))
    for content in newest[LAST:]:
        del clicked[content]
    return tuple(keys[content] for content in newest[:LAST] if clicked[content] > moment - REMEMBERED)
