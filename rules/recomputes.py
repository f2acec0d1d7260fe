"""A computing of segments for everybody in; a row that tells how far it is and how it ended, out.

The row is written outside of the computing's transactions, so that others see it while it runs; one that has not told
for `SILENT` seconds has died with its process, a run of all, whose parts may wait in a queue, after `QUEUED`. Whoever
was taken for dead and ends well after all is done.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat, Left, Now

from .models import Recompute

SILENT, QUEUED = 60, 1800  # seconds
KEPT: Final = timedelta(days=30)
CLUSTERING: Final = "clustering"  # the reason of a run that looks for clusters: no segment by condition is computed
LONGEST_ERROR: Final = 2000


def of_all() -> QuerySet[Recompute]:
    """The runs that compute all segments for everybody."""
    return Recompute.objects.filter(segment__isnull=True).exclude(reason=CLUSTERING)


class Progress:
    """What a computing calls to say how far it is."""

    def __init__(self, pk: int) -> None:
        self.pk = pk

    def tell(self, done: int, entered: int = 0, left: int = 0) -> None:
        """So many customers more, and so many entries and exits. Never inside of a transaction that may fail."""
        Recompute.objects.filter(pk=self.pk).update(
            done=F("done") + done, entered=F("entered") + entered, left=F("left") + left, seen_at=Now()
        )

    def complain(self, why: str) -> None:
        """Somebody could not be computed: the rest goes on, and the run ends as failed."""
        text = Left(Concat(F("error"), Value(why + "\n")), LONGEST_ERROR)
        Recompute.objects.filter(pk=self.pk, state=Recompute.State.RUNNING).update(error=text)


def begin(
    reason: str, total: int, segment_id: int | None = None, holds: Mapping[str, Sequence[str]] | None = None
) -> Progress:
    """A computing of one segment, or of all; `holds` is what everybody's facts hold once it is done."""
    row = Recompute.objects.create(segment_id=segment_id, reason=reason[:200], total=total, holds=holds or {})
    return Progress(row.pk)


def finish(progress: Progress, error: str = "") -> None:
    """It ended; with an error the last good result stays in use."""
    state = Recompute.State.FAILED if error else Recompute.State.DONE
    Recompute.objects.filter(pk=progress.pk).exclude(state=Recompute.State.DONE).update(
        state=state, error=error[:LONGEST_ERROR], finished_at=Now(), seen_at=Now()
    )


@contextmanager
def watched(reason: str, total: int, segment_id: int | None = None) -> Iterator[Progress]:
    """Begin, and finish however the block ends."""
    progress = begin(reason, total, segment_id)
    try:
        yield progress
    except BaseException as error:
        if not connection.in_atomic_block:
            finish(progress, f"{type(error).__name__}: {error}")
        raise
    finish(progress)


def bury() -> int:
    """Mark those that died as failed, and forget old ones; how many had died."""
    of_all = ~Q(holds={})
    own, whole = (Now() - timedelta(seconds=limit) for limit in (SILENT, QUEUED))
    silent = Q(~of_all, seen_at__lt=own) | Q(of_all, seen_at__lt=whole)
    died = Recompute.objects.filter(silent, state=Recompute.State.RUNNING).update(
        state=Recompute.State.FAILED, error="Its process ended before it was done.", finished_at=Now()
    )
    with transaction.atomic():
        Recompute.objects.filter(started_at__lt=Now() - KEPT).delete()
    return died
