"""Facts of customers and attributes of contents come in; float32 rows in a fixed column order come out.

A `FeatureSchema` names the columns once, at training. It travels with the scorer, and its hash is compared
at every scoring, because a tree ensemble fed with reordered columns answers wrongly without a word.

One customer's mapping of facts and a frame of everybody's take the same path, so training, nightly scoring
and a live decision see the same numbers.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.schema import Column, FeatureSchema, ordered_levels

Matrix = npt.NDArray[np.float32]
Facts = Mapping[str, Any]
MISSING: Final = math.nan
LARGEST: Final = 1e15
DIGITS: Final = 6  # crosses are rounded, so that no order of summation can show


class Content(Protocol):
    """What is read of a content: its key and its attributes."""

    @property
    def key(self) -> str: ...

    @property
    def attributes(self) -> Mapping[str, Any]: ...


Encoded = tuple[Mapping[str, Any], npt.NDArray[np.float64], npt.NDArray[np.float64]]


class ContentBlock:
    """Contents encoded for a schema: `values` (contents, columns) and `crosses` (crosses, contents, facts).

    `kept` remembers what a content's attributes were encoded to, by key, for as long as they are the same
    object; hand in the same dictionary again and only new contents cost anything.
    """

    def __init__(
        self, schema: FeatureSchema, contents: Sequence[Content], kept: dict[str, Encoded] | None = None
    ) -> None:
        memory = {} if kept is None else kept
        self.values = np.empty((len(contents), len(schema.of("content"))))
        self.crosses = np.empty((len(schema.of("cross")), len(contents), len(schema.cross_facts)))
        for row, content in enumerate(contents):
            found = memory.get(content.key)
            if found is None or found[0] is not content.attributes:
                found = memory[content.key] = encode_content(schema, content.attributes)
            self.values[row], self.crosses[:, row] = found[1], found[2]

    def __len__(self) -> int:
        return len(self.values)


def encode_content(schema: FeatureSchema, attributes: Mapping[str, Any]) -> Encoded:
    values = [read(column, attributes) for column in schema.of("content")]
    crosses = [cross_weights(column, attributes, schema.cross_facts) for column in schema.of("cross")]
    shape = (len(crosses), len(schema.cross_facts))
    return attributes, np.array(values, np.float64), np.array(crosses, np.float64).reshape(shape)


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
    return number(value)


def number(value: object) -> float:
    """A number a float32 product can hold, or NaN: never an error, whatever was stored."""
    if not isinstance(value, int | float):
        return MISSING
    try:
        found = float(value)
    except OverflowError:
        return MISSING
    return found if abs(found) <= LARGEST else MISSING


def encode_facts(schema: FeatureSchema, facts: Facts | Sequence[Facts] | pl.DataFrame) -> npt.NDArray[np.float64]:
    """(customers, fact columns and then facts of crosses): numbers, category codes, NaN for what is missing.

    A frame may lack columns that nobody has a value for.
    """
    if isinstance(facts, pl.DataFrame):
        columns = [from_frame(facts, column) for column in schema.fact_columns]
        return np.column_stack(columns) if columns else np.empty((facts.height, 0))
    rows = [facts] if isinstance(facts, Mapping) else facts
    encoded = [[read(column, row) for column in schema.fact_columns] for row in rows]
    return np.array(encoded, np.float64).reshape(len(rows), len(schema.fact_columns))


def from_frame(frame: pl.DataFrame, column: Column) -> npt.NDArray[np.float64]:
    """One column of everybody's facts, encoded as `read` encodes one value."""
    if column.key not in frame.columns:
        return np.full(frame.height, np.nan)
    series = frame[column.key]
    if column.kind == "category":
        if series.dtype != pl.String:
            return np.full(frame.height, np.nan)
        return series.replace_strict(column.codes, default=None, return_dtype=pl.Float64).to_numpy()
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        return np.full(frame.height, np.nan)
    values = series.cast(pl.Float64).to_numpy()
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def design_matrix(
    schema: FeatureSchema,
    facts: Facts | Sequence[Facts] | pl.DataFrame,
    contents: Sequence[Content] | ContentBlock,
) -> Matrix:
    """Every customer with every content: float32 rows, the contents of the first customer first.

    `facts` is one customer's mapping, a sequence of such, or a frame with a row a customer.
    """
    block = contents if isinstance(contents, ContentBlock) else ContentBlock(schema, contents)
    encoded = encode_facts(schema, facts)
    customers, size = len(encoded), len(block)
    own = len(schema.of("fact"))
    rows = np.empty((customers, size, len(schema.columns)), np.float32)
    rows[:, :, :own] = encoded[:, None, :own]
    rows[:, :, own : own + block.values.shape[1]] = block.values
    rows[:, :, own + block.values.shape[1] :] = crossed(encoded[:, own:], block.crosses)
    return rows.reshape(customers * size, len(schema.columns))


