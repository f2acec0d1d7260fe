"""Ids of customers who changed come in; the next version of the frame, in files but not announced yet, comes out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from . import layers, people
from .files import Files
from .layers import BUCKETS, Manifest, Retired
from .people import CUSTOMER, GONE, SEGMENT, VERSION

# Rows that one refresh may rewrite on the way, beside those that changed, or one bucket: it bounds how long it takes.
BUDGET: Final = 50_000
# Files written at a time: Polars and the disk work while Python waits.
WRITERS: Final = 4
READERS = timedelta(minutes=10)
"""How long a file stays after the last version that names it: somebody may be reading."""

Progress = Callable[[int, int], None]


def taken_in(
    store: Files, former: Manifest | None, ids: Sequence[int], now: datetime, progress: Progress | None
) -> tuple[Manifest, dict[int, tuple[int, bool]]]:
    """The next version with these customers read anew; of each that there is, its version and whether it is gone."""
    base = former or Manifest(0, now, {}, [], [[] for _ in range(BUCKETS)], [0] * BUCKETS, [])
    kinds = {**base.kinds, **people.kinds_now()}
    buckets, counts = list(base.buckets), list(base.counts)
    segments, seen = set(base.segments), dict[int, tuple[int, bool]]()
    largest = max(sum(layer.rows for layer in one) for one in base.buckets)
    budget, done = max(BUDGET, largest), 0
    for mine in _batches(ids, base.version):
        everyone = [pk for one in mine.values() for pk in one]
        rows, kinds = people.read(sorted(everyone), kinds)
        seen |= {pk: (version, gone) for pk, version, gone in rows.select(CUSTOMER, VERSION, GONE).iter_rows()}
        segments |= {int(name[len(SEGMENT) :]) for name in rows.columns if name.startswith(SEGMENT)}
        changes = []
        for bucket, theirs in mine.items():
            some = _with_deleted(rows.filter(pl.col(CUSTOMER) % BUCKETS == bucket), theirs)
            counts[bucket] += layers.change_of_count(store, buckets[bucket], some)
            change, budget = layers.planned(bucket, buckets[bucket], some, budget)
            changes.append(change)
        with ThreadPoolExecutor(WRITERS) as pool:
            written = list(pool.map(partial(layers.put, store, kinds=kinds), changes))
        for bucket, files_of_it in zip(mine, written, strict=True):
            buckets[bucket] = files_of_it
        done += len(everyone)
        if progress:
            progress(done, len(ids))
    retired = _retired(store, base, buckets, now)
    return Manifest(base.version + 1, now, kinds, sorted(segments), buckets, counts, retired), seen


def _batches(ids: Sequence[int], version: int) -> Iterator[dict[int, list[int]]]:
    """The ids by bucket, a few buckets at once where they are few. Where merging ended the last time it begins now."""
    by_bucket: dict[int, list[int]] = {}
    for pk in ids:
        by_bucket.setdefault(pk % BUCKETS, []).append(pk)
    batch: dict[int, list[int]] = {}
    for bucket in sorted(by_bucket, key=lambda one: (one + version) % BUCKETS):
        if batch and sum(map(len, batch.values())) + len(by_bucket[bucket]) > people.AT_ONCE:
            yield batch
            batch = {}
        batch[bucket] = by_bucket[bucket]
    if batch:
        yield batch


def _with_deleted(rows: pl.DataFrame, asked: Sequence[int]) -> pl.DataFrame:
    """The rows with one that says gone for each customer who is not in PostgreSQL at all."""
    missing = sorted(set(asked) - set(rows[CUSTOMER].to_list()))
    if not missing:
        return rows
    gone = pl.DataFrame({CUSTOMER: missing, GONE: [True] * len(missing)}, schema_overrides={CUSTOMER: pl.Int64})
    together = pl.concat([rows, gone], how="diagonal").sort(CUSTOMER)
    return together.with_columns(pl.col(f"^{SEGMENT}.*$").fill_null(False))


def _retired(store: Files, base: Manifest, buckets: Sequence[Sequence[layers.Layer]], now: datetime) -> list[Retired]:
    """The files no longer named, those of the last minutes; older ones are deleted."""
    named = {layer.path for found in buckets for layer in found}
    fresh = [Retired(layer.path, now) for found in base.buckets for layer in found if layer.path not in named]
    store.delete(one.path for one in base.retired if now - one.at > READERS)
    return [one for one in base.retired if now - one.at <= READERS] + fresh
