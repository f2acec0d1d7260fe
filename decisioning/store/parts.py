"""Tables of the archive come in; files, and the rows of the manifest that make them count, come out.

A file is a *part* of one table, of one bucket of customers, one month and one retention class. It is written first and
counts from the moment its row in `ArchivePart` is committed; what is written without a row is swept later. A part that
was merged into another is retired: readers may be at it, so its file stays for a while.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID, uuid4

import polars as pl
from django.db.models import Count, Q, QuerySet, Sum

from ..customers.facts.history import SCHEMAS
from ..customers.facts.state import LAYOUT
from ..models import ArchivePart
from .extract import FIRST
from .files import Files

BUCKETS: Final = 16
ROOT: Final = f"log{BUCKETS}"
"""The folder has the number of buckets in its name: with another number all is written anew beside it."""
RAW, WAITING, WHO = "raw", "waiting", "who"
LOG, RETIRED = "log", "retired"
NOWHERE: Final = -1  # the bucket of what is of no bucket
SHELF: Final = re.compile(rf"^{ROOT}/keep(\d+)/(\d{{4}})_(\d{{2}})$")
PREPARED: Final = tuple(SCHEMAS)


@dataclass(frozen=True, slots=True, order=True)
class Shelf:
    """A month (its first day) of one retention class: what is dropped as one."""

    keep: int
    month: date

    @property
    def path(self) -> str:
        """Its folder."""
        return f"{ROOT}/keep{self.keep}/{self.month:%Y_%m}"

    def is_past(self, moment: datetime) -> bool:
        """Whether every event of it is older than its class keeps it."""
        months = self.month.year * 12 + self.month.month + self.keep
        return bool(self.keep) and date(months // 12, months % 12 + 1, 1) <= moment.date()

    @classmethod
    def of(cls, path: str) -> "Shelf | None":
        """The shelf of a folder."""
        found = SHELF.match(path)
        return cls(int(found[1]), date(int(found[2]), int(found[3]), 1)) if found else None


def schema() -> str:
    """What the tables made of events depend on: their columns, and what facts are taken from events. 32 hex digits."""
    told = repr(
        (
            LAYOUT,
            [(table, sorted((name, str(kind)) for name, kind in found.items())) for table, found in SCHEMAS.items()],
        )
    )
    return blake2b(told.encode(), digest_size=16).hexdigest()


def write(
    files: Files, shelf: Shelf, bucket: int, tables: Mapping[str, pl.DataFrame], digest: str
) -> list[ArchivePart]:
    """A file for each table that has rows; the parts' rows are not saved yet."""
    found = []
    for table, rows in tables.items():
        if rows.height:
            path = f"{shelf.path}/{table}/{bucket:02d}-{uuid4().hex}.parquet"
            with files.writing(path) as place:
                rows.write_parquet(place, compression="zstd", row_group_size=64_000)
                size = place.stat().st_size
            found.append(
                ArchivePart(
                    path=path,
                    table=table,
                    bucket=bucket,
                    month=shelf.month,
                    schema=digest,
                    rows=rows.height,
                    bytes=size,
                    first_id=UUID(bytes=rows["id"].min()) if "id" in rows.columns else None,  # type: ignore[arg-type]
                    last_id=UUID(bytes=rows["id"].max()) if "id" in rows.columns else None,  # type: ignore[arg-type]
                )
            )
    return found


def live(shelf: Shelf | None = None) -> QuerySet[ArchivePart]:
    """The parts that count, of a month or of all."""
    under = shelf.path if shelf else ROOT
    return ArchivePart.objects.filter(path__startswith=f"{under}/").exclude(table__in=[LOG, RETIRED]).order_by("pk")


def manifest() -> QuerySet[ArchivePart]:
    """The same with the rows that tell how far the log is archived: all of it, in one statement."""
    all_of_it = Q(path=ROOT) | Q(path__startswith=f"{ROOT}/")
    return ArchivePart.objects.filter(all_of_it).exclude(table=RETIRED).order_by("pk")