def crossed(facts: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(customers, contents, crosses) from (customers, facts) and (crosses, contents, facts)."""
    known = ~np.isnan(facts)
    sums = np.einsum("af,kcf->ack", np.where(known, facts, 0.0), weights)
    sums[~known.any(axis=1)] = np.nan
    return sums.round(DIGITS)


def paired_matrix(
    schema: FeatureSchema,
    facts: Sequence[Facts] | pl.DataFrame,
    contents: Sequence[Content],
    which: Sequence[int],
) -> Matrix:
    """One row a pair: the i-th facts with the content at position `which[i]`. For training rows."""
    block, encoded, own = ContentBlock(schema, contents), encode_facts(schema, facts), len(schema.of("fact"))
    chosen = np.asarray(which, np.int64)
    filled = np.where(np.isnan(encoded[:, own:]), 0.0, encoded[:, own:])
    sums = np.einsum("nf,knf->nk", filled, block.crosses[:, chosen]).round(DIGITS)
    sums[np.isnan(encoded[:, own:]).all(axis=1)] = np.nan
    return np.hstack([encoded[:, :own], block.values[chosen], sums]).astype(np.float32)


def learn_schema(
    kinds: Mapping[str, str],
    facts: Sequence[Facts] | pl.DataFrame,
    contents: Sequence[Content],
    crosses: Mapping[str, Mapping[str, str]],
) -> FeatureSchema:
    """The schema for training rows: each fact of `kinds`, plain attribute of the contents, and cross.

    `kinds` is {fact: "number" or "category"}; `crosses` is {attribute holding shares: {value: fact}}, for
    example {"departments": {"Grocery": "share_grocery"}}. Category levels are those seen in the rows.
    """
    columns = [
        Column(name, "fact", name, kind, ordered_levels(fact_values(facts, name)) if kind == "category" else ())
        for name, kind in kinds.items()
    ]
    columns += content_columns(contents)
    columns += [
        Column(f"share_in_{attribute}", "cross", attribute, weights=tuple(sorted(weights.items())))
        for attribute, weights in sorted(crosses.items())
    ]
    return FeatureSchema(columns)


def fact_values(facts: Sequence[Facts] | pl.DataFrame, name: str) -> Iterable[object]:
    if isinstance(facts, pl.DataFrame):
        return facts[name].to_list() if name in facts.columns else ()
    return (row.get(name) for row in facts)


def content_columns(contents: Sequence[Content]) -> list[Column]:
    """One column an attribute that is a number, a boolean or a text in any content; by name.

    A text that hardly any two contents share is a name and not a kind: learning it would be learning contents
    by heart, so it is left out.
    """
    values: dict[str, list[object]] = {}
    for content in contents:
        for key, value in content.attributes.items():
            values.setdefault(key, []).append(value)
    columns = []
    for key, found in sorted(values.items()):
        if any(isinstance(value, int | float) for value in found):
            columns.append(Column(f"content_{key}", "content", key))
        elif any(isinstance(value, str) for value in found) and 2 * len(set(map(str, found))) <= len(found):
            columns.append(Column(f"content_{key}", "content", key, "category", ordered_levels(found)))
    return columns
