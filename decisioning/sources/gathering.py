"""Rows of a file that belong together, wherever they stand, in; groups of them, in the order they begin in, out.

They are parked on disk, so that neither a file nor a group's distance matters to the memory.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from ..customers.intake.strict import refuse_nul
from .handing import Failure, Placed
from .preparing import Meaning
from .reading import File, Row
from .values import Misfit

# Failures come first: a wrong mapping shows before anything is stored.
FAILED: Final = -1
MAKE: Final = (
    "CREATE TABLE parked (phase INTEGER, key TEXT, number INTEGER, place TEXT, kept BLOB)",
    "CREATE TABLE noted (about TEXT, at INTEGER, number INTEGER, kept BLOB)",
    "CREATE INDEX noted_about ON noted (about, at, number)",
)
NOTE: Final = "INSERT INTO noted VALUES (?, ?, ?, ?)"
NOTED: Final = "SELECT kept FROM noted WHERE about = ? AND at < ? ORDER BY at, number"
PUT: Final = "INSERT INTO parked VALUES (?, ?, ?, ?, ?)"
GROUPS: Final = """
SELECT phase, key, number, place, kept, min(number) OVER (PARTITION BY phase, key) AS first
FROM parked ORDER BY phase, first, number
"""
_encode = msgspec.json.Encoder(decimal_format="number").encode
_refusal = msgspec.json.Decoder(tuple[str, str]).decode
NOT_UTF_8: Final = "The row holds text that is not UTF-8; name the file's encoding in the mapping."


class Parked(NamedTuple):
    """A row's meaning: where a person finds it, and its bytes."""

    place: str
    kept: bytes


class Parking:
    """Rows by phase and key. Phases come one after the other, groups as their first rows stood, rows as they stood."""

    def __init__(self) -> None:
        # An empty name is SQLite's word for a private file that is deleted when it is closed.
        self._held = sqlite3.connect("", isolation_level=None)
        for line in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA cache_size = -16000",
            *MAKE,
            "BEGIN",
        ):
            self._held.execute(line)

    def put(self, phase: int, key: str, row: Row, meaning: Any) -> None:
        """Park what a row means. Raises Misfit for text that cannot be stored."""
        try:
            kept = _encode(meaning)
            refuse_nul(kept)
            self._held.execute(PUT, (phase, key, row.number, row.place, kept))
        except UnicodeError:
            raise Misfit(NOT_UTF_8) from None
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Misfit(f"The row cannot be kept: {error}.") from None

    def fail(self, row: Row, code: str, reason: str) -> None:
        """Park why a row has no meaning."""
        self._held.execute(PUT, (FAILED, str(row.number), row.number, row.place, _encode((code, reason))))

    def note(self, about: str, at: datetime, number: int, said: Any) -> None:
        """Note what was said of somebody or something at a moment."""
        self._held.execute(NOTE, (about, _instant(at), number, _encode(said)))

    def noted(self, about: str, before: datetime) -> list[bytes]:
        """What had been said before a moment, the oldest first."""
        return [kept for (kept,) in self._held.execute(NOTED, (about, _instant(before)))]

    def groups(self) -> Iterator[tuple[int, list[Parked]]]:
        """Each phase's groups."""
        of, group = (-1, ""), list[Parked]()
        for phase, key, _, place, kept, _ in self._held.execute(GROUPS):
            if (phase, key) != of and group:
                yield of[0], group
                group = []
            of = phase, key
            group.append(Parked(place, kept))
        if group:
            yield of[0], group

    def close(self) -> None:
        """Delete the file."""
        self._held.close()


def _instant(at: datetime) -> int:
    """Microseconds since 1970."""
    return round(at.timestamp() * 1_000_000)


class Gathering(ABC):
    """A file whose rows are gathered into what they tell together, numbered in the order in which that comes."""

    def __init__(self, file: File) -> None:
        self.file, self.parking = file, Parking()

    def rows(self, start: int, limit: int | None) -> Iterator[tuple[int, Placed[Meaning] | Failure]]:
        """From number `start` on; the whole file is read before the first."""
        for row in self.file.rows():
            if limit is not None and row.number >= limit:
                break
            self._take(row)
        for number, (phase, group) in enumerate(self.parking.groups()):
            # What lies before is understood anew too: names that would become one key are told by what came first.
            made = self._made(phase, group)
            if number >= start:
                yield number, made

    def _take(self, row: Row) -> None:
        try:
            if row.problem:
                self.parking.fail(row, "unreadable_row", row.problem)
            else:
                self.park(row)
        except Misfit as misfit:
            self.parking.fail(row, "unfit_row", str(misfit))

    def _made(self, phase: int, group: list[Parked]) -> Placed[Meaning] | Failure:
        place, rows = group[0].place, len(group)
        if phase == FAILED:
            return Failure(place, *_refusal(group[0].kept))
        try:
            return Placed(place, self.whole(phase, [one.kept for one in group]), rows)
        except Misfit as misfit:
            return Failure(place, "unfit_rows", str(misfit), rows=rows)

    @abstractmethod
    def park(self, row: Row) -> None:
        """Put what the row means where it belongs. Raises Misfit."""

    @abstractmethod
    def whole(self, phase: int, parts: list[bytes]) -> Meaning:
        """What the rows of a group mean together. Raises Misfit."""

    def close(self) -> None:
        """Let go of the files."""
        self.parking.close()
        self.file.close()
