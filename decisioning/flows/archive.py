"""The event log comes in; the archive, kept like it, and all customers' facts from the archive, come out.

    write(moment)                take in what is complete; killed anywhere, nothing is lost and nothing is there twice
    verify(moment)               compare every month with PostgreSQL, and mend what differs
    tidy(moment)                 merge small files, prepare anew what was prepared in another way, drop what expired
    bucket_facts(bucket, now)    the facts of one bucket of customers; buckets are independent of each other

One process at a time writes; readers never wait. `moment` is real time, as ids of events are; `now` is the product's.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import polars as pl
from django.conf import settings
from django.db import connection, transaction

from rules.language.nodes import History

from ..customers import profile
from ..customers.facts.custom import NONE, Customs, with_customs
from ..customers.facts.frame import facts_at, needed, vocabulary_of
from ..customers.facts.histories import customs, wanted, with_histories
from ..customers.facts.history import Prepared
from ..customers.facts.vocabulary import Vocabulary
from ..customers.intake import partitions
from ..store import extract, mending, parts, shelving
from ..store.archive import Bucket, customers_of
from ..store.columns import loosened, together
from ..store.files import files
from ..store.parts import BUCKETS

LOCK: Final = 7011972
# How far clocks of the machines that number events may lie apart, with the time from numbering to storing.
MARGIN: Final = timedelta(seconds=60)
PIECE: Final = 250_000
# A few events are read from PostgreSQL as quickly as from files: written are many, or those that wait for long.
LEAST: Final = 20_000
LONGEST: Final = timedelta(minutes=15)
# Retired files stay so long for those who are reading them.
READERS: Final = timedelta(hours=1)
RUNS: Final = "runs"
LEARNED_FROM: Final = {
    "events": ["customer_id", "at", "name"],
    "orders": ["customer_id", "at", "total"],
    "lines": ["customer_id", "at", "department", "amount"],
}


@dataclass(frozen=True, slots=True)
class Written:
    """Events taken in, files written, and until which event id the archive is complete now."""

    events: int = 0
    files: int = 0
    until: UUID = extract.FIRST


@dataclass(frozen=True, slots=True)
class Tidied:
    """Buckets whose files were merged, prepared anew or had waiting events handled; months dropped; files deleted."""

    merged: int = 0
    dropped: int = 0
    deleted: int = 0


@contextmanager
def alone() -> Iterator[bool]:
    """Whether nobody else writes to the archive; until the end of the block nobody else will."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (mine,) = cursor.fetchone()
        try:
            yield mine
        finally:
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def write(moment: datetime, *, margin: timedelta = MARGIN, least: int = LEAST, piece: int = PIECE) -> Written:
    """Archive what is complete, `piece` events at a time; nothing while there are few and none waits for long."""
    events = written = 0
    with alone() as mine:
        low = parts.watermark()
        if not mine:
            return Written(until=low)
        bound = extract.complete_until(margin)
        if bound <= low or not _worth_it(low, bound, least, moment):
            return Written(until=low)
        while low < bound:
            high = extract.nth_id(low, bound, piece)
            found = shelving.shelve(files(), extract.events(low, high))
            _count_in(found, high, moment)
            events += sum(one.rows for one in found.closed.values())
            written += len(found.parts)
            low = high
    return Written(events, written, low)


def _worth_it(low: UUID, bound: UUID, least: int, moment: datetime) -> bool:
    if least <= 1 or extract.nth_id(low, bound, least - 1) < bound:
        return True
    first = extract.nth_id(low, bound, 0)
    return first < bound and partitions.moment_of(first) <= moment - LONGEST


def _count_in(found: shelving.Shelved, until: UUID, moment: datetime) -> None:
    """Files become parts, and the archive is complete until there: both or neither."""
    with transaction.atomic():
        held = parts.closed()
        parts.ArchivePart.objects.bulk_create(found.parts)
        for shelf, more in found.closed.items():
            parts.close(shelf, held.get(shelf, parts.Closed()).plus(more))
        parts.raise_watermark(until, moment.date())


