"""Facts of customers and attributes of contents come in; float32 rows in a fixed column order come out.

A `FeatureSchema` names the columns once, at training. It travels with the scorer, and its hash is compared
at every scoring, because a tree ensemble fed with reordered columns answers wrongly without a word.

One customer's mapping of facts and a frame of everybody's take the same path, so training, nightly scoring
and a live decision see the same numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.encoding import DIGITS, LARGEST, Content, ContentBlock, Encoded, Facts, circle, number, read
from decisioning.learning.schema import CLICKED, CYCLES, Column, FeatureSchema, ordered_levels
from decisioning.learning.similarity import clicked_in

__all__ = ["Content", "ContentBlock", "Encoded", "Facts", "number"]

Matrix = npt.NDArray[np.float32]
FIRST: Final = 1.0  # the position that everything is scored for


def encode_facts(schema: FeatureSchema, facts: Facts | Sequence[Facts] | pl.DataFrame) -> npt.NDArray[np.float64]:
    """(customers, facts, context and then facts of crosses): numbers, category codes, NaN for what is missing.

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
    values = np.where(np.abs(values) <= LARGEST, values, np.nan)
    return np.asarray(circle(column, values)) if column.kind in CYCLES else values


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
    own, described = len(schema.own_columns), len(schema.own_columns) + block.values.shape[1]
    rows = np.empty((customers, size, len(schema.columns)), np.float32)
    rows[:, :, :own] = encoded[:, None, :own]
    rows[:, :, own:described] = block.values
    later = described + len(block.crosses)
    rows[:, :, described:later] = crossed(encoded[:, own:], block.crosses)
    if later < len(schema.columns):
        liked = later + block.rates.shape[1]
        rows[:, :, later:liked] = block.rates
        clicked = by_clicks(schema, facts, block)
        rows[:, :, liked : liked + clicked.shape[2]] = clicked
        rows[:, :, liked + clicked.shape[2] :] = FIRST
    return rows.reshape(customers * size, len(schema.columns))


def by_clicks(
    schema: FeatureSchema, facts: Facts | Sequence[Facts] | pl.DataFrame, block: ContentBlock
) -> npt.NDArray[np.float64]:
    """(customers, contents, likeness and associations) to what each customer's fact lists."""
    space, near, names, size = schema.space, schema.standing.near, schema.associations, len(block)
    if not space.views and not names:
        return np.empty((1, size, 0))
    lists = clicked_of(facts)
    if not lists:
        return np.empty((0, size, len(space.views) + len(names)))
    if len(lists) == 1:
        one = lists[0]
        return np.hstack([space.likeness(one, block.vectors), near.of(names, one, block.places)])[None]
    different = list(dict.fromkeys(lists))
    places = {one: place for place, one in enumerate(different)}
    found = [space.everybody(different, block.vectors), near.everybody(names, different, block.places)]
    return np.concatenate(found, axis=2)[np.array([places[one] for one in lists], np.int64)]


def clicked_of(facts: Facts | Sequence[Facts] | pl.DataFrame) -> list[tuple[str, ...]]:
    """What each customer clicked last, as the fact has it."""
    if isinstance(facts, pl.DataFrame):
        values = facts[CLICKED].to_list() if CLICKED in facts.columns else [None] * facts.height
        return [clicked_in(value) for value in values]
    return [clicked_in(row.get(CLICKED)) for row in ([facts] if isinstance(facts, Mapping) else facts)]


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
    late: npt.NDArray[np.float64] | None = None,
    who: Sequence[int] | None = None,
) -> Matrix:
    """One row a pair: the i-th facts, or those at position `who[i]`, with the content at `which[i]`. For training.

    `late` (pairs, rates, likeness, associations and position) are those columns as of each pair's moment; else as they
    stand.
    """
    block, encoded, own = ContentBlock(schema, contents), encode_facts(schema, facts), len(schema.own_columns)
    chosen = np.asarray(which, np.int64)
    whom = np.arange(len(chosen)) if who is None else np.asarray(who, np.int64)
    if late is None:
        late = as_they_stand(schema, facts, block, whom, chosen)
    filled = np.where(np.isnan(encoded[:, own:]), 0.0, encoded[:, own:])[whom]
    sums = np.einsum("nf,knf->nk", filled, block.crosses[:, chosen]).round(DIGITS)
    sums[np.isnan(encoded[whom, own:]).all(axis=1)] = np.nan
    return np.hstack([encoded[whom, :own], block.values[chosen], sums, late]).astype(np.float32)


def as_they_stand(
    schema: FeatureSchema,
    facts: Sequence[Facts] | pl.DataFrame,
    block: ContentBlock,
    whom: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Rates, likeness, associations and position as while serving."""
    parts = [block.rates[chosen]]
    if schema.space.views or schema.associations:
        lists = clicked_of(facts)
        parts.append(schema.space.paired(lists, whom, block.vectors, chosen))
        parts.append(schema.standing.near.paired(schema.associations, lists, whom, block.places[chosen]))
    return np.hstack([*parts, np.full((len(chosen), len(schema.of("position"))), FIRST)])


def served(schema: FeatureSchema, X: Matrix) -> Matrix:
    """The rows as a live decision would have them: at the first position, whatever place they were shown at."""
    if not schema.of("position"):
        return X
    rows = X.copy()
    rows[:, [column.source == "position" for column in schema.columns]] = FIRST
    return rows


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
