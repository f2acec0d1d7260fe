"""A CSV file in; its rows by the names of its header out. Pure.

Understood are byte order marks, every line end, separators other than commas, quoted cells over several lines and the
first line that spreadsheets may write.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .mapping import FileWords, Unusable
from .reading import LONGEST_LINE, File, Row, refuse_overlong

SEPARATORS: Final = ",;\t|"
# What spreadsheets may write first.
SEP_LINE: Final = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
MARKS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class CsvFile(File):
    """Comma-separated values (RFC 4180) with a header, and what spreadsheets make of them."""

    def __init__(self, path: Path, words: FileWords) -> None:
        super().__init__(path, words)
        csv.field_size_limit(LONGEST_LINE)
        try:
            self._encoding = self._marked() or words.encoding
            with self._text() as text:
                first = text.readline(LONGEST_LINE)
                self._skip = bool(found := SEP_LINE.fullmatch(first))
                header = text.readline(LONGEST_LINE) if found else first
                self._separator = words.separator or (found[1] if found else _separator(header, words.quote))
            with self._text() as text:
                self.columns = self._header(text)
            self._loose = self._place(words.loose)
        except (UnicodeError, LookupError) as error:
            raise Unusable(f"{path.name} cannot be read as {words.encoding}: {error}.") from None

    def _marked(self) -> str:
        with self.open() as binary:
            start = binary.read(3)
        return "utf-8-sig" if start == b"\xef\xbb\xbf" else MARKS.get(start[:2], "")

    def _text(self) -> io.TextIOWrapper:
        """Bytes that are no text in this encoding come through as escapes and fail row by row."""
        errors = "strict" if self._encoding == "utf-16" else "surrogateescape"
        return io.TextIOWrapper(self.open(), self._encoding, errors, newline="")

    def _reader(self, text: io.TextIOWrapper) -> Any:
        if self._skip:
            text.readline(LONGEST_LINE)
        words = self.words
        return csv.reader(
            _lines(text),
            delimiter=self._separator,
            quotechar=words.quote or None,
            quoting=csv.QUOTE_MINIMAL if words.quote else csv.QUOTE_NONE,
            strict=True,
        )

    def _header(self, text: io.TextIOWrapper) -> tuple[str, ...]:
        try:
            names = tuple(name.strip() for name in next(self._reader(text), ()))
        except csv.Error as error:
            raise Unusable(f"The header of {self.path.name} cannot be read: {error}.") from None
        if not any(names):
            raise Unusable(f"{self.path.name} has no header; its first line must name the columns.")
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise Unusable(f"{self.path.name} has two columns named {', '.join(twice)}; rename one.")
        return names

    def _place(self, loose: str) -> int | None:
        """Where the column is whose cells may hold the separator without quotes."""
        if loose and loose not in self.columns:
            raise Unusable(f'The file has no column "{loose}", which the mapping calls loose.')
        return self.columns.index(loose) if loose else None

    def _rows(self, start: int) -> Iterator[Row]:
        text = self._text()
        reader = self._reader(text)
        next(reader)
        # The number of a row's first line; quoted cells may go over several.
        number, line = 0, reader.line_num + 1 + self._skip
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(number, f"line {line}", {}, f"The line is not valid CSV: {error}.")
                number += 1
            else:
                if cells:
                    yield self._row(number, f"line {line}", cells)
                    number += 1
            line = reader.line_num + 1 + self._skip

    def _row(self, number: int, place: str, cells: list[str]) -> Row:
        surplus = len(cells) - len(self.columns)
        if surplus > 0 and self._loose is not None:
            end = self._loose + surplus + 1
            cells[self._loose : end] = [self._separator.join(cells[self._loose : end])]
        if len(cells) == len(self.columns):
            made = dict(zip(self.columns, cells, strict=True))
            made.pop("", None)
            return Row(number, place, made)
        text = self._separator.join(cells).encode(errors="surrogateescape")
        what = f"The row has {len(cells)} cells and the header {len(self.columns)}; is one of them not quoted?"
        if surplus > 0:
            what += " If it is always the same column, name it in the mapping: loose under [file]."
        return Row(number, place, {}, what, text)


def _separator(header: str, quote: str) -> str:
    """The one that is most frequent in the header, outside of quotes."""
    outside = "".join(header.split(quote)[::2]) if quote else header
    return max(SEPARATORS, key=outside.count)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    for line, read in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
        refuse_overlong(read, line)
        yield read
