"""What is imported in; what reads its files, and what writes or checks what they mean, out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from . import contents
from .decisions import Decisions
from .handing import Done, Failure, Placed, hand_over, look_at
from .landing import Landing
from .metarank import METARANK, Metarank
from .preparing import Job, Prepares, Preparing
from .shapes import CONTENTS, DECISIONS, SHAPES

KINDS: Final = (*SHAPES, METARANK)
Good = Sequence[Placed[Any]]


class Writer(Protocol):
    """Writes a chunk, or only checks it."""

    def write(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done: ...
    def check(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done: ...


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents, through the model's own checks."""

    def write(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done:
        """Create or change them."""
        return contents.write(good, failures)

    def check(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done:
        """What would be refused."""
        return contents.write(good, failures, save=False)


@dataclass(frozen=True, slots=True)
class Intake:
    """Events and customers, through the one intake; `source` is what the log says of where they come from."""

    source: str

    def write(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done:
        """Store them."""
        return hand_over(good, failures, self.source, now)

    def check(self, good: Good, failures: Sequence[Failure], now: datetime) -> Done:
        """What would be refused."""
        return look_at(good, failures, now)


READERS: Final[dict[str, Callable[[Job], Prepares]]] = {DECISIONS.name: Decisions, METARANK: Metarank}


def preparing_of(job: Job) -> Prepares:
    """What reads the job's file. Raises Unusable."""
    return READERS.get(job.kind, Preparing)(job)


def writer_of(job: Job) -> Writer:
    """What writes what the file means."""
    if job.kind == CONTENTS.name:
        return Contents()
    return Landing(job) if job.kind in READERS else Intake(job.told_source)
