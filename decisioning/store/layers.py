"""Changed rows come in, in layers of files; the newest row of each customer, bucket by bucket, comes out.

A bucket of customers (by id, modulo BUCKETS) is a list of Parquet files, the oldest first; of a customer in several
files the row of the last one counts. A small file is put behind the others, and files of like size are merged, so that
a bucket has few and none is rewritten often (a log-structured merge tree). The manifest, one small file replaced at
once, says which files there are: readers see the frame before a change or after it.

Source: O'Neil et al., "The log-structured merge-tree", Acta Informatica 33 (1996).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import uuid4

import msgspec
import numpy as np
import polars as pl

from .columns import DTYPES, IGNORED, Kinds, as_kind
from .files import Files
from .people import CUSTOMER, GONE, OWN, SEGMENT

BUCKETS: Final = 16
FOLDER: Final = "frame"
# With a few hundred rows, and as many columns, Parquet takes five times as long to write as Arrow's own format; with
# many it is half as large and as quick to read.
SMALL: Final = 5_000
# So many files of like size are merged with the next: fewer would rewrite rows more often, more be slower to read.
FEWEST: Final = 3
ARROW: Final = ".arrow"
MANIFEST: Final = f"{FOLDER}/manifest.json"


class Layer(msgspec.Struct, frozen=True):
    """One file: where it is, and how many rows it has, those of customers who are gone among them."""

    path: str
    rows: int


class Retired(msgspec.Struct, frozen=True):
    """A file that was merged into another: readers of former versions may still be at it."""

    path: str
    at: datetime


class Manifest(msgspec.Struct, frozen=True):
    """A version of the frame: the kinds of its facts, the segments that have a column somewhere, and by bucket the
    files and the number of customers."""

    version: int
    written_at: datetime
    kinds: dict[str, str]
    segments: list[int]
    buckets: list[list[Layer]]
    counts: list[int]
    retired: list[Retired]

    @property
    def rows(self) -> int:
        """Customers."""
        return sum(self.counts)

    @property
    def paths(self) -> list[str]:
        """Every file that a reader may be at."""
        return [layer.path for layers in self.buckets for layer in layers] + [one.path for one in self.retired]


_decoder = msgspec.json.Decoder(Manifest)


def load(files: Files) -> Manifest | None:
    """The newest version; None before the first."""
    data = files.read(MANIFEST)
    return _decoder.decode(data) if data else None


def save(files: Files, manifest: Manifest) -> None:
    """From now on this is the newest version."""
    with files.writing(MANIFEST) as place:
        place.write_bytes(msgspec.json.encode(manifest))


def write(files: Files, bucket: int, rows: pl.DataFrame) -> Layer:
    """A file of rows by rising customer id."""
    small = rows.height <= SMALL
    path = f"{FOLDER}/{bucket:02d}/{uuid4().hex}{ARROW if small else '.parquet'}"
    with files.writing(path) as place:
        (rows.write_ipc if small else rows.write_parquet)(place, compression="lz4")
    return Layer(path, rows.height)


class Change(msgspec.Struct):
    """Rows to be put on top of a bucket: the files that stay below, and those that are merged with the rows."""

    bucket: int
    kept: list[Layer]
    merged: list[Layer]
    rows: pl.DataFrame


def planned(bucket: int, layers: Sequence[Layer], rows: pl.DataFrame, budget: int) -> tuple[Change, int]:
    """How to put the rows on top of the bucket; and what is left of the budget of rows that may be merged."""
    size, alike = rows.height, 0
    for layer in reversed(layers):
        if layer.rows > 2 * size or size + layer.rows - rows.height > budget:
            break
        size, alike = size + layer.rows, alike + 1
    if alike < FEWEST:
        return Change(bucket, list(layers), [], rows), budget
    place = len(layers) - alike
    return Change(bucket, list(layers[:place]), list(layers[place:]), rows), budget - size + rows.height


def put(files: Files, change: Change, kinds: Kinds) -> list[Layer]:
    """The bucket's files from now on."""
    rows = change.rows
    if change.merged:
        names = _everything(files, change.merged, rows)
        below = [_scan(files, layer, kinds, names) for layer in change.merged]
        rows = _newest(below, rows, gone_too=bool(change.kept))
    return [*change.kept, write(files, change.bucket, rows)]


