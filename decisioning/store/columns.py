"""Customers' facts as JSON texts come in; typed columns come out, whatever single values are.

A fact's *kind* says which column it gets, as the catalogue of facts has it. A value of another kind than the fact's is
null. A fact that no catalogue knows is `loose`: a struct of one field for each kind of value, which becomes an ordinary
column where all customers' values are of one kind, and otherwise what the rule language reads mixed values from.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from secrets import token_hex
from typing import Any, Final

import msgspec
import polars as pl

from rules.language.columns import VARIANT
from rules.language.properties import typed

STAMP: Final = pl.Datetime("us", "UTC")
LOOSE: Final = pl.Struct({name: dtype for name, dtype in VARIANT.items() if name != "whole"})
DTYPES: Final[dict[str, pl.DataType]] = {
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "text": pl.String(),
    "date": STAMP,
    "text_list": pl.List(pl.String()),
    "loose": LOOSE,
}
FIELDS: Final = {"number": "number", "boolean": "flag", "text": "text", "text_list": "texts"}
LISTS: Final = ("texts", "numbers", "flags")
IGNORED: Final = "ignored"
"""The kind of a name that is no fact's; what is under it is left out."""
_READ: Final[dict[str, Any]] = {
    "number": float | None,
    "boolean": bool | None,
    "text": str | None,
    "date": str | None,
    "text_list": list[str] | None,
}
_FITS: Final[dict[str, Callable[[Any], bool]]] = {
    "number": lambda value: type(value) in (int, float) and _finite(value),
    "boolean": lambda value: type(value) is bool,
    "text": lambda value: type(value) is str,
    "date": lambda value: type(value) is str,
    "text_list": lambda value: type(value) is list and all(type(item) is str for item in value),
}
_encode = msgspec.json.Encoder().encode
_ALIAS: Final = f"{token_hex(8)} "  # no trait that somebody sends is called so

Kinds = Mapping[str, str]


def facts_columns(texts: Sequence[str], kinds: Kinds) -> tuple[pl.DataFrame, dict[str, str]]:
    """One row a text and one column a fact; and the kinds, with those names added that were not among them.

    The texts are JSON objects on one line, as `jsonb` gives them.
    """
    known = dict(kinds)
    while True:
        called = {name: _called(name, number) for number, name in enumerate(known)}
        told = {called[name]: kind for name, kind in known.items()}
        loose, lines, strange = _decoded(_recalled(texts, called), told)
        if not strange:
            break
        known |= dict.fromkeys(sorted(strange), "loose")
    columns = [_loosely(values).alias(name) for name, values in loose.items()]
    found = _parsed(lines, told).hstack(columns)
    return found.rename({alias: name for name, alias in called.items() if alias in found.columns}), known


def _called(name: str, number: int) -> str:
    """What it is called while texts are read: msgspec takes no field whose name JSON has to escape."""
    return name if json.dumps(name, ensure_ascii=False) == f'"{name}"' else f"{_ALIAS}{number}"


def _recalled(texts: Sequence[str], called: Mapping[str, str]) -> Sequence[str]:
    """The texts with the aliases as keys. An escaped name in quotes, with a colon, cannot stand within a value."""
    for name, alias in called.items():
        if alias != name:
            key = f"{json.dumps(name, ensure_ascii=False)}: "
            texts = [text.replace(key, f'"{alias}": ', 1) for text in texts]
    return texts


def _parsed(lines: list[str], kinds: Kinds) -> pl.DataFrame:
    """The facts that have a kind of their own: every value is known to be of it."""
    schema: dict[str, Any] = {
        name: pl.String() if kind == "date" else DTYPES[kind] for name, kind in kinds.items() if kind in _READ
    }
    if not lines or not schema:
        return pl.DataFrame(schema={name: DTYPES[kinds[name]] for name in schema}, height=len(lines))
    found = pl.read_ndjson("\n".join(lines).encode(), schema=schema)
    dates = [pl.col(name) for name, kind in kinds.items() if kind == "date"]
    return found.with_columns(one.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False) for one in dates)


def _decoded(texts: Sequence[str], kinds: Kinds) -> tuple[dict[str, list[Any]], list[str], set[str]]:
    """The values of loose facts, the texts without what does not fit its kind, and names that have no kind."""
    decode, fields = _shape(tuple(kinds.items()))
    loose: dict[str, list[Any]] = {name: [] for name, kind in kinds.items() if kind == "loose"}
    read = [(fields[name], values.append) for name, values in loose.items()]
    lines, strange = list(texts), set[str]()
    for position, text in enumerate(texts):
        try:
            row = decode(text)
        except msgspec.DecodeError:
            facts = json.loads(text)
            strange |= facts.keys() - kinds.keys()
            lines[position] = _encode(_fitting(facts, kinds)).decode()
            row = decode(lines[position])
        # The row itself is not kept: a hundred thousand lists would be the garbage collector's work.
        for field, add in read:
            add(getattr(row, field))
    return loose, lines, strange


