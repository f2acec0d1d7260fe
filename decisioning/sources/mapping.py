"""A mapping file (TOML) in; a function from one row to the item it means out. Pure.

`[file]` says how the file is written, `[fields]` which column is which field. Without `[fields]` columns are known by
their names (`shapes`).
"""

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from .shapes import REST, Path, Shape, standard
from .values import KINDS, NULLS, How, Misfit, reader, shown

ABSENT: Final = object()
# Plans kept at once: JSON Lines may have other members in every row.
PLANS: Final = 1000
NOT_THIS_ENCODING: Final = (
    'is not UTF-8 text; name the encoding of the file in the mapping, such as encoding = "cp1252" under [file].'
)
EPOCHS: Final = ("excel", "epoch", "epoch_s", "epoch_ms", "epoch_us")


class Unusable(ValueError):
    """A mapping or a file that cannot be used at all; the message says the cure."""


class FileWords(Struct, forbid_unknown_fields=True, frozen=True):
    """The section `[file]`: how the file is written. All of it can be guessed but zone, decimal sign and encoding."""

    format: Literal["csv", "jsonl", "parquet"] | None = None
    separator: str = ""
    quote: str = '"'
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    zone: str = "UTC"
    nulls: list[str] | None = None
    others: Literal["standard", "ignore"] | None = None
    loose: str = ""


class FieldWords(Struct, forbid_unknown_fields=True, frozen=True):
    """One field: the column it comes from or a constant, and how to read it."""

    column: str | None = None
    constant: Any = None
    kind: str | None = None
    format: str = ""
    zone: str | None = None
    separator: str = ""
    decimal: Literal[".", ","] | None = None


FIELD_WORDS: Final = frozenset(FieldWords.__struct_fields__)


class Words(Struct, forbid_unknown_fields=True, frozen=True):
    """A whole mapping file."""

    file: FileWords = FileWords()
    fields: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Step:
    """One field of the item: where it goes, the column it comes from (none for a constant), what reads it."""

    path: Path
    column: str
    read: Callable[[Mapping[str, Any]], Any]


