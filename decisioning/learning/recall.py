"""What a customer did and is looking at comes in; the few hundred contents worth ranking, of any number, come out.

Everything was computed beforehand (see `recalling`): a list is either an order of contents, or the nearest others of
each content. A decision reads the lists it wants at the contents it starts from (seeds) and merges them, in well under
a millisecond, however many contents there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from mmap import mmap
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.nearest import NEAREST, Nearest
from decisioning.learning.packing import packed, unpacked

Positions = npt.NDArray[np.int32]
Marks = npt.NDArray[np.bool_]

KIND: Final = "candidate lists"
POPULAR, ANSWERS = "popular", "answers"
TASTES, PEOPLE, ALIKE, TOGETHER, UPSELL = "tastes", "people", "alike", "together", "upsell"
NEAR: Final = (TASTES, PEOPLE, ALIKE, TOGETHER, UPSELL)
LISTS: Final = (POPULAR, ANSWERS, *NEAR)
# Of what goes with one thing, that which the customer is looking at now comes before all they ever clicked.
OF_THE_MOMENT: Final = frozenset((TOGETHER, UPSELL))
MOST: Final = 500
MOST_SEEDS: Final = 10
LATER: Final = 0.85  # the weight of each seed next to the one before it
RANK_CONSTANT: Final = 60.0
MOST_ANSWERS: Final = 20
MOST_GROUPS: Final = 20
BITS: Final = 15
COUNTED: Final = np.arange(1 << BITS)
ALWAYS: Final = np.ones(1, np.bool_)
LEAST: Final = 1e-12  # decides between equals
LONGEST: Final = MOST_SEEDS * NEAREST  # of a list, as far as it is read
RECIPROCAL: Final = 1.0 / (RANK_CONSTANT + 1.0 + np.arange(max(LONGEST, MOST)))
WORDS: Final = {
    TASTES: "customers with such tastes also chose this, as by {}",
    PEOPLE: "others who chose {} also chose this",
    ALIKE: "like {}",
    TOGETHER: "others who bought {} also bought this",
    UPSELL: "like {}, and earns more",
}


@dataclass(frozen=True, slots=True)
class Start:
    """What candidates start from; contents by position.

    `now` are contents of the moment (the product looked at, the basket), `before` those clicked last, the newest first;
    `groups` are names of groups the customer or the moment is in, `texts` what they answered, by the fact's name.
    """

    now: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()

    def seeds(self, name: str) -> tuple[int, ...]:
        """The contents that a list is read at."""
        if self.now and name in OF_THE_MOMENT:
            return self.now[:MOST_SEEDS]
        return (*self.now, *(one for one in self.before if one not in self.now))[:MOST_SEEDS]


@dataclass(frozen=True)
class Recall:
    """The lists of all contents, whose `keys` are in the order of their positions.

    `order` are all positions, the most popular first; `tops` the same of each group, cut. `near` are the lists of
    nearest others. `texts[i]` of attributes have the contents `text_contents` between `text_starts`, the most popular
    first, and `facts` are those whose values are among the texts: answers, favourite brands.
    """

    keys: tuple[str, ...]
    order: npt.NDArray[np.int32]
    groups: tuple[str, ...] = ()
    tops: tuple[npt.NDArray[np.int32], ...] = ()
    near: Mapping[str, Nearest] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    text_starts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    text_contents: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    facts: tuple[str, ...] = ()

    @cached_property
    def places(self) -> dict[str, int]:
        """{content key: its position}"""
        return {key: place for place, key in enumerate(self.keys)}

    @cached_property
    def _groups(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.groups)}

    @cached_property
    def _texts(self) -> dict[str, int]:
        return {text: place for place, text in enumerate(self.texts)}

    def answered(self, facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """(fact, text) of the customer's facts whose value is a text of contents, however it is spelt in capitals."""
        found = []
        for name in self.facts:
            value = facts.get(name)
            for one in (value,) if isinstance(value, str) else value if isinstance(value, list | tuple) else ():
                if isinstance(one, str) and one.casefold() in self._texts:
                    found.append((name, one))
        return tuple(found[:MOST_ANSWERS])

    def choose(self, lists: Sequence[str], start: Start, here: Marks, popular: Positions, fewest: int) -> Positions:
        """At most 500 positions, the best first: of contents marked in `here`, by the lists together.

        `popular` are positions marked in `here` in order of popularity. They stand for everybody's list, and fill up to
        `fewest` where lists give less. What the customer is looking at, or has in the basket, is left out.

        Lists are merged by reciprocal ranks: a content has Σ 1 / (60 + its rank in each list) (Cormack 2009).
        """
        ranked = [self._list(name, start, here, popular) for name in lists]
        found = merged([one for several in ranked for one in several])
        if start.now:
            found = found[~np.isin(found, start.now)]
        if len(found) < fewest:
            rest = popular[~np.isin(popular, (*found.tolist(), *start.now))]
            found = np.concatenate([found, rest[: fewest - len(found)]])
        return found[:MOST]

    def _list(self, name: str, start: Start, here: Marks, popular: Positions) -> list[Positions]:
        """A list's contents here, the best first; one of each group, where the customer is in several."""
        if name == POPULAR:
            tops = [self.tops[self._groups[one]] for one in start.groups if one in self._groups]
            return [*(top[here[top]] for top in tops[:MOST_GROUPS]), popular[:MOST]]
        if name == ANSWERS:
            return [mine[here[mine]] for mine in (self._with(text) for _, text in start.texts)]
        nearest = self.near.get(name)
        seeds = start.seeds(name) if nearest is not None else ()
        if nearest is None or not seeds:
            return []
        parts = [nearest.of(seed) for seed in seeds]
        others = np.concatenate([nearest.others[part] for part in parts])
        scores = np.concatenate([nearest.scores[part] * LATER**age for age, part in enumerate(parts)])
        kept = here[others]
        return [summed(others[kept], scores[kept])[:LONGEST]]

    def _with(self, text: str) -> Positions:
        place = self._texts[text.casefold()]
        return self.text_contents[self.text_starts[place] : self.text_starts[place + 1]]

    def why(self, place: int, lists: Sequence[str], start: Start, names: Mapping[int, str]) -> str:
        """By which of the lists a content came, in words; nothing where by none. `names` are what seeds are called."""
        for name in sorted(lists, key=(TOGETHER, UPSELL, PEOPLE, TASTES, ALIKE, ANSWERS, POPULAR).index):
            if told := self._why(name, place, start, names):
                return told
        return ""

    def _why(self, name: str, place: int, start: Start, names: Mapping[int, str]) -> str:
        if name == POPULAR:
            found = [one for one in start.groups if one in self._groups and place in self.tops[self._groups[one]]]
            return f"popular among {found[0]}" if found else ""
        if name == ANSWERS:
            texts = [(fact, text) for fact, text in start.texts if place in self._with(text)]
            return f"fits {texts[0][0]}: {texts[0][1]}" if texts else ""
        nearest = self.near.get(name)
        if nearest is not None:
            for seed in start.seeds(name):
                if place in nearest.others[nearest.of(seed)]:
                    return WORDS[name].format(names.get(seed, self.keys[seed]))
        return ""

    def to_artefact(self) -> bytes:
        """The bytes (see `packing`); the same lists give the same."""
        ends = np.cumsum([0, *map(len, self.tops)])
        tops = np.concatenate([*self.tops, np.empty(0, np.int32)]).astype(np.int32)
        arrays = {"order": self.order, "top_ends": ends, "tops": tops}
        arrays |= {"text_starts": self.text_starts, "text_contents": self.text_contents}
        for name, one in self.near.items():
            arrays |= {f"{name}_starts": one.starts, f"{name}_others": one.others, f"{name}_scores": one.scores}
        text = {"keys": self.keys, "groups": self.groups, "texts": self.texts, "facts": self.facts}
        return packed(KIND, {**text, "near": sorted(self.near)}, arrays)

    @classmethod
    def from_artefact(cls, data: bytes | mmap) -> "Recall":
        """Raises ValueError when the bytes are cut, altered or of another kind, or name contents there are not."""
        text, arrays = unpacked(KIND, data)
        try:
            ends = arrays["top_ends"]
            tops = tuple(arrays["tops"][a:b] for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
            near = {name: Nearest(*(arrays[f"{name}_{part}"] for part in PARTS)) for name in text["near"]}
            keys, groups, texts, facts = (tuple(text[name]) for name in ("keys", "groups", "texts", "facts"))
        except KeyError as error:
            raise ValueError(f"the {KIND} are damaged: they lack {error}") from None
        with_texts = (texts, arrays["text_starts"], arrays["text_contents"], facts)
        found = cls(keys, arrays["order"], groups, tops, near, *with_texts)
        found._check(arrays["tops"])
        return found

    def _check(self, tops: npt.NDArray[np.int32]) -> None:
        size = len(self.keys)
        places = (self.order, tops, self.text_contents, *(one.others for one in self.near.values()))
        if any(len(one) and not 0 <= one.min() <= one.max() < size for one in places):
            raise ValueError(f"the {KIND} are damaged: they name contents that there are not")
        if len(self.order) != size or not all(one.fits(size) for one in self.near.values()):
            raise ValueError(f"the {KIND} are damaged: they are not of {size} contents")
        if len(self.text_starts) != len(self.texts) + 1 or len(self.tops) != len(self.groups):
            raise ValueError(f"the {KIND} are damaged: texts or groups are missing")


PARTS: Final = ("starts", "others", "scores")


def summed(places: Positions, scores: npt.NDArray[Any]) -> Positions:
    """The different positions by the sum of their scores, the greatest first; equal ones by position."""
    if not len(places):
        return places
    # Positions with where they stood, in one number: faster than np.unique with its inverse, and sums of equal
    # positions are always made in the same order, whatever the processor.
    both = (places.astype(np.int64) << BITS) | COUNTED[: len(places)]
    both.sort()
    ordered = (both >> BITS).astype(np.int32)
    first = np.flatnonzero(np.concatenate([ALWAYS, ordered[1:] != ordered[:-1]]))
    sums = np.add.reduceat(scores[both & ((1 << BITS) - 1)], first)
    return ordered[first][(COUNTED[: len(first)] * LEAST - sums).argsort()]


def merged(ranked: Sequence[Positions]) -> Positions:
    """Ordered lists as one, by the sum of their reciprocal ranks."""
    if not ranked:
        return np.empty(0, np.int32)
    ranks = [RECIPROCAL[: len(one)] for one in ranked]
    return summed(np.concatenate(ranked), np.concatenate(ranks))
