"""Events of the log come in; files of the archive's tables, bucket by bucket and month by month, come out.

Of each event there is its raw row, and what `history.prepare` makes of it, by identity: whose the identity is may
change, and then nothing is written again. Events that are not handled yet wait in a table of their own, unprepared:
they count from the moment they are handled.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import numpy as np
import polars as pl

from ..customers.facts.history import prepare
from ..models import ArchivePart
from . import extract, parts
from .files import Files
from .parts import BUCKETS, RAW, WAITING, WHO, Closed, Shelf

WRITERS: Final = 4
READ_BY_PREPARE: Final = ("customer_id", "message_id", "type", "name", "timestamp", "properties", "context")
ORDER: Final = ("identity_id", "timestamp", "message_id")
Tables = dict[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Shelved:
    """What was written: parts whose rows are not saved yet, and what each shelf holds by them."""

    parts: list[ArchivePart] = field(default_factory=list)
    closed: dict[Shelf, Closed] = field(default_factory=dict)


def shelve(files: Files, events: pl.DataFrame) -> Shelved:
    """Write events, as `extract.events` gives them, each into the bucket of its identity's home."""
    found = Shelved()
    for (keep, month), mine in events.group_by("keep", "month", maintain_order=True):
        shelf = Shelf(int(keep), month)
        digest = int(np.bitwise_xor.reduce(mine["hash"].to_numpy()))
        found.closed[shelf] = Closed(mine.height, digest)
        homes = mine.select("identity_id", bucket=(pl.col("home") % BUCKETS).cast(pl.Int16)).unique("identity_id")
        found.parts.extend(put(files, shelf, homes, mine.filter(~pl.col("waiting")), mine.filter("waiting")))
    return found


def put(
    files: Files, shelf: Shelf, homes: pl.DataFrame, handled: pl.DataFrame, waiting: pl.DataFrame
) -> list[ArchivePart]:
    """Write events of one shelf; `homes` gives the bucket of each identity (identity_id, bucket)."""
    raw = handled.select(list(extract.RAW)).sort(ORDER)
    tables = {RAW: raw, WAITING: waiting.select(list(extract.RAW)).sort(ORDER), WHO: who(homes), **prepared(raw)}
    by_bucket: dict[int, Tables] = {}
    for name, table in tables.items():
        for bucket, rows in _split(table, homes).items():
            by_bucket.setdefault(bucket, {})[name] = rows
    digest = parts.schema()
    with ThreadPoolExecutor(WRITERS) as pool:
        jobs = [pool.submit(parts.write, files, shelf, bucket, mine, digest) for bucket, mine in by_bucket.items()]
        return list(chain.from_iterable(job.result() for job in jobs))


def who(rows: pl.DataFrame) -> pl.DataFrame:
    """Which identities there are rows of."""
    return rows.select(pl.col("identity_id").unique().sort())


def prepared(raw: pl.DataFrame) -> Tables:
    """What facts are taken from, by identity_id."""
    found = prepare(raw.rename({"identity_id": "customer_id"}).select(READ_BY_PREPARE))
    return {name: table.rename({"customer_id": "identity_id"}) for name, table in found.tables().items()}


def _split(table: pl.DataFrame, homes: pl.DataFrame) -> dict[int, pl.DataFrame]:
    if table.is_empty():
        return {}
    placed = table.join(homes, on="identity_id", how="left", maintain_order="left")
    groups: Mapping[tuple[Any, ...], pl.DataFrame] = placed.partition_by(
        "bucket", as_dict=True, include_key=False, maintain_order=True
    )
    return {int(key[0]): rows for key, rows in groups.items()}