def _fitting(facts: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    fits: dict[str, Any] = {}
    for name, value in facts.items():
        kind = kinds.get(name, IGNORED)
        if kind == "number":
            value = float(value) if _FITS[kind](value) else None
        if kind == "loose" or (kind in _FITS and _FITS[kind](value)):
            fits[name] = value
    return fits


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@lru_cache(maxsize=16)
def _shape(kinds: tuple[tuple[str, str], ...]) -> tuple[Callable[[str], Any], dict[str, str]]:
    """What decodes a text strictly, and the attribute each fact is found under."""
    fields = {name: f"f{number}" for number, (name, _) in enumerate(kinds)}
    shape = msgspec.defstruct(
        "Facts",
        [(fields[name], _READ.get(kind, Any), None) for name, kind in kinds],
        rename={field: name for name, field in fields.items()},
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(shape).decode, fields


def _loosely(values: list[Any]) -> pl.Series:
    """A column of LOOSE."""
    return loosened(typed(values))


def loosened(column: pl.Series) -> pl.Series:
    """A column of any kind, or of several (the rule language's variant), as LOOSE."""
    if column.dtype == LOOSE:
        return column
    if isinstance(column.dtype, pl.Struct):
        parts = column.struct.unnest().with_columns(number=pl.coalesce("number", pl.col("whole").cast(pl.Float64)))
    else:
        held = pl.Float64() if column.dtype.is_numeric() else column.dtype
        field = next(one.name for one in LOOSE.fields if one.dtype == held or held == pl.Null)
        parts = pl.DataFrame({field: column.cast(held)})
    return _filled(parts).to_struct(column.name)


def _filled(parts: pl.DataFrame) -> pl.DataFrame:
    return parts.select(
        pl.col(field.name).cast(field.dtype)
        if field.name in parts.columns
        else pl.lit(None, field.dtype).alias(field.name)
        for field in LOOSE.fields
    )


def as_kind(name: str, held: pl.DataType | None, kind: str) -> pl.Expr:
    """The column as its kind has it, where a file holds it as `held` (None: not at all)."""
    wanted = DTYPES[kind]
    if held == wanted:
        return pl.col(name)
    if held == LOOSE and kind in FIELDS:
        return pl.col(name).struct.field(FIELDS[kind]).alias(name)
    if kind == "loose" and held is not None:
        return _as_loose(name, held)
    return pl.lit(None, wanted).alias(name)


def _as_loose(name: str, held: pl.DataType) -> pl.Expr:
    field = next((FIELDS[kind] for kind, dtype in DTYPES.items() if dtype == held and kind in FIELDS), None)
    parts = [
        pl.col(name).alias(one.name) if one.name == field else pl.lit(None, one.dtype).alias(one.name)
        for one in LOOSE.fields
    ]
    return pl.struct(parts).alias(name)


def narrowed(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """The frame with these loose columns as narrow as their values are."""
    return frame.with_columns(_narrow(frame[name]).alias(name) for name in names)


def _narrow(column: pl.Series) -> pl.Series:
    parts = column.struct.unnest()
    there = [name for name in parts.columns if parts[name].null_count() < len(parts)]
    if not there:
        return pl.Series(column.name, [None] * len(parts), dtype=pl.Null)
    if len(there) == 1 and there != ["odd"]:
        return parts[there[0]]
    if set(there) <= set(LISTS):
        filled = [name for name in LISTS if (parts[name].list.len() > 0).any()]
        if len(filled) <= 1:
            return parts[filled[0] if filled else "texts"]
    whole = parts.with_columns(whole=pl.lit(None, VARIANT["whole"]))
    return whole.select(pl.col(name).cast(dtype) for name, dtype in VARIANT.items()).to_struct()


def together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames of different customers as one; a column that is of another type in each becomes loose, then narrow."""
    types: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            types.setdefault(name, set()).update({dtype} - {pl.Null()})
    mixed = {name for name, found in types.items() if len(found) > 1 or LOOSE in found}
    alike = [frame.with_columns(loosened(frame[name]) for name in mixed & set(frame.columns)) for frame in frames]
    found = pl.concat(alike, how="diagonal_relaxed")
    return narrowed(found, [name for name in found.columns if name in mixed])
