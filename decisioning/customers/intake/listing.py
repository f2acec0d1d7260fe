"""The text of an uploaded list in; normalised identifiers, and what could not be read with its line, out. Pure.

CSV (RFC 4180) with a header that names kinds of identifiers, or lines of one kind without any header. Understood are
byte order marks, every line end, other separators than commas, and the quote that spreadsheets need before a formula.
A line that is no CSV costs itself alone: what a quote without its end would swallow is read again, line by line.
"""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from ..identity.known import PREFIXES
from .identifiers import KINDS, Pair, usable
from .strict import Unfit

SEPARATORS: Final = ",;\t|"
# Between identifiers without a header: a bar is part of many, such as "auth0|5f7c".
BARE_SEPARATORS: Final = ",;\t"
LONGEST_LINE: Final = 10_000
MOST_LINES: Final = 100  # of one row: no cell of a list has more line breaks
CHUNK: Final = 1 << 16
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
    lines = _Lines(_text(file))
    line, first = next(((line, text) for line, text in lines.numbered() if text.strip()), (0, ""))
    if not first:
        raise Unreadable("The file is empty; put one identifier in a line, or columns with a header.")
    if len(first) > LONGEST_LINE:
        raise Unreadable(
            f"Line {line} is longer than {LONGEST_LINE:,} characters; put each identifier in its own line."
        )
    separator = max(SEPARATORS, key=first.count)
    header = next(csv.reader([first], delimiter=separator), [])
    report.columns, report.ignored = _columns(header)
    if report.columns:
        return _rows(lines, separator, report)
    if kind not in (*KINDS, CUSTOMER):
        known = ", ".join((*KINDS, CUSTOMER))
        raise Unreadable(f"The first line names no column that is known; name one of {known}, or choose a kind.")
    report.columns, report.ignored = {0: kind}, []
    lines.give_back(0)
    return _rows(lines, max(BARE_SEPARATORS, key=first.count), report)


class _Lines:
    """The lines of a file as a CSV reader takes them for a row; those it took wrongly can be given back."""

    def __init__(self, text: Iterator[str]) -> None:
        self._fresh = enumerate(text, 1)
        self._again: deque[tuple[int, str]] = deque()
        self.taken: list[tuple[int, str]] = []

    def numbered(self) -> Iterator[tuple[int, str]]:
        """One line after the other with its number; only the last counts as taken."""
        while (found := self._next()) is not None:
            self.taken = [found]
            yield found

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        found = self._next()
        if found is None:
            raise StopIteration
        self.taken.append(found)
        if len(found[1]) > LONGEST_LINE:
            raise csv.Error(f"it is longer than {LONGEST_LINE:,} characters")
        if len(self.taken) > MOST_LINES:
            raise csv.Error(f"a quote opens in it that is not closed within {MOST_LINES} lines")
        return found[1]

    def _next(self) -> tuple[int, str] | None:
        return self._again.popleft() if self._again else next(self._fresh, None)

    def give_back(self, but: int) -> None:
        """What was taken is read again, but for the first few of it."""
        self._again.extendleft(reversed(self.taken[but:]))


def _text(file: BinaryIO) -> Iterator[str]:
    """The lines, whatever ends them; bytes that are no text come through as escapes and are blamed on their line."""
    start = file.read(3)
    file.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable("The file is in UTF-16; save it as CSV in UTF-8.")
    bare = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    decoder = io.IncrementalNewlineDecoder(bare, translate=True)
    rest, more = "", True
    while more:
        raw = file.read(CHUNK)
        more = bool(raw)
        *whole, rest = (rest + decoder.decode(raw, final=not more)).split("\n")
        yield from (f"{line}\n" for line in whole)
        # Of a line that is too long no more is held than tells so.
        rest = rest[: LONGEST_LINE + 1]
    if rest:
        yield rest


def _columns(header: Sequence[str]) -> tuple[dict[int, str], list[str]]:
    """Kinds by place, and the names of the columns that are none."""
    plain = [BETWEEN.sub("_", _cell(name).casefold()) for name in header]
    found = {place: NAMES[name] for place, name in enumerate(plain) if name in NAMES}
    return found, [_cell(name) for name, short in zip(header, plain, strict=True) if short and short not in NAMES]


def _rows(lines: _Lines, separator: str, report: Report) -> Iterator[Pair]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.taken = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report.rows += 1
            report.blame(lines.taken[0][0], f"The line is no CSV: {error}.")
            lines.give_back(1)
            continue
        (line, _), (last, _) = lines.taken[0], lines.taken[-1]
        if any(map(str.strip, cells)):
            report.rows += 1
            if any("\n" in cells[place].strip() for place in report.columns if place < len(cells)):
                report.blame(line, f"A quote opens here that is closed only in line {last}, so all is one identifier.")
            else:
                yield from _identifiers(cells, line, report)


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
