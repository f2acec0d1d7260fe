"""A bucket of customers comes in; their events from the archive, and those too new for it, come out.

An event lies in the bucket that its identity's customer had when it was archived. Where identities have come to a
customer of another bucket since, their rows are fetched from there (`who` tells which identities a file has); rows of
identities that went elsewhere are left out. So a merge and its undoing write nothing anew.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from errno import ENOENT
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import polars as pl
from django.db import connection

from ..customers.facts.history import SCHEMAS, Prepared
from ..customers.identity.family import ALLOWED_IN_BUCKET
from . import extract, parts, shelving
from .files import Files, files
from .parts import BUCKETS, RAW, WAITING, WHO

OWNERS: Final = "SELECT id, customer_id FROM customers_identity WHERE customer_id %% %s = %s"
CUSTOMERS: Final = f"""
SELECT id, traits::text, channels FROM customers_customer LEFT JOIN ({ALLOWED_IN_BUCKET}) AS said ON head = id
WHERE merged_into_id IS NULL AND id %% %s = %s ORDER BY id
"""  # noqa: S608
CUSTOMER_SCHEMA: Final[dict[str, Any]] = {
    "customer_id": pl.Int64,
    "traits": pl.String,
    "consents": pl.List(pl.String),
}
EVENT_COLUMNS: Final = ("customer_id", "message_id", "type", "name", "timestamp", "properties", "context")
Wanted = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """A file that counts. One that is not fresh was prepared in another way than today, or is the raw rows of it."""

    path: str
    table: str
    bucket: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Source:
    """Files of one bucket that are read for another or for itself; `ids` are the identities that are asked for."""

    bucket: int
    ids: pl.Series | None


class Bucket:
    """The log of the customers with id modulo BUCKETS = `number`, as it is when this is made."""

    def __init__(self, number: int, store: Files | None = None) -> None:
        self.number = number
        self._files = store or files()
        # One statement, so that what is archived and how far fit together.
        found = list(parts.manifest().values_list("path", "table", "bucket", "schema", "last_id"))
        ends = [last for path, *_, last in found if path == parts.ROOT]
        self.watermark: UUID = (ends[0] if ends else None) or extract.FIRST
        self._parts = _with_freshness(found)
        self._owners = _owners(number)
        self._sources = self._found_sources()
        self._extra: pl.DataFrame | None = None

    def prepared(self, wanted: Wanted | None = None) -> Prepared:
        """The tables that facts are taken from; only those `wanted`, with those columns (see `frame.needed`)."""
        asked = {name: list(schema) for name, schema in SCHEMAS.items()} if wanted is None else wanted
        unprepared = self._unprepared()
        extra = shelving.prepared(unprepared) if unprepared.height else {}
        found = {}
        for name, columns in asked.items():
            names = ["identity_id", *(column for column in columns if column != "customer_id")]
            scans = [*self._scans(name, names, fresh=True), *(one.lazy().select(names) for one in _only(extra, name))]
            if scans:
                rows = self._owned(pl.concat(scans)).select("customer_id", *names[1:])
                # Files are sorted by identity: what is nearly in order is sorted quickly where equals keep theirs.
                found[name] = rows.sort("customer_id", "at", maintain_order=True).collect()
            else:
                found[name] = Prepared().tables()[name].select("customer_id", *names[1:])
        return Prepared(**found)

    def raw_events(self, names: Collection[str] | None = None) -> pl.DataFrame:
        """Events as `profile.read_events` gives them, with their context; of these names only."""
        columns = ["identity_id", *EVENT_COLUMNS[1:]]
        scans = [*self._scans(RAW, columns), self._new().lazy().select(columns)]
        rows = pl.concat(scans)
        if names is not None:
            rows = rows.filter(pl.col("name").is_in(pl.Series(sorted(names), dtype=pl.String).implode()))
        return self._owned(rows).select(EVENT_COLUMNS).collect()

    def _owned(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.join(self._owners.lazy(), on="identity_id", how="inner", maintain_order="left")

    def _found_sources(self) -> list[Source]:
        """This bucket, and those others that have rows of identities which are of this bucket's customers now."""
        mine = self._owners["identity_id"]
        found = [Source(self.number, None)]
        for bucket in range(BUCKETS):
            if bucket != self.number:
                there = self._places(WHO, bucket)
                ids = mine.filter(mine.is_in(_identities(tuple(there)).implode())) if there else mine.clear()
                if len(ids):
                    found.append(Source(bucket, ids))
        return found

    def _places(self, table: str, bucket: int, *, fresh: bool | None = None) -> list[str]:
        return [
            str(self._place(part.path))
            for part in self._parts
            if part.table == table and part.bucket == bucket and fresh in (None, part.fresh)
        ]

    def _place(self, path: str) -> Path:
        """Where the file is; told here which one is gone, as Polars does not."""
        place = self._files.local(path)
        if not place.is_file():
            raise FileNotFoundError(ENOENT, "There is no file", str(place))
        return place

    def _scans(self, table: str, columns: Sequence[str], *, fresh: bool | None = None) -> Iterable[pl.LazyFrame]:
        for source in self._sources:
            places = self._places(table, source.bucket, fresh=fresh)
            if places:
                rows = pl.scan_parquet(places).select(columns)
                yield rows if source.ids is None else rows.filter(pl.col("identity_id").is_in(source.ids.implode()))

    def _unprepared(self) -> pl.DataFrame:
        """Handled events of which the archive has nothing prepared, or not as it is prepared today."""
        stale = [scan.collect() for scan in self._scans(RAW, list(extract.RAW), fresh=False)]
        return pl.concat([*stale, self._new()])

    def _new(self) -> pl.DataFrame:
        """Handled events that were archived before they were handled, or not yet."""
        if self._extra is None:
            tail = extract.tail(self.watermark, self.number, BUCKETS)
            waited = [scan.collect() for scan in self._scans(WAITING, list(extract.RAW))]
            if waited:
                still = extract.waiting()
                waited = [rows.filter(~pl.col("id").is_in(still.implode())) for rows in waited]
            self._extra = pl.concat([*waited, tail])
        return self._extra


