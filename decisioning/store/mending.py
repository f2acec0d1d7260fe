"""A month of the archive comes in; the same with what was missing, surplus, damaged, scattered or outdated put right.

Every change writes new files, and one transaction lets these count instead of the old ones.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import polars as pl
from django.db import transaction

from ..models import ArchivePart
from . import extract, parts, shelving
from .files import Files
from .parts import NOWHERE, RAW, WAITING, WHO, Closed, Shelf

MOST_PARTS: Final = 8
AT_ONCE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Mended:
    """What differed from PostgreSQL in one month: events that were missing, events too many, damaged files."""

    shelf: Shelf
    missing: int
    surplus: int
    damaged: int


def sizes(files: Files) -> dict[str, int]:
    """The bytes of every file there is."""
    return {path: one.size for path, one in files.listing(parts.ROOT).items()}


def mend(
    files: Files, shelf: Shelf, below: UUID, held: Closed, found: dict[str, int], moment: datetime
) -> Mended | None:
    """Make a month hold exactly the events with smaller ids that PostgreSQL has; None where it did.

    `found` are the sizes of the files there are.
    """
    there = Closed(*extract.count(shelf.keep, shelf.month, below))
    mine = list(parts.live(shelf))
    damaged = [part for part in mine if found.get(part.path) != part.bytes]
    listed = sum(part.rows for part in mine if part.table in (RAW, WAITING))
    if there == held and listed == held.rows and not damaged:
        return None
    wanted = extract.ids_of(shelf.keep, shelf.month, below)
    whole = [part for part in mine if part not in damaged]
    known = _ids(files, whole)
    surplus = known.filter(~known.is_in(wanted.implode()))
    missing = wanted.filter(~wanted.is_in(known.implode()))
    buckets = {part.bucket for part in damaged} | _buckets_with(files, whole, surplus)
    written = [_rewritten(files, shelf, bucket, whole, surplus) for bucket in sorted(buckets)]
    written += [shelving.shelve(files, events).parts for events in _read(missing)]
    with transaction.atomic():
        parts.retire([part for part in mine if part.bucket in buckets], moment)
        ArchivePart.objects.bulk_create([part for some in written for part in some])
        parts.close(shelf, there)
    return Mended(shelf, len(missing), len(surplus), len(damaged))


def _ids(files: Files, found: Collection[ArchivePart]) -> pl.Series:
    places = [str(files.local(part.path)) for part in found if part.table in (RAW, WAITING)]
    return pl.read_parquet(places, columns=["id"])["id"] if places else pl.Series("id", [], dtype=pl.Binary)


def _buckets_with(files: Files, found: Collection[ArchivePart], ids: pl.Series) -> set[int]:
    if ids.is_empty():
        return set()
    return {part.bucket for part in found if _ids(files, [part]).is_in(ids.implode()).any()}


def _rewritten(
    files: Files, shelf: Shelf, bucket: int, found: Collection[ArchivePart], surplus: pl.Series
) -> list[ArchivePart]:
    """All tables of a bucket, from its raw rows without those that are too many."""
    mine = [part for part in found if part.bucket == bucket]
    kept = ~pl.col("id").is_in(surplus.implode())
    return _put(files, shelf, bucket, _rows(files, mine, RAW).filter(kept), _rows(files, mine, WAITING).filter(kept))


def _put(files: Files, shelf: Shelf, bucket: int, raw: pl.DataFrame, waiting: pl.DataFrame) -> list[ArchivePart]:
    identities = pl.concat([raw, waiting]).select("identity_id").unique()
    homes = identities.with_columns(bucket=pl.lit(bucket, pl.Int16))
    return shelving.put(files, shelf, homes, raw, waiting)


def _rows(files: Files, found: Collection[ArchivePart], table: str) -> pl.DataFrame:
    places = [str(files.local(part.path)) for part in found if part.table == table]
    return pl.read_parquet(places) if places else pl.DataFrame(schema=extract.RAW)


def _read(ids: pl.Series) -> Iterator[pl.DataFrame]:
    for some in ids.to_frame().iter_slices(AT_ONCE):
        yield extract.events_with([UUID(bytes=one) for one in some["id"]])


def untidy() -> list[tuple[Shelf, int]]:
    """Buckets of months with many files of a table, rows prepared in another way than today, or waiting rows."""
    today = parts.schema()
    counts: dict[tuple[Shelf, int, str], int] = {}
    found: set[tuple[Shelf, int]] = set()
    for part in parts.live():
        key = (parts.shelf_of(part), part.bucket)
        counts[(*key, part.table)] = counts.get((*key, part.table), 0) + 1
        if part.table == WAITING or (part.table == RAW and part.schema != today):
            found.add(key)
    found |= {(shelf, bucket) for (shelf, bucket, _), count in counts.items() if count > MOST_PARTS}
    return sorted(one for one in found if one[1] != NOWHERE)


def tidy_bucket(files: Files, shelf: Shelf, bucket: int, moment: datetime) -> bool:
    """One bucket of a month: what waited and is handled becomes ordinary rows, outdated rows are prepared anew, many
    files become one. Whether there was anything to do."""
    mine = [part for part in parts.live(shelf) if part.bucket == bucket]
    waiting = _rows(files, mine, WAITING)
    handled = waiting.filter(~pl.col("id").is_in(extract.waiting().implode())) if waiting.height else waiting
    still = waiting.filter(~pl.col("id").is_in(handled["id"].implode()))
    if any(part.table == RAW and part.schema != parts.schema() for part in mine):
        raw = pl.concat([_rows(files, mine, RAW), handled])
        return _switch(mine, _put(files, shelf, bucket, raw, still), moment)
    if handled.height:
        waited = [part for part in mine if part.table == WAITING]
        return _switch(waited, _put(files, shelf, bucket, handled, still), moment)
    many = [name for name in {part.table for part in mine} if sum(part.table == name for part in mine) > MOST_PARTS]
    for name in many:
        old = [part for part in mine if part.table == name]
        _switch(old, parts.write(files, shelf, bucket, {name: _merged(files, old, name)}, parts.schema()), moment)
    return bool(many)


def _merged(files: Files, old: Collection[ArchivePart], table: str) -> pl.DataFrame:
    rows = pl.read_parquet([str(files.local(part.path)) for part in old])
    if table == WHO:
        return shelving.who(rows)
    order = shelving.ORDER if table in (RAW, WAITING) else ("identity_id", "at")
    return rows.sort(order, maintain_order=True)


def _switch(old: Collection[ArchivePart], new: Collection[ArchivePart], moment: datetime) -> bool:
    with transaction.atomic():
        parts.retire(old, moment)
        ArchivePart.objects.bulk_create(new)
    return True
