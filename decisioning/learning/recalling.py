"""Touches, contents and customers' answers as of a moment come in; candidate lists, and how good they are, come out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from decisioning.learning.asof import Ints
from decisioning.learning.evaluation import Estimate
from decisioning.learning.factors import by_taste
from decisioning.learning.nearest import NEAREST, Nearest
from decisioning.learning.popularity import MOST as MOST_OF_GROUP
from decisioning.learning.popularity import Popularity, popularity
from decisioning.learning.recall import ALIKE, MOST, NEAR, PEOPLE, POPULAR, TASTES, TOGETHER, UPSELL, Recall, Start
from decisioning.learning.resampling import Sums, ratio
from decisioning.learning.together import by_orders, by_people
from decisioning.learning.touches import Touches, none
from decisioning.learning.traits import telling, traits_of
from decisioning.learning.upsell import WIDER, Sold, by_texts, cut, earnings, that_earn_more

SEED: Final = 20
ANSWERING: Final = 0.5  # of a fact's different values are texts of contents, where it is an answer
FEW: Final = 20  # contents that are few enough to be looked through by a person
ALL: Final = "all"
MOST_TRIED: Final = 2_000  # customers
Values = Mapping[str, Iterable[str]]


def learn(touches: Touches, contents: Sequence[Sold], values: Values, moment: int, seed: int = SEED) -> Recall:
    """The lists as of a moment (µs): no touch at or after it counts. `contents` are in the order of their positions.

    `values` are different values of facts that are text, by the fact's name; those facts whose values are mostly texts
    of contents (a favourite genre, what somebody answered when they came) lead to contents with these texts.
    """
    known = touches.before(moment)
    popular = popularity(known, moment)
    tie = popular.shares / max(float(popular.shares.max(initial=0.0)), 1e-12)
    wide = by_texts(contents, tie, WIDER * NEAREST)
    people = by_people(known, tie)
    near = {
        TASTES: by_taste(known, tie, seed),
        PEOPLE: people,
        ALIKE: cut(wide),
        TOGETHER: by_orders(known, tie),
        UPSELL: that_earn_more(wide, people, earnings(contents), tie),
    }
    return _with_texts(contents, popular, near, values)


def _with_texts(contents: Sequence[Sold], popular: Popularity, near: Mapping[str, Nearest], values: Values) -> Recall:
    by_text: dict[str, set[int]] = {}
    names = telling(contents)
    for place, content in enumerate(contents):
        for told in traits_of(content, names).values():
            for text in told:
                by_text.setdefault(text.casefold(), set()).add(place)
    rank = np.empty(len(contents), np.int64)
    rank[popular.order] = np.arange(len(contents))
    texts = sorted(by_text)
    listed = [sorted(by_text[text], key=rank.__getitem__)[:MOST_OF_GROUP] for text in texts]
    return Recall(
        tuple(content.key for content in contents),
        popular.order,
        popular.names,
        popular.tops,
        near,
        tuple(texts),
        np.cumsum([0, *map(len, listed)]),
        np.array([place for one in listed for place in one], np.int32),
        tuple(sorted(name for name, given in values.items() if _answers(given, by_text.keys()))),
    )


def _answers(given: Iterable[str], texts: Iterable[str]) -> bool:
    different = {value.casefold() for value in given}
    return len(different & set(texts)) > 0 and len(different & set(texts)) >= ANSWERING * len(different)


@dataclass(frozen=True, slots=True)
class Found:
    """Of what customers touched next, the share that a list had found beforehand: among 20, and among 500.

    `covered` is the share of contents the list can lead to or from.
    """

    covered: float
    among_few: float
    among_all: float


@dataclass(frozen=True, slots=True)
class Trial:
    """Each list alone, and `all` together, on `customers` who touched something new in the last fifth of the time.

    `gains` are what all together found more than popularity alone, among 20 and among 500; none without customers.
    """

    customers: int = 0
    lists: Mapping[str, Found] = field(default_factory=dict)
    gains: tuple[Estimate, ...] = ()

    @property
    def refusal(self) -> str:
        """Why the lists had better not be used: they surely find less, both ways. Empty where they may."""
        if not self.gains or any(gain.high >= 0 for gain in self.gains):
            return ""
        few, many = (
            f"{100 * gain.value:+.1f} % [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]" for gain in self.gains
        )
        return (
            f"they find less of what customers touch next than popularity alone: {few} among {FEW}, {many} among {MOST}"
        )


def trial(touches: Touches, contents: Sequence[Sold], moment: int, seed: int = SEED) -> Trial:
    """Lists learned from the first four fifths, asked for what followed; what was touched before does not count again.

    Groups are left out: who is in them is known as of now only.
    """
    known = replace(touches.before(moment), names=(), rows=none(), groups=none())
    if not len(known.at):
        return Trial()
    split = int(np.quantile(known.at, 0.8, method="lower"))
    lists = learn(known, contents, {}, split, seed)
    cases = _cases(known, split)
    popular = lists.order
    here = np.ones(known.size, np.bool_)
    found, shares = {}, {}
    for name in (POPULAR, *NEAR, ALL):
        few, many = [], []
        for before, next_ones in cases:
            chosen = lists.choose((POPULAR, *NEAR) if name == ALL else (name,), Start(before=before), here, popular, 0)
            chosen = chosen[~np.isin(chosen, before)]
            few.append(np.isin(next_ones, chosen[:FEW]).mean())
            many.append(np.isin(next_ones, chosen).mean())
        found[name], shares[name] = Found(_covered(lists, name), _mean(few), _mean(many)), (few, many)
    pairs = zip(shares[ALL], shares[POPULAR], strict=True)
    gains = tuple(_gain(ours, theirs, np.random.default_rng(seed)) for ours, theirs in pairs) if cases else ()
    return Trial(len(cases), found, gains)


def _gain(ours: Sequence[float], theirs: Sequence[float], rng: np.random.Generator) -> Estimate:
    """The mean difference, customers resampled."""
    more = np.array(ours) - np.array(theirs)
    return Sums([more, np.ones(len(more))], np.arange(len(more)), rng).interval(ratio(0, 1))


def _covered(lists: Recall, name: str) -> float:
    size = len(lists.keys)
    if name in lists.near:
        return round(lists.near[name].covered / size, 4)
    return 1.0 if name == ALL else round(min(MOST / size, 1.0), 4)


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0


def _cases(touches: Touches, split: int) -> list[tuple[tuple[int, ...], Ints]]:
    """(the contents touched last before, the newest first; those new after) of customers who have both."""
    order = np.lexsort((touches.at, touches.customers))
    people = touches.customers[order]
    ends = np.flatnonzero(np.diff(people, append=people[-1:] + 1)) + 1
    cases = []
    start = 0
    for end in ends.tolist():
        mine = order[start:end]
        start = end
        old = touches.at[mine] < split
        before = tuple(dict.fromkeys(touches.contents[mine[old]][::-1].tolist()))
        after = np.setdiff1d(touches.contents[mine[~old]], before)
        if before and len(after):
            cases.append((before, after))
    return cases[:: max(1, len(cases) // MOST_TRIED)][:MOST_TRIED]