def _owners(bucket: int) -> pl.DataFrame:
    with connection.cursor() as cursor:
        cursor.execute(OWNERS, [BUCKETS, bucket])
        rows = cursor.fetchall()
    return pl.DataFrame(rows, schema={"identity_id": pl.Int64, "customer_id": pl.Int64}, orient="row")


def _with_freshness(rows: Iterable[tuple[str, str, int, str, UUID | None]]) -> list[Part]:
    """The parts of buckets; what lies beside raw rows that were prepared in another way than today is not fresh."""
    mine = [(path, table, bucket, schema) for path, table, bucket, schema, _ in rows if bucket != parts.NOWHERE]
    today = parts.schema()
    stale = {(_shelf(path), bucket) for path, table, bucket, schema in mine if table == RAW and schema != today}
    return [Part(path, table, bucket, (_shelf(path), bucket) not in stale) for path, table, bucket, _ in mine]


def _shelf(path: str) -> str:
    """The folder of the month; a part lies in one of its table below that."""
    return path.rsplit("/", 2)[0]


def _only(tables: Mapping[str, pl.DataFrame], name: str) -> list[pl.DataFrame]:
    return [tables[name]] if name in tables else []


@lru_cache(maxsize=256)
def _identities(places: tuple[str, ...]) -> pl.Series:
    return pl.read_parquet(list(places))["identity_id"].unique()


def customers_of(bucket: int) -> pl.DataFrame:
    """customer_id, traits (JSON) and consents (channels) of a bucket's customers, by id."""
    with connection.cursor() as cursor:
        cursor.execute(CUSTOMERS, [BUCKETS, bucket, BUCKETS, bucket])
        rows = cursor.fetchall()
    return pl.DataFrame(rows, schema=CUSTOMER_SCHEMA, orient="row")
