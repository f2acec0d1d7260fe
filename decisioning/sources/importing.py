"""A file and what is to be done with it in; its rows in the database, chunk by chunk with their progress, out.

A chunk's rows and how far the file was read are one transaction, so an import killed anywhere goes on exactly where it
was. A file that changed in between is refused, because rows are found again by their number.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F

from ..customers.identity.known import known
from ..customers.models import ImportRun
from ..customers.plan import planning
from .handing import Done, Failure, Placed
from .kinds import preparing_of, writer_of
from .mapping import Unusable
from .preparing import Job, Meaning, Prepares
from .progress import Watch

CHUNK: Final = 2_000
SHOWN: Final = 3
# First half of the key of the lock that one process holds on one file.
LOCK: Final = 0x1447
GOOD: Final = ("added", "created", "changed", "acceptable")
AGAIN: Final = ("duplicates", "unchanged")

Chunk = list[tuple[int, Placed[Meaning] | Failure]]


@dataclass(slots=True)
class Told:
    """What came of an import: counts by name, failed rows, and up to three items as they were understood."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    rows: int = 0
    examples: list[Meaning] = field(default_factory=list)
    stopped: bool = False
    resumed_at: int = 0

    def add(self, done: Done, rows: int) -> None:
        """A chunk more."""
        self.counts += done.counts
        self.failed += len(done.failures)
        self.rows += rows


def run(job: Job, now: Callable[[], datetime], watch: Watch) -> Told:
    """Import the file. Raises Unusable, or what the database raises; running it again goes on behind the last chunk."""
    if not _locked(job):
        raise Unusable(f"Another process is importing {job.path.name}; wait until it ends.")
    try:
        preparing = preparing_of(job)
        row = _begin(job, now())
        try:
            told = _import(job, preparing, row, now, watch)
        except Unusable as error:
            ImportRun.objects.filter(pk=row.pk).update(problem=str(error))
            raise
        finally:
            preparing.close()
        planning.flush(now())
        return told
    finally:
        _unlock(job)


def rehearse(job: Job, now: datetime, watch: Watch) -> Told:
    """The same with nothing written: every row is read, understood and checked."""
    preparing, writer = preparing_of(job), writer_of(job)
    told = Told()
    try:
        for chunk in _chunks(preparing.rows(0, job.limit)):
            done = writer.check(*_parted(chunk), now)
            told.examples += [one.what for _, one in chunk if isinstance(one, Placed)][: SHOWN - len(told.examples)]
            _tell(told, done, chunk, preparing, watch)
            if _too_many(job, told):
                break
    finally:
        preparing.close()
    return told


def _import(job: Job, preparing: Prepares, row: ImportRun, now: Callable[[], datetime], watch: Watch) -> Told:
    told, writer = Told(resumed_at=row.row), writer_of(job)
    for chunk in _chunks(preparing.rows(row.row, job.limit)):
        try:
            with transaction.atomic():
                done = writer.write(*_parted(chunk), now())
                _advance(row, chunk[-1][0] + 1, done)
        except BaseException:
            # What this process believes to be stored may have been taken back.
            known.ids.clear()
            raise
        _tell(told, done, chunk, preparing, watch)
        if _too_many(job, told):
            ImportRun.objects.filter(pk=row.pk).update(problem="Stopped: too many rows failed.")
            return told
    ImportRun.objects.filter(pk=row.pk).update(finished_at=now(), problem="")
    return told


def _chunks(rows: Iterable[tuple[int, Placed[Meaning] | Failure]]) -> Iterator[Chunk]:
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _parted(chunk: Chunk) -> tuple[list[Placed[Any]], list[Failure]]:
    good = [one for _, one in chunk if isinstance(one, Placed)]
    return good, [one for _, one in chunk if isinstance(one, Failure)]


def _tell(told: Told, done: Done, chunk: Chunk, preparing: Prepares, watch: Watch) -> None:
    rows = sum(one.rows for _, one in chunk)
    told.add(done, rows)
    for failed in done.failures:
        watch.failed(failed.place, failed.reason)
    watch.advance(rows, *preparing.file.progress())


def _too_many(job: Job, told: Told) -> bool:
    told.stopped = job.max_failures is not None and told.failed > job.max_failures
    return told.stopped


def _begin(job: Job, now: datetime) -> ImportRun:
    """The run that was interrupted, or a new one."""
    digest, path = job.digest(), str(job.path.resolve())
    open_runs = ImportRun.objects.filter(kind=job.kind, path=path, finished_at__isnull=True)
    if job.restart:
        open_runs.update(finished_at=now, problem="Given up for a new start.")
    last = open_runs.order_by("-pk").first()
    if last is None:
        return ImportRun.objects.create(kind=job.kind, path=path, digest=digest)
    if last.digest != digest:
        raise Unusable(
            f"{job.path.name}, its mapping or the options changed since an import of it stopped at row {last.row}. "
            "Give --restart to begin anew: what is stored already does not count twice."
        )
    return last


def _advance(row: ImportRun, then: int, done: Done) -> None:
    ImportRun.objects.filter(pk=row.pk).update(
        row=then,
        added=F("added") + _sum(done, GOOD),
        duplicates=F("duplicates") + _sum(done, AGAIN),
        failed=F("failed") + len(done.failures),
    )


def _sum(done: Done, words: tuple[str, ...]) -> int:
    """What was counted under one of these words; a kind of several things says before it of what: "items created"."""
    return sum(count for name, count in done.counts.items() if name.rpartition(" ")[2] in words)


def _locked(job: Job) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [LOCK, str(job.path.resolve())])
        return bool(cursor.fetchone()[0])


def _unlock(job: Job) -> None:
    """The server does it by itself where the connection was lost."""
    if connection.is_usable():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", [LOCK, str(job.path.resolve())])
