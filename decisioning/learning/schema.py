"""Names and kinds of features come in; an ordered, hashed description of a matrix's columns comes out."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Self

from decisioning.learning.similarity import Space
from decisioning.learning.standing import Standing

SOURCES: Final = ("fact", "context", "content", "cross", "rate", "likeness", "association", "position")
MOST_LEVELS: Final = 50
CLICKED: Final = "clicked_contents"  # the fact that lists the contents (keys) a customer clicked last, newest first
CYCLES: Final = ("sine", "cosine")


@dataclass(frozen=True)
class Column:
    """One column of the matrix.

    `source` "fact" reads the customer's fact `key`, "content" the content's attribute `key`. `kind` is
    "number" (booleans count as 0 and 1) or "category": the position in `levels`, missing where unseen.
    "context" reads a fact `key` of the moment; kind "sine" or "cosine" turns `period` of its units into a circle.
    "cross" is the sum over x of the content's share in x times the customer's fact for x; the attribute `key`
    maps x to the share, `weights` are the pairs (x, fact). It is missing when every such fact is.
    "rate" is how often an `outcome` ("click" or "conversion") followed a showing before the moment, of the content
    itself (`key` "") or of those with its texts of the attribute `key`: in the last of `windows` (days, 0 all), drawn
    towards the rate in the window before it with that one's of `strengths` (showings). "likeness" is the cosine between
    the content and what the customer clicked last, by all its texts (`key` "") or those of one attribute. "association"
    is how near a candidate list `key` has the content to what was clicked last (see `associations`). "position" is the
    place in the slate, counted from 1, at which it was shown; 1 for everything while serving.
    """

    name: str
    source: str
    key: str
    kind: str = "number"
    levels: tuple[str, ...] = ()
    weights: tuple[tuple[str, str], ...] = ()
    outcome: str = ""
    windows: tuple[int, ...] = ()
    strengths: tuple[float, ...] = ()
    period: float = 0.0

    @cached_property
    def codes(self) -> dict[str, float]:
        """{level: its number}"""
        return {level: float(position) for position, level in enumerate(self.levels)}


# What columns did not have at first; left out where it is not used, so that hashes of old schemas stay.
LATER: Final = {"outcome": "", "windows": (), "strengths": (), "period": 0.0}


class FeatureSchema:
    """The columns in the order of their sources: facts, context, contents, crosses and what follows.

    `standing` holds the numbers that rates, likeness and associations are computed from while serving; what columns
    mean does not hang on it, so it is no part of the hash. Raises `ValueError` when names repeat or the order is
    another.
    """

    def __init__(self, columns: Iterable[Column], standing: Standing | None = None) -> None:
        self.columns = tuple(columns)
        self.standing = Standing() if standing is None else standing
        order = [SOURCES.index(column.source) for column in self.columns]
        if order != sorted(order):
            raise ValueError(f"Order the features by source: {', '.join(SOURCES)}.")
        self.by_source = {s: tuple(c for c in self.columns if c.source == s) for s in SOURCES}
        if len(set(self.names)) < len(self.columns):
            raise ValueError("Two features have the same name; rename one of them.")

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def of(self, source: str) -> tuple[Column, ...]:
        """The columns of one source, in order."""
        return self.by_source[source]

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over everything that decides what a column means."""
        columns = {"columns": [_stored(column) for column in self.columns]}
        return hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()

    @cached_property
    def cross_facts(self) -> tuple[str, ...]:
        """Every fact that a cross multiplies with, once."""
        return tuple(dict.fromkeys(fact for column in self.of("cross") for _, fact in column.weights))

    @cached_property
    def fact_columns(self) -> tuple[Column, ...]:
        """What is read from a customer and the moment: facts, context, then the facts of the crosses."""
        return self.own_columns + tuple(Column(fact, "fact", fact) for fact in self.cross_facts)

    @cached_property
    def own_columns(self) -> tuple[Column, ...]:
        """The columns that are the same for all contents."""
        return self.of("fact") + self.of("context")

    @cached_property
    def traits(self) -> tuple[str, ...]:
        """The attributes whose texts are read, for rates or likeness."""
        return tuple(sorted({*self.standing.rarity, *(column.key for column in self.of("rate") if column.key)}))

    @cached_property
    def space(self) -> Space:
        """Where likeness is measured."""
        return Space([c.key for c in self.of("likeness")], self.standing.rarity, self.standing.traits)

    @cached_property
    def associations(self) -> tuple[str, ...]:
        """The lists that associations are read from."""
        return tuple(column.key for column in self.of("association"))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives an equal schema back."""
        found: dict[str, Any] = {"columns": [_stored(column) for column in self.columns]}
        return found | {"standing": self.standing.to_dict()} if self.standing else found

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Raises `ValueError` when the dictionary is no schema."""
        try:
            standing = Standing.from_dict(stored["standing"]) if "standing" in stored else None
            return cls((column_from(entry) for entry in stored["columns"]), standing)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"This is no feature schema ({error!r}); train the scorer again.") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureSchema) and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.columns)


def _stored(column: Column) -> dict[str, Any]:
    return {name: value for name, value in asdict(column).items() if value != LATER.get(name, None)}


def column_from(entry: Mapping[str, Any]) -> Column:
    """The column that a schema stored."""
    lists: dict[str, Any] = {name: tuple(entry.get(name, ())) for name in ("levels", "windows", "strengths")}
    weights = tuple((value, fact) for value, fact in entry["weights"])
    return Column(**{**entry, **lists, "weights": weights})


def ordered_levels(values: Iterable[object]) -> tuple[str, ...]:
    """The different texts, by the first number in them and then by name, so that bands keep their order.

    At most `MOST_LEVELS`, the most frequent ones; what is left out is scored as missing.
    """
    counts: dict[str, int] = {}
    for value in values:
        if isinstance(value, str):
            counts[value] = counts.get(value, 0) + 1
    kept = sorted(counts, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
    return tuple(sorted(kept, key=first_number))


def first_number(level: str) -> tuple[float, str]:
    found = re.search(r"\d+", level)
    return (float(found[0]) if found else -1.0, level)
