"""Frames of events and customers come in; the open-ended names that facts are made for come out, small and
storable.

Departments, traits and event names differ from shop to shop, and quintile edges from month to month. They
are learned now and then from everybody, stored as JSON, and handed to every fact computation, so that one
customer's facts are cut by the same measure as everybody's.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

import polars as pl

TYPES: Final = {bool: "boolean", int: "number", float: "number", str: "text", list: "text_list"}
MOST_DEPARTMENTS: Final = 20
TOLD: Final = "identify"
MOST_EVENTS: Final = 30
MOST_TRAITS: Final = 60
RECENT_WINDOWS: Final = (7, 30, 90)
"""Windows (days) with edges of their own; `frequency` and `monetary` themselves are of the last 365 days."""
SMALLEST_SHARE: Final = 0.002  # of all spend; a department below is no fact of its own


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names and edges the built-in facts are made from. `traits` are pairs (name, type).

    `recency`, `frequency`, `monetary` are the four rising edges between fifths of customers with orders; those of a
    shorter window are between fifths of customers with orders in it.
    Hours and days are counted in `time_zone` (an IANA name).
    """

    departments: tuple[str, ...] = ()
    traits: tuple[tuple[str, str], ...] = ()
    event_names: tuple[str, ...] = ()
    recency: tuple[float, ...] = field(default=())
    frequency: tuple[float, ...] = field(default=())
    monetary: tuple[float, ...] = field(default=())
    time_zone: str = "UTC"
    frequency_7d: tuple[float, ...] = ()
    frequency_30d: tuple[float, ...] = ()
    frequency_90d: tuple[float, ...] = ()
    monetary_7d: tuple[float, ...] = ()
    monetary_30d: tuple[float, ...] = ()
    monetary_90d: tuple[float, ...] = ()
    digest: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        # Caches look vocabularies up for every customer; their many names are digested once.
        told = tuple(getattr(self, one.name) for one in fields(self) if one.name != "digest")
        object.__setattr__(self, "digest", hash(told))

    def __hash__(self) -> int:
        return self.digest

    def recent(self, name: str, days: int) -> tuple[float, ...]:
        """The edges of `frequency` or `monetary` in one of `RECENT_WINDOWS`; none before they were learned."""
        edges: tuple[float, ...] = getattr(self, f"{name}_{days}d")
        return edges

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives an equal vocabulary back."""
        return {name: value for name, value in asdict(self).items() if name != "digest"}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """What was stored before a field was known is taken without it. Raises `TypeError` on unknown keys."""
        lists = {key: tuple(value) for key, value in stored.items() if key not in ("traits", "time_zone")}
        traits = tuple((name, kind) for name, kind in stored.get("traits", ()))
        return cls(**lists, traits=traits, time_zone=stored.get("time_zone", "UTC"))


def slug(text: str) -> str:
    """A name for a fact: lower case letters, digits and single underscores."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "other"


def main_departments(lines: pl.DataFrame) -> tuple[str, ...]:
    """The departments with most spend, by falling spend; of two with the same slug the larger one stays.

    `lines` has department and amount, one row a product line.
    """
    totals = (
        lines.drop_nulls("department")
        .group_by("department")
        .agg(pl.col("amount").sum().round(2))
        .sort("amount", "department", descending=[True, False])
    )
    floor = SMALLEST_SHARE * max(float(totals["amount"].sum()), 0.01)
    kept: dict[str, str] = {}
    for department, amount in totals.iter_rows():
        if amount >= floor:
            kept.setdefault(slug(department), department)
    return tuple(kept.values())[:MOST_DEPARTMENTS]


def frequent_events(names: pl.Series) -> tuple[str, ...]:
    """The most frequent event names; equally frequent ones are ordered by name.

    What is told of somebody (identify) is nothing that happened, and the product itself tells much.
    """
    counts = names.filter(names != TOLD).value_counts(sort=False, name="events")
    ordered = counts.sort("events", names.name, descending=[True, False])
    return tuple(ordered[names.name].head(MOST_EVENTS))


def trait_types(traits: Iterable[str | None]) -> tuple[tuple[str, str], ...]:
    """Pairs (trait, type) of the most frequent traits, by name; the type is that of most values."""
    seen: dict[str, Counter[str]] = {}
    for text in traits:
        for name, value in json.loads(text or "{}").items():
            if type(value) in TYPES:
                seen.setdefault(name, Counter())[TYPES[type(value)]] += 1
    common = sorted(seen, key=lambda name: (-seen[name].total(), name))[:MOST_TRAITS]
    return tuple((name, min(seen[name], key=lambda kind: (-seen[name][kind], kind))) for name in sorted(common))


def quintile_edges(values: pl.Series) -> tuple[float, ...]:
    """The four edges between fifths; none for an empty series."""
    known = values.drop_nulls().drop_nans()
    if known.is_empty():
        return ()
    edges = [known.quantile(q, interpolation="linear") for q in (0.2, 0.4, 0.6, 0.8)]
    return tuple(round(edge, 6) for edge in edges if edge is not None)
