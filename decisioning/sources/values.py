"""One cell of a file in, the value it means out: text, number, moment, yes or no, list, JSON. Pure.

What is missing comes out as None; what cannot be read raises `Misfit` with a sentence that says the cure.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from ..customers.intake import strict

NULLS: Final = frozenset({"", "NULL", "null", "\\N", "NaN", "nan", "#N/A"})
KINDS: Final = ("auto", "text", "number", "boolean", "moment", "list", "json")
TRUE, FALSE = frozenset({"true", "t", "yes", "y", "on", "1"}), frozenset({"false", "f", "no", "n", "off", "0"})
# Without leading zeros (postcodes), and no longer than a double holds exactly (card numbers).
PLAIN: Final = {
    ".": re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,20})?(?:e[+-][0-9]{2,3})?"),
    ",": re.compile(r"-?(?:(?:0|[1-9][0-9]{0,14})|[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,4})(?:,[0-9]{1,20})?"),
}
GROUPED: Final = {
    ".": re.compile(r"[+-]?[0-9]{1,3}(?:[,' \u00a0\u202f][0-9]{3})+(?:\.[0-9]+)?"),
    ",": re.compile(r"[+-]?[0-9]{1,3}(?:[.' \u00a0\u202f][0-9]{3})+(?:,[0-9]+)?"),
}
UNGROUP: Final = {
    ".": str.maketrans("", "", ",' \u00a0\u202f"),
    ",": str.maketrans("", "", ".' \u00a0\u202f"),
}
NUMERIC: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
# Day 0 of spreadsheets: with it every day from March 1900 on is right. Source: ECMA-376 Part 1, 18.17.4.1.
SPREADSHEET_DAY_0: Final = datetime(1899, 12, 30)
EPOCHS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
START: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Misfit(ValueError):
    """A cell, or a whole row, that cannot be what it should be."""


@dataclass(frozen=True, slots=True)
class How:
    """How cells are meant. `typed` sources (JSON Lines, Parquet) say themselves what is a number."""

    kind: str = "auto"
    format: str = ""
    zone: tzinfo = UTC
    decimal: str = "."
    separator: str = ""
    nulls: frozenset[str] = NULLS
    typed: bool = False


def reader(how: How) -> Callable[[Any], Any]:
    """The function that reads such cells."""
    read = READ[how.kind]

    def cell(value: Any) -> Any:
        if value is None or value != value:
            return None
        if type(value) is str and not how.typed:
            value = value.strip()
            if value in how.nulls:
                return None
        return read(value, how)

    return cell


def as_auto(value: Any, how: How) -> Any:
    """Text of untyped files becomes a number or yes or no only where it can mean nothing else."""
    if type(value) is bytes:
        return as_text(value, how)
    if type(value) is not str or how.typed:
        return value
    if PLAIN[how.decimal].fullmatch(value):
        return as_number(value, how)
    return {"true": True, "false": False}.get(value.lower(), value) if len(value) < 6 else value


def as_text(value: Any, how: How) -> str | None:
    """Numbers are written without a needless ".0"; bytes are read as UTF-8."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bytes):
        try:
            return value.decode() or None
        except UnicodeDecodeError:
            raise Misfit("holds bytes that are not UTF-8; leave this column out.") from None
    if isinstance(value, bool | dict | list):
        raise Misfit(f"is {shown(value)}; a text or a number is needed.")
    if isinstance(value, float | Decimal):
        return str(value).removesuffix(".0")
    return str(value)


def as_number(value: Any, how: How) -> float | int:
    """A number; groups of thousands and the file's decimal sign are understood."""
    if isinstance(value, bool):
        return int(value)
    plain = _ungrouped(value.strip(), how.decimal) if isinstance(value, str) else str(value)
    if not NUMBER.fullmatch(plain):
        raise Misfit(f'is {shown(value)}, not a number; name the kind "text", or the decimal sign of the file.')
    found = int(plain) if plain.lstrip("+-").isdecimal() else float(plain)
    if not isfinite(found) or (isinstance(found, int) and abs(found) >= 2**63):
        raise Misfit(f'is {shown(value)}, which 64 bits cannot hold; name the kind "text".')
    return found


