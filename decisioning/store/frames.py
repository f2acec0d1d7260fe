"""Customers who changed come in; the frame of all customers, their facts and segments as typed columns, comes out.

    note_changed(pipe, pairs)   say in Redis whose profile got which version, in the transaction that raises it
    refresh(now)                take in whoever was noted; build the frame where there is none
    current(columns)            the frame as it was last refreshed, for any process on any machine

Where Redis lost notes, versions of everybody are compared with PostgreSQL's, and those who differ are read.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from django.db import connection, transaction

from . import layers, notes, people
from .columns import IGNORED, narrowed
from .files import Files, files
from .layers import Manifest
from .notes import note_changed, note_gone
from .people import CUSTOMER, FACTS_AT, KEY, SEGMENT, UNIT, VERSION
from .taking import Progress, taken_in

LOCK: Final = 7_011_974
LEADING: Final = (CUSTOMER, KEY, UNIT, VERSION, FACTS_AT)

__all__ = [
    "NoFrame",
    "Refreshed",
    "State",
    "columns",
    "current",
    "facts",
    "forget",
    "fresh",
    "named_segments",
    "news",
    "note_changed",
    "note_gone",
    "refresh",
    "state",
    "sweep",
]


OWNED: Final = "customer:"  # what begins the names of the frame's own columns


class NoFrame(RuntimeError):
    """The frame was never written; `refresh` writes it."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: customers read, customers there are, how long, and whether all were compared or read.

    `waiting` customers were noted by transactions that are not committed yet; the next refresh looks again.
    """

    changed: int
    total: int
    seconds: float
    rebuilt: bool
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """The newest version: its number, customers, when it was written, and in how many files it lies."""

    version: int
    rows: int
    written_at: datetime
    files: int


def refresh(now: datetime, progress: Progress | None = None) -> Refreshed:
    """Take in whoever changed; `progress(done, of)` is told in customers. Not within a transaction that changed any.

    One at a time: others wait. Raises `redis.RedisError` when Redis is away; the frame stays as it was.
    """
    started = time.monotonic()
    store = files()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        noted = notes.take()
        former = layers.load(store)
        believed = former is not None and notes.believed(former.version)
        ids = set(noted) if believed else set(noted) | _differing(store, former)
        found = former
        waiting: dict[int, notes.Note] = {}
        if ids or former is None:
            found, seen = taken_in(store, former, sorted(ids), now, progress)
            waiting = notes.waiting(noted, seen, now)
            layers.save(store, found)
        assert found is not None
        notes.settle(found.version, waiting)
    return Refreshed(len(ids), found.rows, time.monotonic() - started, not believed, len(waiting))


def _differing(store: Files, found: Manifest | None) -> set[int]:
    """Everybody whose version in the frame is another than in PostgreSQL, or who is only in one of them."""
    there = people.everybody()
    if found is None:
        return set(there[CUSTOMER].to_list())
    parts = [layers.visible(store, bucket, [CUSTOMER, VERSION], found.kinds) for bucket in found.buckets]
    here = pl.concat(pl.collect_all(parts))
    both = here.join(there, on=CUSTOMER, how="full", coalesce=True)
    return set(both.filter(~pl.col(VERSION).eq_missing(pl.col("now")))[CUSTOMER].to_list())


def current(columns: Iterable[str] | None = None, bucket: int | None = None) -> pl.DataFrame:
    """The newest frame: these columns, or all; of everybody, or of one bucket of customers (id modulo BUCKETS).

    By bucket and id. A segment nobody was ever in is False for all; a fact that nobody knows is null.
    """
    found = _newest()
    names = _names(found) if columns is None else list(dict.fromkeys(columns))
    asked = found.buckets if bucket is None else [found.buckets[bucket]]
    store = files()
    frame = pl.concat(pl.collect_all([layers.visible(store, one, names, found.kinds) for one in asked]))
    return narrowed(frame, [name for name in names if _kind(found, name) == "loose"])


def news(columns: Iterable[str], seen: Collection[str]) -> tuple[pl.DataFrame, frozenset[str]]:
    """Of the newest frame the rows in files that are not among the `seen`; and all its files, to be told the next time.

    Whoever changed since is among them, beside others who did not, some perhaps as they were earlier: a row with a
    version that was seen already says nothing new.
    """
    found = _newest()
    unseen = [[layer for layer in one if layer.path not in seen] for one in found.buckets]
    store, names = files(), list(dict.fromkeys(columns))
    frame = pl.concat(pl.collect_all([layers.visible(store, one, names, found.kinds) for one in unseen]))
    paths = frozenset(layer.path for one in found.buckets for layer in one)
    return narrowed(frame, [name for name in names if _kind(found, name) == "loose"]), paths


def fresh(now: datetime, columns: Iterable[str] | None = None) -> pl.DataFrame:
    """`current`, after a refresh."""
    refresh(now)
    return current(columns)


def facts(now: datetime) -> pl.DataFrame:
    """Everybody's facts as they are now: customer_id and a column for each fact that anybody has."""
    refresh(now)
    names = [name for name in columns() if not name.startswith((OWNED, SEGMENT)) and name != CUSTOMER]
    found = current([CUSTOMER, *names])
    return found.select(CUSTOMER, *(name for name in names if found[name].null_count() < found.height))


