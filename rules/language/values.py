"""Comes in: texts and Python values. Goes out: the literals of the language (dates, spans, versions) and
plain values.

Every date becomes whole microseconds since 1970-01-01 UTC (a date without a zone is read in UTC), every
version the sort key of Semantic Versioning 2.0.0, so that comparing never depends on how something was
written.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNITS = {"MINUTE": 60_000_000, "HOUR": 3_600_000_000, "DAY": 86_400_000_000, "WEEK": 604_800_000_000}
DAY = UNITS["DAY"]

ISO_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_NUMERIC = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_BUILD = r"[+][0-9A-Za-z-]+(?:[.][0-9A-Za-z-]+)*"
SEMVER = re.compile(
    rf"v?{_NUMERIC}(?:[.]{_NUMERIC}(?:[.]{_NUMERIC}(?:-({_IDENTIFIER}(?:[.]{_IDENTIFIER})*))?(?:{_BUILD})?)?)?"
)
VersionKey = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """A date literal: its text as written, and its instant in microseconds."""

    text: str
    micros: int

    @property
    def whole_day(self) -> bool:
        return len(self.text) == 10


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time: `30 DAYS`."""

    amount: int
    unit: str

    @property
    def micros(self) -> int:
        return self.amount * UNITS[self.unit]

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 'S'}"


@dataclass(frozen=True, slots=True)
class Relative:
    """A date counted from the clock: `NOW`, `TODAY` (00:00 UTC), `30 DAYS AGO`, `2 HOURS AHEAD`."""

    word: str
    span: Span | None = None

    def micros(self, now: int) -> int:
        if self.span is not None:
            return now - self.span.micros if self.word == "AGO" else now + self.span.micros
        return now if self.word == "NOW" else now - now % DAY

    def __str__(self) -> str:
        return self.word if self.span is None else f"{self.span} {self.word}"


@dataclass(frozen=True, slots=True)
class Version:
    """A version literal; `key` orders as Semantic Versioning 2.0.0, section 11 says."""

    text: str
    key: VersionKey = field(compare=False, repr=False)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC; a datetime without a zone is read in UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICROSECOND


def read_moment(text: str) -> int | None:
    """Microseconds of an ISO 8601 / RFC 3339 text such as `2024-05-01T10:00:00+02:00`, or None."""
    if ISO_DATE.fullmatch(text) is None:
        return None
    try:
        return to_micros(datetime.fromisoformat(text))
    except ValueError:
        return None


def read_version(text: str) -> VersionKey | None:
    """The sort key of a version text, or None; a missing minor or patch number counts as 0."""
    found = SEMVER.fullmatch(text) if len(text) <= 256 else None
    if found is None:
        return None
    major, minor, patch, pre = found.groups()
    parts = tuple(_identifier(part) for part in pre.split(".")) if pre else ()
    # A release is later than each of its pre-releases, hence the flag before the identifiers.
    return int(major), int(minor or 0), int(patch or 0), pre is None, parts


def _identifier(part: str) -> tuple[bool, int, str]:
    """Numeric identifiers are lower than alphanumeric ones and compare as numbers."""
    return (False, int(part), "") if part.isdigit() else (True, 0, part)


PLAIN = frozenset({str, bool, int, float, list, datetime})
ITEMS = PLAIN | {type(None)}
LONGEST = 100  # digits up to which a whole decimal is taken digit by digit


def plain(value: Any) -> Any:
    """`value` as exactly one of str, bool, int, float, list, datetime or None (missing); NaN is missing.

    Anything the language has no word for (a mapping, bytes …) becomes `ODD`: it is there, but of the wrong
    type. The items of a list are made plain likewise, those of a list within it are not.
    """
    kind = type(value)
    if kind is float:
        return None if value != value else value
    if kind is list:
        return plain_items(value)
    return value if value is None or kind in PLAIN else _converted(value)


def plain_items(values: list[Any]) -> list[Any]:
    """The list with plain items; itself, where they are."""
    return values if ITEMS.issuperset(map(type, values)) else [_item(value) for value in values]


def _item(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple | set | frozenset) else plain(value)


def _converted(value: Any) -> Any:
    if isinstance(value, np.generic):
        item = value.item()
        if isinstance(item, np.generic):  # a long double stays one
            item = float(value) if isinstance(value, np.floating) else ODD
        return plain(item)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, float):
        number = float(value)
        return None if number != number else number
    if isinstance(value, date):
        return _moment(value)
    return plain_items(list(value)) if isinstance(value, tuple | set | frozenset) else ODD


def _decimal(value: Decimal) -> int | float | None:
    """An int when it is whole, so that no digit is lost."""
    if value.is_nan():
        return None
    if value.is_finite() and value.adjusted() < LONGEST and value == (whole := int(value)):
        return whole
    return float(value)


def _moment(value: date) -> datetime:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return datetime.combine(value.date(), value.timetz())


class Odd:
    """A value no test is true for: present, and of no type of the language."""

    __slots__ = ()


ODD = Odd()
