"""How often each content was shown and what followed, by window, comes in; its rates while serving come out.

This is what point-in-time features (`rates`, `similarity`) are at the moment of training: it travels with a scorer, so
that a live decision sees the numbers that a training row of this moment would have.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

from decisioning.learning.associations import Associations
from decisioning.learning.traits import Traits

if TYPE_CHECKING:
    from decisioning.learning.schema import Column

SHOWN: Final = "shown"
START: Final = (1.0, 20.0)  # successes and showings that every log begins with, so that its first rates mean something
Counts = Mapping[str, Mapping[int, Mapping[str, int]]]
"""{"shown" or an outcome: {days, 0 all: {content key: how often}}}"""


@dataclass(frozen=True)
class Standing:
    """Counts of contents by window, their texts by attribute, how rare each is, and what is near them.

    See `rates`, `similarity` and `associations`.
    """

    counts: Counts = field(default_factory=dict)
    traits: Mapping[str, Traits] = field(default_factory=dict)
    rarity: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    near: Associations = field(default_factory=lambda: Associations((), {}), compare=False)

    def __bool__(self) -> bool:
        return bool(self.counts or self.traits or self.near.keys)

    def rates(self, columns: Sequence["Column"], key: str, traits: Traits) -> list[float]:
        """A content's value in each rate column; missing (NaN) where it has no text of the attribute."""
        return [self.rate(column, (key,) if not column.key else traits.get(column.key, ())) for column in columns]

    def rate(self, column: "Column", names: Sequence[str]) -> float:
        """The mean of the smoothed rates of these contents or texts."""
        if not names:
            return float("nan")
        shown, happened = self.sums[column.key, SHOWN], self.sums[column.key, column.outcome]
        start, found = overall(self.totals[SHOWN], self.totals[column.outcome]), 0.0
        for name in names:
            rate = start
            for days, strength in zip(column.windows, column.strengths, strict=True):
                successes, trials = happened.get((days, name), 0), shown.get((days, name), 0)
                rate = (successes + strength * rate) / (trials + strength)
            found += rate
        return found / len(names)

    @cached_property
    def totals(self) -> Mapping[str, int]:
        """{what: how often, of all contents}"""
        return defaultdict(int, {what: sum(windows.get(0, {}).values()) for what, windows in self.counts.items()})

    @cached_property
    def sums(self) -> Mapping[tuple[str, str], Mapping[tuple[int, str], int]]:
        """{(attribute or "", what): {(days, text or content key): how often}}"""
        found: dict[tuple[str, str], dict[tuple[int, str], int]] = defaultdict(lambda: defaultdict(int))
        for what, windows in self.counts.items():
            for days, contents in windows.items():
                for key, count in contents.items():
                    found["", what][days, key] += count
                    for attribute, texts in self.traits.get(key, {}).items():
                        for text in texts:
                            found[attribute, what][days, text] += count
        return defaultdict(dict, found)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives an equal one back."""
        near = {"near": self.near.to_dict()} if self.near.keys else {}
        return near | {
            "counts": {
                what: {str(days): dict(sorted(found.items())) for days, found in windows.items()}
                for what, windows in self.counts.items()
            },
            "traits": {
                key: {name: list(texts) for name, texts in traits.items()} for key, traits in self.traits.items()
            },
            "rarity": {attribute: dict(found) for attribute, found in self.rarity.items()},
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(
            {
                what: {int(days): dict(found) for days, found in windows.items()}
                for what, windows in stored["counts"].items()
            },
            {key: {name: tuple(texts) for name, texts in found.items()} for key, found in stored["traits"].items()},
            {attribute: dict(found) for attribute, found in stored["rarity"].items()},
            Associations.from_dict(stored.get("near", {"keys": (), "lists": {}})),
        )


def overall(shown: Any, happened: Any) -> Any:
    """The rate of all contents together, from numbers or arrays of them."""
    return (happened + START[0]) / (shown + START[1])
