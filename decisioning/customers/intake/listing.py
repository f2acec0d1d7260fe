"""The text of an uploaded list in; normalised identifiers, and what could not be read with its line, out. Pure.

CSV (RFC 4180) with a header that names kinds of identifiers, or lines of one kind without any header. Understood are
byte order marks, every line end, other separators than commas, and the quote that spreadsheets need before a formula.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from ..identity.known import PREFIXES
from .identifiers import KINDS, Pair, usable
from .strict import Unfit

SEPARATORS: Final = ",;\t|"
LONGEST_LINE: Final = 10_000
MOST_TOLD: Final = 50
CUSTOMER: Final = "customer"
# Other names that columns have in the exports of other programs; without case, with "_" for what is between words.
NAMES: Final[Mapping[str, str]] = {
    **{kind: kind for kind in KINDS},
    **dict.fromkeys(("userid", "uid"), "user_id"),
    **dict.fromkeys(("customer", "customer_id", "customer_key", "key"), CUSTOMER),
    **dict.fromkeys(("e_mail", "mail", "email_address", "e_mail_address"), "email"),
    **dict.fromkeys(("phone_number", "telephone", "mobile", "msisdn"), "phone"),
    **dict.fromkeys(("loyaltyid", "loyalty", "loyalty_number", "card_number"), "loyalty_id"),
    **dict.fromkeys(("anonymousid",), "anonymous_id"),
    **dict.fromkeys(("deviceid",), "device_id"),
}
BETWEEN: Final = re.compile(r"[\s\-]+")
# What a spreadsheet takes for a formula; our own exports write a single quote before it.
FORMULA: Final = frozenset("=+-@\t\r\n")
CURES: Final = {
    "email": "is no e-mail address",
    "phone": "needs its country: +49 170 1234567",
}


class Unreadable(ValueError):
    """The whole file cannot be used; the text says the cure."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be used: the line it stands in, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class Report:
    """What was in a file: rows with anything in them, identifiers, rows that gave none or not all, the first of these.

    `columns` are those that were read, by kind; `ignored` the names of the others.
    """

    rows: int = 0
    identifiers: int = 0
    bad: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    columns: dict[int, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def blame(self, line: int, reason: str) -> None:
        """One more row that is not all right; only the first are told of one by one."""
        self.bad += 1
        if len(self.troubles) < MOST_TOLD:
            self.troubles.append(Trouble(line, reason))


def pairs(file: BinaryIO, kind: str, report: Report) -> Iterator[Pair]:
    """The identifiers of a file, one after the other, while `report` fills. `kind` is that of lines without a header.

    Raises Unreadable where the first line names no column and no kind is given.
    """
    text = _text(file)
    first = next(text, "")
    if not first.strip():
        first = next((line for line in text if line.strip()), "")
    if not first:
        raise Unreadable("The file is empty; put one identifier in a line, or columns with a header.")
    separator = max(SEPARATORS, key=first.count)
    header = next(csv.reader([first], delimiter=separator), [])
    report.columns, report.ignored = _columns(header)
    if report.columns:
        return _rows(text, separator, report, 2)
    if kind not in (*KINDS, CUSTOMER):
        known = ", ".join((*KINDS, CUSTOMER))
        raise Unreadable(f"The first line names no column that is known; name one of {known}, or choose a kind.")
    report.columns = {0: kind}
    return _rows(_again(first, text), separator, report, 1)


def _again(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _text(file: BinaryIO) -> Iterator[str]:
    """The lines; bytes that are no text come through as escapes and are blamed on their line."""
    start = file.read(3)
    file.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable("The file is in UTF-16; save it as CSV in UTF-8.")
    if start == b"\xef\xbb\xbf":
        file.read(3)
    for raw in iter(lambda: file.readline(LONGEST_LINE), b""):
        yield raw.decode("utf-8", "surrogateescape")


def _columns(header: Sequence[str]) -> tuple[dict[int, str], list[str]]:
    """Kinds by place, and the names of the columns that are none."""
    plain = [BETWEEN.sub("_", _cell(name).casefold()) for name in header]
    found = {place: NAMES[name] for place, name in enumerate(plain) if name in NAMES}
    return found, [_cell(name) for name, short in zip(header, plain, strict=True) if short and short not in NAMES]


def _rows(text: Iterable[str], separator: str, report: Report, line: int) -> Iterator[Pair]:
    reader = csv.reader(text, delimiter=separator, strict=True)
    start = line
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report.rows += 1
            report.blame(start, f"The line is no CSV: {error}.")
        else:
            if any(map(str.strip, cells)):
                report.rows += 1
                yield from _identifiers(cells, start, report)
        start = line + reader.line_num


def _identifiers(cells: Sequence[str], line: int, report: Report) -> Iterator[Pair]:
    reasons, found = [], 0
    for place, kind in report.columns.items():
        cell = _cell(cells[place]) if place < len(cells) else ""
        if not cell:
            continue
        try:
            yield normalised(kind, cell)
            found += 1
        except Unfit as error:
            reasons.append(error.message)
    report.identifiers += found
    if reasons:
        report.blame(line, " ".join(reasons))
    elif not found:
        report.blame(line, "The line has none of the identifiers that the header names.")


def normalised(kind: str, text: Any) -> Pair:
    """An identifier as events have it; `customer` is a customer's key. Raises Unfit with the reason."""
    value = str(text)
    if not value.isprintable():
        raise Unfit("invalid_field", f"“{_short(value)}” has signs in it that are no text; save the file as UTF-8.")
    if kind == CUSTOMER:
        return pair_of(value)
    if kind not in KINDS:
        raise Unfit("invalid_field", f"There is no kind “{kind[:50]}”; use one of {', '.join((*KINDS, CUSTOMER))}.")
    good = usable(kind, value)
    if not good:
        raise Unfit("invalid_field", f"“{_short(value)}” {CURES.get(kind, 'names nobody')}.")
    return kind, good


def pair_of(key: str) -> Pair:
    """The identifier that a customer with this key came into being with."""
    for kind, prefix in (*PREFIXES.items(), ("user_id", "user:")):
        if key.startswith(prefix) and len(key) > len(prefix):
            return normalised(kind, key.removeprefix(prefix))
    return normalised("user_id", key)


def _cell(text: str) -> str:
    plain = text.strip()
    return plain[1:] if plain[:1] == "'" and plain[1:2] in FORMULA and len(plain) > 1 else plain


def _short(value: str) -> str:
    shown = value.encode(errors="backslashreplace").decode()
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
