"""Something to learn in; a row that tells how far it is and how it ended, out. Only one of a kind runs at a time.

Who runs holds an advisory lock of PostgreSQL on the connection: it ends with the process, however that dies. So a row
that says "running" while nobody holds the lock is one that died.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.db import connection
from django.db.models.functions import Now

from ..models import Artefact, LearningRun

LOCK: Final = 7_011_981
KEPT: Final = 200  # rows of a kind
TRY: Final = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
UNLOCK: Final = "SELECT pg_advisory_unlock(%s, hashtext(%s))"
# Of two numbers, in the order they were given.
HELD: Final = """
SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND classid = %s AND objid = (hashtext(%s)::bigint & 4294967295)::oid)
"""
SINCE: Final = "SELECT clock_timestamp() - started_at FROM decisioning_learningrun WHERE id = %s"
DIED: Final = "Its process ended before it was done."
LONGEST: Final = 300


class Busy(ValueError):
    """Another one of the kind runs."""


class Run:
    """What is told while something is learned."""

    def __init__(self, pk: int) -> None:
        self.pk = pk

    def tell(self, done: int, of: int, what: str) -> None:
        """So many steps are done, and this is being done now."""
        LearningRun.objects.filter(pk=self.pk).update(step=done, steps=of, doing=what)

    def made(self, artefact: Artefact) -> None:
        """What came of it."""
        LearningRun.objects.filter(pk=self.pk).update(artefact=artefact)


@contextmanager
def alone(verb: str, reason: str) -> Iterator[Run]:
    """A run of this kind, written down however it ends. Raises Busy while another one goes on."""
    with connection.cursor() as cursor:
        cursor.execute(TRY, [LOCK, verb])
        if not cursor.fetchone()[0]:
            running = newest(verb)
            said = f" since {running.started_at:%H:%M} UTC ({running.reason})" if running else ""
            raise Busy(f"Another `learn {verb}` runs{said}; wait until it is done.")
    _bury(verb)
    row = LearningRun.objects.create(verb=verb, reason=reason[:LONGEST])
    try:
        yield Run(row.pk)
    except BaseException as error:
        if not connection.needs_rollback:
            _end(row.pk, LearningRun.State.FAILED, f"{error}" or type(error).__name__)
        raise
    else:
        _end(row.pk, LearningRun.State.DONE)
    finally:
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK, [LOCK, verb])


def newest(verb: str) -> LearningRun | None:
    """The last one that was begun, as it is."""
    row = LearningRun.objects.filter(verb=verb).order_by("-pk").first()
    return as_it_is(row) if row is not None else None


def as_it_is(row: LearningRun) -> LearningRun:
    """One that died is failed by what is returned, not yet by what is stored."""
    if row.state == LearningRun.State.RUNNING and not held(row.verb):
        row.state, row.error = LearningRun.State.FAILED, DIED
    return row


def held(verb: str) -> bool:
    """Whether somebody is at it, here or in any other process."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, [LOCK, verb])
        return bool(cursor.fetchone()[0])


def since(run: LearningRun) -> timedelta:
    """How long ago it began, by the clock that wrote it."""
    with connection.cursor() as cursor:
        cursor.execute(SINCE, [run.pk])
        found: timedelta = cursor.fetchone()[0]
        return found


def _end(pk: int, state: str, error: str = "") -> None:
    """What was told last stays: of one that ended well, it says what came of it."""
    LearningRun.objects.filter(pk=pk).update(state=state, error=error, finished_at=Now())


def _bury(verb: str) -> None:
    """Called with the lock: whoever says "running" died. Old rows go."""
    mine = LearningRun.objects.filter(verb=verb)
    mine.filter(state=LearningRun.State.RUNNING).update(
        state=LearningRun.State.FAILED, error=DIED, finished_at=Now(), doing=""
    )
    if kept := list(mine.order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 1]):
        mine.filter(pk__lte=kept[0]).delete()
