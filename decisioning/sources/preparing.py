"""A file to import and its mapping in; each row's meaning, or why it has none, out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from ..customers.models import Consent
from ..store.showing import Followed, Showing
from .files import fingerprint, modified_at, open_file
from .handing import Failure, Placed
from .items import Finish, Item, Occurrences
from .mapping import RowMapping, Unusable, read_words
from .reading import File, Row
from .shapes import CONTENTS, CUSTOMERS, SHAPES
from .values import Misfit

Meaning = Item | dict[str, Any] | Showing | Followed


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
    # Of what was shown elsewhere: how long outcomes count, what a new placement is for, and for Metarank's events
    # the placement and what a type of interaction means.
    window_hours: float | None = None
    objective: str = ""
    placement: str = ""
    meanings: tuple[tuple[str, str], ...] = ()

    @property
    def told_source(self) -> str:
        """Where the events come from, as the log keeps it."""
        return self.source or f"import {self.path.name}"

    def digest(self) -> str:
        """What makes this import this one: the file, the mapping and the words that change what a row becomes."""
        about = [self.kind, self.mapping, self.format, self.live, self.as_of, self.limit, fingerprint(self.path)]
        shown = [self.window_hours, self.objective, self.placement, self.meanings]
        about += shown if any(shown) else []
        return blake2b(repr(about).encode(), digest_size=32).hexdigest()


class Prepares(Protocol):
    """What reads a file: it is numbered what its rows mean, so that it can be found again."""

    file: File

    def rows(self, start: int, limit: int | None) -> Iterator[tuple[int, Placed[Meaning] | Failure]]: ...
    def close(self) -> None: ...


def opened(job: Job) -> tuple[File, RowMapping]:
    """The job's file, and what its rows mean. Raises Unusable."""
    words = read_words(job.mapping)
    file = open_file(job.path, words.file, job.format)
    mapping = RowMapping(SHAPES[job.kind], words, file.typed)
    if file.columns and (missing := mapping.missing(file.columns)):
        raise Unusable(" ".join(missing))
    return file, mapping


class Preparing:
    """Rows in, their meaning or why there is none out; one for each file."""

    def __init__(self, job: Job) -> None:
        self.file, self.mapping = opened(job)
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