def verify(moment: datetime) -> list[mending.Mended]:
    """Compare each month of the archive with PostgreSQL, and mend it where it differs; what was mended."""
    with alone() as mine:
        if not mine:
            return []
        below = parts.watermark()
        held = parts.closed()
        there = {parts.Shelf(keep, month) for _, keep, month, _, _ in partitions.leaves()}
        sizes = mending.sizes(files())
        found = [
            mending.mend(files(), shelf, below, held.get(shelf, parts.Closed()), sizes, moment)
            for shelf in sorted(there)
        ]
    return [one for one in found if one is not None]


def tidy(moment: datetime) -> Tidied:
    """Everything that keeps the archive small and quick; what is read meanwhile stays readable."""
    with alone() as mine:
        if not mine:
            return Tidied()
        merged = sum(mending.tidy_bucket(files(), shelf, bucket, moment) for shelf, bucket in mending.untidy())
        parts.retire_former(moment)
        dropped = _drop_expired(moment)
        deleted = parts.sweep(files(), moment - READERS)
        deleted += _sweep_runs(moment - READERS)
    return Tidied(merged, dropped, deleted)


def _drop_expired(moment: datetime) -> int:
    """Forget months that are past their time and that PostgreSQL has dropped; how many."""
    there = {parts.Shelf(keep, month) for _, keep, month, _, _ in partitions.leaves()}
    gone = [shelf for shelf in parts.closed() if shelf.is_past(moment) and shelf not in there]
    for shelf in gone:
        with transaction.atomic():
            parts.forget_shelf(shelf, moment)
    return len(gone)


def bucket_facts(
    bucket: int,
    now: datetime,
    vocabulary: Vocabulary,
    histories: Mapping[str, History],
    only: Collection[str] | None = None,
    customs: Customs = NONE,
) -> pl.DataFrame:
    """The facts of a bucket's customers, all or `only` some, the histories and the custom facts: a row each, by id."""
    log = Bucket(bucket)
    people = customers_of(bucket)
    known = log.prepared(needed(vocabulary, only)).before(now, inclusive=True)
    facts = facts_at(known, people, now, vocabulary, only)
    if histories:
        events = log.raw_events({one.event for one in histories.values()})
        facts = with_histories(facts, events, histories, now)
    return with_customs(facts, customs)


def learn(now: datetime) -> Vocabulary:
    """The vocabulary of everybody up to now, from the archive: as `profile.learn` learns it from PostgreSQL."""
    logs = [Bucket(bucket).prepared(LEARNED_FROM).before(now, inclusive=True).tables() for bucket in range(BUCKETS)]
    known = Prepared(**{name: pl.concat([log[name] for log in logs]) for name in LEARNED_FROM})
    return vocabulary_of(known, profile.read_customers(), now, settings.FACTS_TIME_ZONE)


def compute(run: str, bucket: int, now: datetime) -> int:
    """The facts of a bucket, kept under the run's name until somebody gathers them; how many customers.

    Done again after a kill it is the same. `run` is a name of letters, digits and hyphens.
    """
    facts = bucket_facts(bucket, now, profile.vocabulary(), wanted(), customs=customs())
    mixed = [name for name, dtype in facts.schema.items() if isinstance(dtype, pl.Struct)]
    with files().writing(_place(run, bucket)) as place:
        facts.with_columns(loosened(facts[name]) for name in mixed).write_parquet(place)
    return facts.height


def gathered(run: str) -> pl.DataFrame:
    """What all buckets' jobs of a run have computed, by bucket and id; FileNotFoundError while one is missing."""
    places = [files().local(_place(run, bucket)) for bucket in range(BUCKETS)]
    return together([pl.read_parquet(place) for place in places])


def _place(run: str, bucket: int) -> str:
    return f"{RUNS}/{run}/{bucket:02d}.parquet"


def _sweep_runs(before: datetime) -> int:
    lost = [path for path, one in files().listing(RUNS).items() if one.at < before.timestamp()]
    files().delete(lost)
    return len(lost)
