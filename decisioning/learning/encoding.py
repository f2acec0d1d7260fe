"""Contents come in; what a schema reads of each, as numbers, comes out. Never an error, whatever was stored."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from decisioning.learning.associations import UNKNOWN
from decisioning.learning.schema import CYCLES, Column, FeatureSchema
from decisioning.learning.similarity import Vector
from decisioning.learning.traits import traits_of

Facts = Mapping[str, Any]
MISSING: Final = math.nan
LARGEST: Final = 1e15
DIGITS: Final = 6  # what is computed is rounded, so that no order of summation can show


class Content(Protocol):
    """What is read of a content: its key and its attributes."""

    @property
    def key(self) -> str: ...

    @property
    def attributes(self) -> Mapping[str, Any]: ...


class Encoded(NamedTuple):
    """One content as a schema reads it: values, shares for the crosses, rates as they stand, texts, and place."""

    attributes: Mapping[str, Any]
    values: npt.NDArray[np.float64]
    crosses: npt.NDArray[np.float64]
    rates: npt.NDArray[np.float64]
    vectors: tuple[Vector, ...]
    place: int


class ContentBlock:
    """Contents encoded for a schema: `values` (contents, columns), `crosses` (crosses, contents, facts), `rates`
    (contents, rates) as they stand, `vectors` a content (see `similarity`), `places` int64 (see `associations`).

    `kept` remembers what a content's attributes were encoded to, by key, for as long as they are the same
    object; hand in the same dictionary again and only new contents cost anything.
    """

    def __init__(
        self, schema: FeatureSchema, contents: Sequence[Content], kept: dict[str, Encoded] | None = None
    ) -> None:
        memory = {} if kept is None else kept
        self.values = np.empty((len(contents), len(schema.of("content"))))
        self.crosses = np.empty((len(schema.of("cross")), len(contents), len(schema.cross_facts)))
        self.rates = np.empty((len(contents), len(schema.of("rate"))))
        self.vectors: list[tuple[Vector, ...]] = []
        self.places = np.empty(len(contents), np.int64)
        for row, content in enumerate(contents):
            found = memory.get(content.key)
            if found is None or found.attributes is not content.attributes:
                found = memory[content.key] = encode_content(schema, content)
            self.values[row], self.crosses[:, row], self.rates[row] = found.values, found.crosses, found.rates
            self.vectors.append(found.vectors)
            self.places[row] = found.place

    def __len__(self) -> int:
        return len(self.values)


def encode_content(schema: FeatureSchema, content: Content) -> Encoded:
    """A content for a schema."""
    attributes = content.attributes
    values = [read(column, attributes) for column in schema.of("content")]
    crosses = [cross_weights(column, attributes, schema.cross_facts) for column in schema.of("cross")]
    shape = (len(crosses), len(schema.cross_facts))
    traits = traits_of(content, schema.traits)
    rates = schema.standing.rates(schema.of("rate"), content.key, traits)
    return Encoded(
        attributes,
        np.array(values, np.float64),
        np.array(crosses, np.float64).reshape(shape),
        np.array(rates, np.float64),
        schema.space.vectors(traits),
        schema.standing.near.places.get(content.key, UNKNOWN),
    )


def cross_weights(column: Column, attributes: Facts, facts: Sequence[str]) -> list[float]:
    """The content's share for each of the facts; 0 where the content has none."""
    found = attributes.get(column.key)
    shares = found if isinstance(found, Mapping) else {}
    weights = dict.fromkeys(facts, 0.0)
    for value, fact in column.weights:
        share = number(shares.get(value))
        weights[fact] += 0.0 if math.isnan(share) else share
    return list(weights.values())


def read(column: Column, values: Facts) -> float:
    value = values.get(column.key)
    if column.kind == "category":
        return column.codes.get(value, MISSING) if isinstance(value, str) else MISSING
    found = number(value)
    return float(circle(column, found)) if column.kind in CYCLES else found


def circle(column: Column, value: Any) -> Any:
    """Where numbers (one, or an array) lie on a circle: 23 and 0 hours are neighbours."""
    angle = 2 * math.pi * value / column.period
    return (np.sin(angle) if column.kind == "sine" else np.cos(angle)).round(DIGITS)


def number(value: object) -> float:
    """A number a float32 product can hold, or NaN: never an error, whatever was stored."""
    if not isinstance(value, int | float):
        return MISSING
    try:
        found = float(value)
    except OverflowError:
        return MISSING
    return found if abs(found) <= LARGEST else MISSING
