"""Everybody in; facts, segments, triggers and profiles anew, bucket by bucket, out.

Time alone moves facts that nothing published watches, and what is newly published asks for facts that nobody has yet.
Customers are taken by a few hundred, each few in a transaction of their own, so that nobody's events wait longer than
for one of those. Buckets are independent: any number of workers may have one each.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from rules import recomputes, segments
from rules.models import How, Recompute, Segment
from rules.segments import Because

from ..customers import profile
from ..customers.facts import holding
from ..customers.models import Customer
from ..store import publishing
from . import archive
from .anew import Anew, settle_anew
from .react import Reacted, summed
from .standing import standing

BUCKETS: Final = 16
AT_ONCE: Final = 500
NEXT: Final = """
SELECT id FROM customers_customer WHERE merged_into_id IS NULL AND id > %s AND id %% %s = %s
ORDER BY id LIMIT %s FOR NO KEY UPDATE
"""
DONE: Final = """
UPDATE rules_recompute SET parts = array_append(parts, %s::smallint), seen_at = now()
WHERE id = %s AND NOT (%s::smallint = ANY(parts))
"""
# Of those who end last only one has it: the row is locked by whoever asks.
WHOLE: Final = "SELECT cardinality(parts) >= %s AND state <> 'done' FROM rules_recompute WHERE id = %s FOR UPDATE"


def refresh_all(now: datetime, reason: str = "on the hour") -> Reacted:
    """Everybody, here and now: after an import, or where no workers run."""
    run = begin(now, reason)
    return summed(refresh_bucket(run, bucket, now) for bucket in range(BUCKETS))


def begin(now: datetime, reason: str) -> int:
    """Learn the vocabulary anew, and open a run of all buckets; its id.

    The vocabulary is kept from then on: whoever is handled meanwhile is cut by the new one.
    """
    total = Customer.objects.filter(merged_into__isnull=True).count()
    known = standing()
    # What is published while it runs is not held by those who were handled before.
    holds = {"marks": sorted({*known.histories, *known.customs.marks}), "asked": sorted(known.dues)}
    progress = recomputes.begin(reason, total, holds=holds)
    try:
        profile.keep(archive.learn(now), now)
    except Exception as error:
        recomputes.finish(progress, f"{type(error).__name__}: {error}")
        raise
    return progress.pk


def refresh_bucket(run: int, bucket: int, now: datetime) -> Reacted:
    """The customers of one bucket; whoever ends the last one closes the run. Doing one again changes nothing."""
    progress = recomputes.Progress(run)
    parts: list[Reacted] = []
    try:
        for tried in _sweep(bucket, now):
            progress.tell(tried.done.customers, tried.done.entered, tried.done.left)
            parts.append(tried.done)
            for customer, why in tried.failed.items():
                progress.complain(f"Customer {customer} keeps the segments of before: {why}")
    except Exception as error:
        recomputes.finish(progress, f"bucket {bucket}: {type(error).__name__}: {error}")
        raise
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(DONE, [bucket, run, bucket])
        cursor.execute(WHOLE, [BUCKETS, run])
        row = cursor.fetchone()
        if row and row[0]:
            _complete(run, now)
    return summed(parts)


def running() -> bool:
    """Whether a run of all buckets is under way."""
    return recomputes.of_all().filter(state=Recompute.State.RUNNING).exists()


def _sweep(bucket: int, now: datetime) -> Iterator[Anew]:
    last = 0
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(NEXT, [last, BUCKETS, bucket, AT_ONCE])
                ids = [pk for (pk,) in cursor.fetchall()]
            if not ids:
                return
            tried = settle_anew(ids, now, standing(), Because(How.REFRESH), announce=True)
        last = ids[-1]
        yield tried


def _complete(run: int, now: datetime) -> None:
    """Everybody's facts hold what is published now."""
    row = Recompute.objects.get(pk=run)
    held = frozenset(row.holds["marks"])
    holding.hold(held, row.holds["asked"])
    waiting = {one.id for one in standing().audiences if not one.marks <= held}
    kinds = (Segment.Kind.CLUSTER, Segment.Kind.CONDITION)
    computed = Segment.objects.filter(active=True, kind__in=kinds).exclude(pk__in=waiting)
    segments.measure(list(computed.values_list("pk", flat=True)), now)
    publishing.mark_complete()
    complaints = row.error if row.state == Recompute.State.RUNNING else ""
    recomputes.finish(recomputes.Progress(run), complaints)