def extent() -> tuple[int, int]:
    """How many files count, and their bytes."""
    found = live().order_by().aggregate(files=Count("pk"), bytes=Sum("bytes"))
    return found["files"], found["bytes"] or 0


def shelf_of(part: ArchivePart) -> Shelf:
    """Where a part stands."""
    found = Shelf.of("/".join(part.path.split("/")[:3]))
    assert found is not None, f"{part.path} is no path of a part"
    return found


def retire(parts: Iterable[ArchivePart], now: datetime) -> None:
    """They count no longer; to be called in the transaction that saves what takes their place. `now` is real time."""
    ArchivePart.objects.filter(pk__in=[part.pk for part in parts]).update(table=RETIRED, written_at=now)


def retire_former(now: datetime) -> int:
    """What was written for another number of buckets counts no longer; how many files. `now` is real time."""
    former = ArchivePart.objects.exclude(path=ROOT).exclude(path__startswith=f"{ROOT}/").exclude(table=RETIRED)
    former.filter(table=LOG).delete()
    return former.update(table=RETIRED, written_at=now)


def sweep(files: Files, before: datetime) -> int:
    """Delete the files of what was retired before a moment, and files without a row written before it; how many."""
    gone = ArchivePart.objects.filter(table=RETIRED, written_at__lt=before)
    paths = set(gone.values_list("path", flat=True))
    files.delete(paths)
    gone.delete()
    named = set(ArchivePart.objects.values_list("path", flat=True))
    folders = {path.split("/")[0] for path in paths} | {ROOT}
    lost = [
        path
        for folder in folders
        for path, one in files.listing(folder).items()
        if path not in named and one.at < before.timestamp()
    ]
    files.delete(lost)
    files.delete_copies(ROOT, named)
    return len(paths) + len(lost)


# -- how far the log is archived: one row for all, and one for each shelf


@dataclass(frozen=True, slots=True)
class Closed:
    """The events of a shelf that are archived: how many, and the XOR of their hashes."""

    rows: int = 0
    digest: int = 0

    def plus(self, other: "Closed") -> "Closed":
        """Both together."""
        return Closed(self.rows + other.rows, self.digest ^ other.digest)


def watermark() -> UUID:
    """Every event with a smaller id is in the archive."""
    row = ArchivePart.objects.filter(path=ROOT, table=LOG).first()
    return row.last_id if row and row.last_id else FIRST


def raise_watermark(to: UUID, month: date) -> None:
    """From now on everything below is in the archive."""
    ArchivePart.objects.update_or_create(
        path=ROOT, defaults={"table": LOG, "bucket": NOWHERE, "month": month, "rows": 0, "bytes": 0, "last_id": to}
    )


def closed() -> dict[Shelf, Closed]:
    """What is archived, shelf by shelf."""
    found = {}
    for row in ArchivePart.objects.filter(table=LOG, path__startswith=f"{ROOT}/"):
        shelf = Shelf.of(row.path)
        if shelf:
            digest = int(row.schema or "0", 16)
            found[shelf] = Closed(row.rows, digest - 2**64 if digest >= 2**63 else digest)
    return found


def close(shelf: Shelf, holds: Closed) -> None:
    """What the shelf holds from now on."""
    ArchivePart.objects.update_or_create(
        path=shelf.path,
        defaults={
            "table": LOG,
            "bucket": NOWHERE,
            "month": shelf.month,
            "schema": f"{holds.digest % 2**64:016x}",
            "rows": holds.rows,
            "bytes": 0,
        },
    )


def forget_shelf(shelf: Shelf, now: datetime) -> int:
    """The shelf counts no longer, with all its parts; how many. `now` is real time."""
    mine = list(live(shelf))
    retire(mine, now)
    ArchivePart.objects.filter(path=shelf.path, table=LOG).delete()
    return len(mine)