def _everything(files: Files, layers: Iterable[Layer], rows: pl.DataFrame) -> list[str]:
    names = dict.fromkeys(rows.columns)
    for layer in layers:
        names.update(dict.fromkeys(schema_of(str(files.local(layer.path)))))
    return list(names)


def _newest(below: Sequence[pl.LazyFrame], rows: pl.DataFrame, *, gone_too: bool) -> pl.DataFrame:
    """One file of several; who is gone need not be remembered where nothing older lies below."""
    everything = pl.concat([*below, rows.lazy()], how="diagonal").collect()
    newest = everything.unique(CUSTOMER, keep="last", maintain_order=True).sort(CUSTOMER)
    newest = newest.with_columns(pl.col(f"^{SEGMENT}.*$").fill_null(False))
    return newest if gone_too else newest.filter(~pl.col(GONE))


def visible(files: Files, layers: Sequence[Layer], names: Sequence[str], kinds: Kinds) -> pl.LazyFrame:
    """The newest row of every customer of a bucket who is not gone, by rising id, with these columns."""
    asked = list(dict.fromkeys([*names, CUSTOMER, GONE]))
    parts = []
    for number, layer in enumerate(layers):
        part = _scan(files, layer, kinds, asked)
        above = [_ids(str(files.local(later.path)))[0] for later in layers[number + 1 :]]
        if above:
            part = part.filter(~pl.col(CUSTOMER).is_in(pl.Series(np.concatenate(above)).implode()))
        parts.append(part.filter(~pl.col(GONE)))
    if not parts:
        return pl.LazyFrame(schema={name: dtype_of(name, kinds) for name in names})
    together = parts[0] if len(parts) == 1 else pl.concat(parts).sort(CUSTOMER)
    return together.select(names)


def change_of_count(files: Files, layers: Sequence[Layer], rows: pl.DataFrame) -> int:
    """How many customers more a bucket of these layers has with the rows on top."""
    asked, gone = rows[CUSTOMER].to_numpy(), rows[GONE].to_numpy()
    before, open_yet = np.zeros(len(asked), dtype=bool), np.ones(len(asked), dtype=bool)
    for layer in reversed(layers):
        ids, leaves = _ids(str(files.local(layer.path)))
        places = np.minimum(np.searchsorted(ids, asked), max(len(ids) - 1, 0))
        found = open_yet & (ids[places] == asked) if len(ids) else np.zeros(len(asked), dtype=bool)
        before[found] = ~leaves[places[found]]
        open_yet &= ~found
    return int((~gone).sum()) - int(before.sum())


def _scan(files: Files, layer: Layer, kinds: Kinds, names: Sequence[str]) -> pl.LazyFrame:
    place = str(files.local(layer.path))
    held = schema_of(place)
    return _lazy(place).select(_column(name, held, kinds) for name in names)


def _lazy(place: str) -> pl.LazyFrame:
    return pl.scan_ipc(place) if place.endswith(ARROW) else pl.scan_parquet(place)


def _column(name: str, held: dict[str, pl.DataType], kinds: Kinds) -> pl.Expr:
    if name in OWN:
        return pl.col(name)
    if name.startswith(SEGMENT):
        return pl.col(name) if name in held else pl.lit(False).alias(name)
    kind = kinds.get(name, IGNORED)
    return pl.lit(None).alias(name) if kind == IGNORED else as_kind(name, held.get(name), kind)


def dtype_of(name: str, kinds: Kinds) -> pl.DataType:
    """The type of a column as files and `visible` have it; that of a name nobody knows is Null."""
    if name in OWN:
        return OWN[name]
    if name.startswith(SEGMENT):
        return pl.Boolean()
    return DTYPES.get(kinds.get(name, IGNORED), pl.Null())


@lru_cache(maxsize=4096)
def schema_of(place: str) -> dict[str, pl.DataType]:
    """The columns of a file; files never change."""
    return dict(_lazy(place).collect_schema())


@lru_cache(maxsize=1024)
def _ids(place: str) -> tuple[np.ndarray, np.ndarray]:
    """The customers of a file, by rising id, and who of them is gone."""
    found = _lazy(place).select(CUSTOMER, GONE).collect()
    return found[CUSTOMER].to_numpy(), found[GONE].to_numpy()


def forget() -> None:
    """What this process remembers of files."""
    schema_of.cache_clear()
    _ids.cache_clear()
