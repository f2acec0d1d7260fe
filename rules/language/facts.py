"""Comes in: what a site knows about its customers. Goes out: the catalogue that names, types and suggestions
come from.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

TYPES = ("text", "number", "boolean", "date", "text_list", "number_list", "version")


@dataclass(frozen=True, slots=True)
class Fact:
    """One named, typed value about a customer; `values` are the ones worth suggesting."""

    name: str
    type: str
    label: str = ""
    description: str = ""
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"Fact {self.name!r} has the type {self.type!r}; take one of {', '.join(TYPES)}.")


BUILT_IN = (
    Fact("customer_id", "text", "Customer", "The customer's id."),
    Fact("segments", "text_list", "Segments", "The keys of the segments the customer is in."),
    Fact("customer_segment", "text_list", "Segment", "Another name for segments."),
    Fact(
        "recent_purchase_in_category",
        "text_list",
        "Recent purchases",
        "Categories bought from in the last 30 days.",
    ),
)


def built_in() -> dict[str, Fact]:
    """The facts every site has, by name."""
    return {fact.name: fact for fact in BUILT_IN}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a rule may name. `None` instead of a set or mapping means: not checked.

    `events` maps an event's name to the facts its properties are; `attributes` are the content attributes a
    `WHERE` target may ask for.
    """

    facts: Mapping[str, Fact] = field(default_factory=built_in)
    segments: Set[str] | None = None
    contents: Set[str] | None = None
    tags: Set[str] | None = None
    campaigns: Set[str] | None = None
    events: Mapping[str, Mapping[str, Fact] | None] | None = None
    attributes: Mapping[str, Fact] | None = None
