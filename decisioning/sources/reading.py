"""What all formats of files have in common: rows, unpacking, progress, and a bound on the length of lines. Pure."""

import gzip
import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from .mapping import FileWords, Unusable

GZIP: Final = b"\x1f\x8b"
# Longer lines and cells are signs of a file that is not what it seems, and would fill the memory.
LONGEST_LINE: Final = 4 * 1024 * 1024
DAMAGED: Final = (EOFError, gzip.BadGzipFile, zlib.error)

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number from 0 without a header, where a person finds it, its cells by column, or its problem."""

    number: int
    place: str
    cells: dict[str, Any]
    problem: str = ""
    # What there was, for a row that could not be read.
    text: bytes = b""

    def shown(self) -> bytes:
        """The row as it is kept when it is refused."""
        if self.text or not self.cells:
            return self.text
        try:
            return _encode(self.cells)
        except (UnicodeError, TypeError, ValueError):
            return repr(self.cells).encode(errors="backslashreplace")


class File(ABC):
    """An open file: `rows(start)` gives them, `progress()` says how far of how much, `columns` are its names."""

    typed = False

    def __init__(self, path: Path, words: FileWords) -> None:
        self.path, self.words = path, words
        self.columns: tuple[str, ...] = ()
        self.size = path.stat().st_size
        self._raw: IO[bytes] | None = None

    def rows(self, start: int = 0) -> Iterator[Row]:
        """Rows from number `start` on. Raises Unusable where the file itself cannot be read."""
        try:
            for row in self._rows(start):
                if row.number >= start:
                    yield row
        except DAMAGED as error:
            raise Unusable(f"{self.path.name} is damaged or was cut off: {error}.") from None
        finally:
            self.close()

    @abstractmethod
    def _rows(self, start: int) -> Iterator[Row]:
        """What the format holds, from a row at or before `start` on."""

    def progress(self) -> tuple[int, int]:
        """How much was read, of how much: bytes of the file as it lies on the disk."""
        done = self.size if self._raw is None or self._raw.closed else self._raw.tell()
        return done, self.size

    def close(self) -> None:
        """Let go of the file."""
        if self._raw is not None:
            self._raw.close()

    def open(self) -> IO[bytes]:
        """The file from its beginning, unpacked."""
        self.close()
        self._raw = self.path.open("rb")
        packed = self._raw.read(2) == GZIP
        self._raw.seek(0)
        return io.BufferedReader(gzip.GzipFile(fileobj=self._raw)) if packed else self._raw


def refuse_overlong(read: str | bytes, line: int) -> None:
    if len(read) >= LONGEST_LINE:
        raise Unusable(f"Line {line} is longer than {LONGEST_LINE // 1024**2} MB; is the file of another format?")