def _ungrouped(text: str, decimal: str) -> str:
    """As programs write numbers; what another decimal sign would make of it is left unreadable, not guessed."""
    if GROUPED[decimal].fullmatch(text):
        text = text.translate(UNGROUP[decimal])
    elif decimal == "," and "." in text:
        return text + "?"
    return text.replace(decimal, ".")


def as_boolean(value: Any, how: How) -> bool:
    """Yes or no."""
    word = str(value).strip().lower()
    if word in TRUE | {"1.0"}:
        return True
    if word in FALSE | {"0.0"}:
        return False
    raise Misfit(f"is {shown(value)}; use true or false, yes or no, 1 or 0.")


def as_moment(value: Any, how: How) -> datetime:
    """A moment in UTC. Without a zone of its own it is one of `how.zone`; a day is its midnight there.

    A time that the clocks showed twice is the first of the two.
    """
    if isinstance(value, bool):
        raise Misfit(f"is {shown(value)}, not a moment.")
    try:
        return _in_utc(_moment(value, how), how.zone)
    except (ValueError, OverflowError) as error:
        if isinstance(error, Misfit):
            raise
        wanted = f"of the form {how.format!r}" if how.format else "in ISO 8601, such as 2024-05-31T18:04:00Z"
        raise Misfit(f"is {shown(value)}; a moment {wanted} is needed. Name its `format` in the mapping.") from None


def _moment(value: Any, how: How) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = str(value).strip()
    if how.format == "excel":
        return SPREADSHEET_DAY_0 + timedelta(milliseconds=round(float(text.replace(",", ".")) * 86_400_000))
    if how.format.startswith("epoch"):
        return _since_1970(text, how.format)
    if how.format:
        return datetime.strptime(text, how.format)
    if NUMERIC.fullmatch(text):
        return _guessed(text)
    return datetime.fromisoformat(text.removesuffix(" UTC") + "Z" if text.endswith(" UTC") else text)


def _guessed(text: str) -> datetime:
    """Seconds, milliseconds or microseconds since 1970, told apart by their size; small numbers mean no moment."""
    number = float(text)
    if len(text) == 8 and text.isdecimal():
        return datetime.fromisoformat(text)
    if number < 1e8:
        raise Misfit(f'is {text}: if that is a spreadsheet\'s date, say format = "excel"; if seconds, "epoch_s".')
    return _since_1970(text, "epoch_s" if number < 1e11 else "epoch_ms" if number < 1e14 else "epoch_us")


def _since_1970(text: str, unit: str) -> datetime:
    if unit == "epoch":
        return _guessed(text)
    return START + timedelta(microseconds=int(Decimal(text.replace(",", ".")) * EPOCHS[unit]))


def _in_utc(moment: datetime, zone: tzinfo) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def as_list(value: Any, how: How) -> list[Any]:
    """A JSON list, or parts between `how.separator`; without one, between "|" where there is any, else commas."""
    if isinstance(value, list):
        return value
    text = str(value)
    if text.startswith("["):
        return list(as_json(text, how))
    parts = text.split(how.separator or ("|" if "|" in text else ","))
    return [part.strip() for part in parts if part.strip()]


def as_json(value: Any, how: How) -> Any:
    """JSON text, read as strictly as the doors do."""
    if not isinstance(value, str):
        return value
    try:
        return strict.read(value.encode())[0]
    except strict.Unfit as error:
        raise Misfit(f"is not usable as JSON: {error.message}") from None


READ: Final[dict[str, Callable[[Any, How], Any]]] = {
    "auto": as_auto,
    "text": as_text,
    "number": as_number,
    "boolean": as_boolean,
    "moment": as_moment,
    "list": as_list,
    "json": as_json,
}


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
