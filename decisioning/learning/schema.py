"""Names and kinds of features come in; an ordered, hashed description of a matrix's columns comes out."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Self

SOURCES: Final = ("fact", "content", "cross")
MOST_LEVELS: Final = 50


@dataclass(frozen=True)
class Column:
    """One column of the matrix.

    `source` "fact" reads the customer's fact `key`, "content" the content's attribute `key`. `kind` is
    "number" (booleans count as 0 and 1) or "category": the position in `levels`, missing where unseen.
    "cross" is the sum over x of the content's share in x times the customer's fact for x; the attribute `key`
    maps x to the share, `weights` are the pairs (x, fact). It is missing when every such fact is.
    """

    name: str
    source: str
    key: str
    kind: str = "number"
    levels: tuple[str, ...] = ()
    weights: tuple[tuple[str, str], ...] = ()

    @cached_property
    def codes(self) -> dict[str, float]:
        """{level: its number}"""
        return {level: float(position) for position, level in enumerate(self.levels)}


class FeatureSchema:
    """The columns in their order: facts, then contents, then crosses.

    Raises `ValueError` when names repeat or the order is another.
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = tuple(columns)
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
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def cross_facts(self) -> tuple[str, ...]:
        """Every fact that a cross multiplies with, once."""
        return tuple(dict.fromkeys(fact for column in self.of("cross") for _, fact in column.weights))

    @cached_property
    def fact_columns(self) -> tuple[Column, ...]:
        """What is read from a customer: the fact columns, then the facts of the crosses."""
        return self.of("fact") + tuple(Column(fact, "fact", fact) for fact in self.cross_facts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives an equal schema back."""
        return {"columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Raises `ValueError` when the dictionary is no schema."""
        try:
            return cls(column_from(entry) for entry in stored["columns"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"This is no feature schema ({error!r}); train the scorer again.") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureSchema) and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.columns)


def column_from(entry: Mapping[str, Any]) -> Column:
    weights = tuple((value, fact) for value, fact in entry["weights"])
    return Column(**{**entry, "levels": tuple(entry["levels"]), "weights": weights})


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
