"""Comes in: the properties of many events, as JSON texts or a struct. Goes out: one typed column per
property.

JSON says nothing of types, so a property that is text in one event and a number in the next becomes a
`variant`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from rules.language.columns import ROW, VARIANT
from rules.language.lookup import fact_of
from rules.language.values import plain, to_micros

SAFE = 2**53  # integers up to here are floats without loss
WIDEST = 2**127 - 1


def property_columns(properties: pl.Series, names: Sequence[str]) -> list[pl.Series]:
    """The columns for `names`; a struct's fields come as they are, JSON is decoded once."""
    if isinstance(properties.dtype, pl.Struct):
        roots = {name.split(".")[0] for name in names} | set(names)
        return [properties.struct.field(field) for field in properties.struct.fields if field in roots]
    if not names:
        return []
    decoded = decode(properties.to_list() if properties.dtype == pl.String else [None] * len(properties))
    return [typed([fact_of(name, one) for one in decoded]).alias(name) for name in names]


def decode(texts: list[str | None]) -> list[dict[str, Any]]:
    """JSON objects; whatever is no object counts as one without properties."""
    try:
        found = msgspec.json.decode("[" + ",".join(text or "{}" for text in texts) + "]")
    except (msgspec.DecodeError, UnicodeEncodeError):
        found = []
    if len(found) != len(texts):  # one text was broken: look at each alone
        found = [_decode_one(text) for text in texts]
    return [one if isinstance(one, dict) else {} for one in found]


def _decode_one(text: str | None) -> Any:
    try:
        return msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}


def typed(values: list[Any]) -> pl.Series:
    """The narrowest column for the values: one type if they have one, else a variant."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return pl.Series(values, dtype=pl.String)
    if kinds <= {bool}:
        return pl.Series(values, dtype=pl.Boolean)
    if kinds <= {int, float}:
        return _numbers(values, kinds)
    if kinds == {datetime}:
        instants = [None if value is None else to_micros(value) for value in values]
        return pl.Series(instants, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame([_variant(value) for value in values], schema=VARIANT).to_struct()


def _numbers(values: list[Any], kinds: set[type]) -> pl.Series:
    largest = max((abs(value) for value in values if type(value) is int), default=0)
    if kinds == {int} and largest <= WIDEST:
        return pl.Series(values, dtype=pl.Int64 if largest < 2**63 else pl.Int128)
    if largest <= SAFE:
        return pl.Series(values, dtype=pl.Float64, strict=False)
    return pl.DataFrame([_variant(value) for value in values], schema=VARIANT).to_struct()


def _variant(value: Any) -> dict[str, Any]:
    """The fields of a variant for one value."""
    kind = type(value)
    if kind is str:
        return {"text": value}
    if kind is bool:
        return {"flag": value}
    if kind is int and abs(value) <= WIDEST:
        return {"whole": value}
    if kind is int or kind is float:
        return {"number": _float(value)}
    if kind is list:
        return _lists(value)
    return {} if value is None else {"odd": True}


def _lists(items: list[Any]) -> dict[str, Any]:
    numbers = [_float(item) for item in map(plain, items) if type(item) is int or type(item) is float]
    texts = [item for item in items if type(item) is str]
    return {"texts": texts, "numbers": numbers, "flags": [item for item in items if type(item) is bool]}


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def typed_frame(customers: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Facts of some customers, as from JSON, as a frame for `matching_frame`: one row each, one column per name.

    What is nested gets a column of its own: `basket.total` for {"basket": {"total": 5}}.
    """
    flat = [dict(_flattened(facts)) for facts in customers]
    names = list(dict.fromkeys(name for facts in flat for name in facts))
    columns = [typed([plain(facts.get(name)) for facts in flat]).alias(name) for name in names]
    return pl.DataFrame([pl.Series(ROW, [True] * len(flat), dtype=pl.Boolean), *columns])


def _flattened(facts: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """The innermost first, so that a name that is there as a whole wins over the same name reached step by step."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{within}{name}.")
    yield from ((within + name, value) for name, value in facts.items())