def columns() -> dict[str, pl.DataType]:
    """Every column there is; of a fact with values of several kinds, the type that it has with all of them."""
    found = _newest()
    return {name: layers.dtype_of(name, found.kinds) for name in _names(found)}


def state() -> State | None:
    """What the newest version is; None before the first."""
    found = layers.load(files())
    if found is None:
        return None
    return State(found.version, found.rows, found.written_at, sum(map(len, found.buckets)))


def _newest() -> Manifest:
    found = layers.load(files())
    if found is None:
        raise NoFrame("The frame of all customers was not written yet; call frames.refresh(now) or frames.fresh(now).")
    return found


def _names(found: Manifest) -> list[str]:
    facts = sorted(name for name, kind in found.kinds.items() if kind != IGNORED)
    return [*LEADING, *(f"{SEGMENT}{segment}" for segment in found.segments), *facts]


def _kind(found: Manifest, name: str) -> str:
    return IGNORED if name in people.OWN or name.startswith(SEGMENT) else found.kinds.get(name, IGNORED)


def named_segments(frame: pl.DataFrame, named: Mapping[int, tuple[str, str]]) -> pl.DataFrame:
    """The frame with `segments` (keys) and `customer_segment` (keys, then names) by its `segment:<id>` columns.

    `named` gives the key and the name of each segment to tell, by id.
    """
    order = sorted((key, name, f"{SEGMENT}{pk}") for pk, (key, name) in named.items())
    inside = [(key, name, frame[column]) for key, name, column in order if column in frame.columns]
    keys = [(key, members) for key, _, members in inside]
    names = [(name, members) for _, name, members in inside]
    return frame.with_columns(
        _listed(frame.height, keys).alias("segments"), _listed(frame.height, [*keys, *names]).alias("customer_segment")
    )


def _listed(height: int, parts: Sequence[tuple[str, pl.Series]]) -> pl.Series:
    """For each row the words of those parts that are true there, in the order of the parts."""
    # One list expression of hundreds of parts takes Polars minutes to plan.
    rows = [np.flatnonzero(members.to_numpy()) for _, members in parts]
    words = np.repeat(np.arange(len(parts)), [len(some) for some in rows])
    pairs = pl.DataFrame({"row": np.concatenate([*rows, np.array([], dtype=np.int64)]), "word": words})
    named = pairs.select("row", word=pl.Series([word for word, _ in parts], dtype=pl.String).gather(pairs["word"]))
    lists = named.sort("row", maintain_order=True).group_by("row", maintain_order=True).agg("word")
    whole = pl.DataFrame({"row": np.arange(height)}).join(lists, on="row", how="left", maintain_order="left")
    return whole["word"].fill_null([])


def sweep(before: datetime) -> int:
    """Delete files that no version names and that were written before a moment of real time; how many.

    A refresh that was killed leaves such files.
    """
    store = files()
    found = layers.load(store)
    named = set(found.paths if found else ()) | {layers.MANIFEST}
    lost = [
        path for path, one in store.listing(layers.FOLDER).items() if path not in named and one.at < before.timestamp()
    ]
    store.delete(lost)
    store.delete_copies(layers.FOLDER, named)
    return len(lost)


def forget() -> None:
    """What this process remembers of files; for tests, which make them anew."""
    layers.forget()
