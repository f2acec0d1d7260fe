"""A file to import and its mapping in; each row's meaning, or why it has none, out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ..customers.models import Consent
from .files import fingerprint, modified_at, open_file
from .handing import Failure, Placed
from .items import Finish, Item, Occurrences
from .mapping import RowMapping, Unusable, read_words
from .reading import File, Row
from .shapes import CONTENTS, CUSTOMERS, SHAPES
from .values import Misfit

Meaning = Item | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One file to import, and how."""

    kind: str
    path: Path
    mapping: str = ""
    format: str = ""
    source: str = ""
    # Imported events are history, which triggers nothing; live ones do.
    live: bool = False
    limit: int | None = None
    max_failures: int | None = None
    # When customers' rows that name no time were true; otherwise when the file was written.
    as_of: datetime | None = None
    restart: bool = False

    @property
    def told_source(self) -> str:
        """Where the events come from, as the log keeps it."""
        return self.source or f"import {self.path.name}"

    def digest(self) -> str:
        """What makes this import this one: the file, the mapping and the words that change what a row becomes."""
        about = [self.kind, self.mapping, self.format, self.live, self.as_of, self.limit, fingerprint(self.path)]
        return blake2b(repr(about).encode(), digest_size=32).hexdigest()


class Preparing:
    """Rows in, their meaning or why there is none out; one for each file."""

    def __init__(self, job: Job) -> None:
        words = read_words(job.mapping)
        shape = SHAPES[job.kind]
        self.file: File = open_file(job.path, words.file, job.format)
        self.mapping = RowMapping(shape, words, self.file.typed)
        if self.file.columns and (missing := self.mapping.missing(self.file.columns)):
            raise Unusable(" ".join(missing))
        self.occurrences = Occurrences()
        as_of = job.as_of or modified_at(job.path)
        finish = Finish(self.occurrences.before, not job.live, as_of, tuple(Consent.Channel.values))
        finishers: dict[str, Callable[[dict[str, Any]], Meaning]] = {
            CUSTOMERS.name: finish.customer,
            CONTENTS.name: lambda made: made,
        }
        self._finish = finishers.get(job.kind, finish.event)
        # Rows are counted by their content from the first one on; contents have keys instead.
        self.counts = job.kind != CONTENTS.name

    def prepare(self, row: Row) -> Placed[Meaning] | Failure:
        """What the row means, or why it cannot be used."""
        if row.problem:
            return Failure(row.place, "unreadable_row", row.problem, row.shown())
        try:
            return Placed(row.place, self._finish(self.mapping.item(row.cells)))
        except Misfit as misfit:
            return Failure(row.place, "unfit_row", str(misfit), row.shown())

    def rows(self, start: int, limit: int | None) -> Iterator[tuple[int, Placed[Meaning] | Failure]]:
        """From row `start` on; what lies before it is read too where rows are counted by their content."""
        for row in self.file.rows(0 if self.counts else start):
            if limit is not None and row.number >= limit:
                return
            prepared = self.prepare(row)
            if row.number >= start:
                yield row.number, prepared

    def close(self) -> None:
        """Let go of the files."""
        self.occurrences.close()
        self.file.close()