class RowMapping:
    """Rows in, items out, for one kind of import and one file.

    `typed` files (JSON Lines, Parquet) say themselves what is a number; the cells of others are text.
    """

    def __init__(self, shape: Shape, words: Words, typed: bool) -> None:
        self.shape, self.words = shape, words
        file = words.file
        nulls = NULLS if file.nulls is None else frozenset(file.nulls) | {""}
        self.how = How(zone=zone_of(file.zone), decimal=file.decimal, nulls=nulls, typed=typed)
        self.named = [self._step(path, given) for path, given in _flat(words.fields, shape.parts)]
        self.others = (file.others or ("ignore" if self.named else "standard")) == "standard"
        self._plans: dict[tuple[str, ...], list[Step]] = {}

    def item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What the row means; columns without a place of their own stand under `REST`. Raises Misfit."""
        columns = tuple(row)
        made: dict[str, Any] = {}
        for step in self._plans.get(columns) or self._learn(columns):
            try:
                value = step.read(row)
                if value is not None:
                    self._place(made, step.path, value)
            except Misfit as misfit:
                raise Misfit(f"{step.column or '.'.join(step.path)} {misfit}") from None
            except UnicodeError:
                raise Misfit(f"{step.column} {NOT_THIS_ENCODING}") from None
        return made

    def reads(self, row: Mapping[str, Any], path: Path) -> bool:
        """Whether a column of the row, be it empty, or a constant says what belongs at this path."""
        columns = tuple(row)
        return any(step.path == path for step in self._plans.get(columns) or self._learn(columns))

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Problems of a file with these columns: names in the mapping that it does not have."""
        tops = {column.split(".")[0] for column in columns} | set(columns)
        asked = [step.column for step in self.named if step.column]
        return [
            f'The file has no column "{name}".{did_you_mean(name, columns)}'
            for name in asked
            if name not in tops and name.split(".")[0] not in tops
        ]

    def _learn(self, columns: tuple[str, ...]) -> list[Step]:
        steps = self.named + (list(self._standard(columns)) if self.others else [])
        # Whole objects first, so that single names go into them; an order of columns is nobody's intention.
        steps = sorted(steps, key=lambda step: len(step.path))
        if len(self._plans) < PLANS:
            self._plans[columns] = steps
        return steps

    def _standard(self, columns: tuple[str, ...]) -> Iterator[Step]:
        taken = {step.path for step in self.named}
        used = {step.column for step in self.named}
        found = [
            (column, place) for column in columns if column not in used and (place := standard(self.shape, column))
        ]
        whole = any(path in {("properties",), ("traits",), ("attributes",)} for _, (path, _) in found)
        for column, (path, _) in sorted(found, key=lambda pair: pair[1][1]):
            if path in taken or (whole and path[0] == REST and path[1] != "name"):
                continue
            yield self._from(path, column, replace(self.how, kind=self.shape.kind(path)))

    def _from(self, path: Path, column: str, how: How) -> Step:
        read = reader(how)
        return Step(path, column, lambda row: read(_cell(row, column)))

    def _place(self, made: dict[str, Any], path: Path, value: Any) -> None:
        """Put a value at its path; what stands there already (a better column of the same meaning) stays."""
        *above, last = path
        inside = made
        for name in above:
            inside = inside.setdefault(name, {})
            if not isinstance(inside, dict):
                raise Misfit(f"stands below {name}, which has a value of its own already.")
        if not above and self.shape.fields.get(last) == "json" and not isinstance(value, dict):
            raise Misfit(f"is {shown(value)}; a JSON object is needed.")
        inside.setdefault(last, value)

    def _step(self, path: Path, given: Any) -> Step:
        name = ".".join(path)
        words = FieldWords(column=given) if isinstance(given, str) else _convert(given, FieldWords, name)
        self._check(path, words, name)
        how = replace(
            self.how,
            kind=words.kind or ("moment" if words.format else self.shape.kind(path)),
            format=words.format,
            zone=self.how.zone if words.zone is None else zone_of(words.zone),
            separator=words.separator,
            decimal=words.decimal or self.how.decimal,
        )
        if words.column is not None:
            return self._from(path, words.column, how)
        try:
            constant = reader(how)(words.constant)
        except Misfit as misfit:
            raise Unusable(f"The constant of {name} {misfit}") from None
        return Step(path, "", lambda row: deepcopy(constant))

    def _check(self, path: Path, words: FieldWords, name: str) -> None:
        known = self.shape.fields.keys() | self.shape.parts
        if path[0] not in known:
            raise Unusable(f"There is no field {name} for {self.shape.name}.{did_you_mean(path[0], sorted(known))}")
        if len(path) > 1 and path[0] not in self.shape.parts:
            raise Unusable(f"{path[0]} has no names below it; write {path[0]} instead of {name}.")
        if (words.column is None) == (words.constant is None):
            raise Unusable(f"{name} needs either a column or a constant.")
        if words.kind is not None and words.kind not in KINDS:
            raise Unusable(f"{name}: there is no kind {words.kind!r}.{did_you_mean(words.kind, KINDS)}")
        if words.format and "%" not in words.format and words.format not in EPOCHS:
            raise Unusable(f"{name}: the format must be one of {', '.join(EPOCHS)} or like %d.%m.%Y.")


def read_words(text: str) -> Words:
    """A mapping file's text. Raises Unusable."""
    try:
        return _convert(tomllib.loads(text), Words, "The mapping")
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"The mapping is not TOML: {error}.") from None


def zone_of(name: str) -> tzinfo:
    """The time zone of this name. Raises Unusable."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise Unusable(f"There is no time zone {name!r}; use a name such as Europe/Berlin.") from None


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A sentence naming what is nearest, or what there is."""
    near = difflib.get_close_matches(name, known, 1)
    return f" Did you mean {near[0]}?" if near else f" There is: {', '.join(list(known)[:30])}."


def _convert(value: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unusable(f"{name} cannot be read: {error}.") from None


def _flat(fields: Mapping[str, Any], parts: frozenset[str], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Paths and what was said of each; a table of nothing but a field's words is a field, any other holds fields."""
    for name, given in fields.items():
        path = (*above, *name.split("."))
        words = isinstance(given, dict) and given.keys() & {"column", "constant"} and given.keys() <= FIELD_WORDS
        if isinstance(given, dict) and path[0] in parts and not words:
            yield from _flat(given, parts, path)
        else:
            yield path, given


def _cell(row: Mapping[str, Any], column: str) -> Any:
    """The cell of this name; failing that, the member at the end of a dotted path."""
    value = row.get(column, ABSENT)
    if value is not ABSENT:
        return value
    found: Any = row
    for name in column.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
