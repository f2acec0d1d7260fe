"""Chances of customers with contents come in; they lie in PostgreSQL and, for requests, in Redis, and are read again.

In PostgreSQL a row a customer with an array of numbers, by binary COPY; in Redis `scores:<customer id>`: the numbers of
the scorer and of the list of contents and the chances as float32, by MSET. A list's names are kept once.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import redis
from django.db import connection, transaction

from ..engine.types import Profile
from ..models import Score, ScoredContents
from .connection import patient

Chances = npt.NDArray[np.float64]
SCORES, LIST = "scores:{}", "scored:{}"
AT_ONCE: Final = 5_000  # customers one MSET takes; others wait meanwhile
DIGITS: Final = 6
HEAD: Final = struct.Struct("<qi")

STAGE: Final = "CREATE TEMPORARY TABLE staged_scores (id bigint, at timestamptz, chances float8[]) ON COMMIT DROP"
COPY: Final = "COPY staged_scores (id, at, chances) FROM STDIN (FORMAT BINARY)"
# Customers who were deleted meanwhile are left out.
UPSERT: Final = """
INSERT INTO decisioning_score (customer_id, artefact_id, contents_id, values, at)
SELECT s.id, %s, %s, s.chances, s.at FROM staged_scores s JOIN customers_customer c ON c.id = s.id ORDER BY s.id
ON CONFLICT (customer_id) DO UPDATE
SET artefact_id = excluded.artefact_id, contents_id = excluded.contents_id, values = excluded.values, at = excluded.at
"""
# Source: https://www.postgresql.org/docs/current/sql-copy.html (binary format) and array_recv in PostgreSQL's
# arrayfuncs.c: dimensions, has nulls, type of elements, then size and lower bound of each dimension.
COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END: Final = b"\xff\xff"
FLOAT8: Final = 701
EPOCH: Final = 946_684_800_000_000  # microseconds from 1970 to 2000, where PostgreSQL's time begins


class Stored(Mapping[str, float]):
    """What is stored of one customer: content key → chance; taken apart when somebody asks for it."""

    def __init__(self, data: bytes, client: redis.Redis) -> None:
        self._data, self._client = data, client

    @property
    def scorer(self) -> int:
        """The number of the scorer they are by."""
        return int(HEAD.unpack_from(self._data)[0])

    @cached_property
    def _values(self) -> dict[str, float]:
        keys = keys_of(int(HEAD.unpack_from(self._data)[1]), self._client)
        chances = np.frombuffer(self._data, "<f4", offset=HEAD.size)
        # float32 of 0.1 is not 0.1: what was rounded when written is rounded again.
        return dict(zip(keys, chances.astype(np.float64).round(DIGITS).tolist(), strict=False))

    def __getitem__(self, key: str) -> float:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        # Without taking it apart: most requests never read it.
        return True


def scored(profile: Profile, data: bytes | None, client: redis.Redis) -> Profile:
    """The profile with what is stored of it in Redis, if anything is."""
    if data is None:
        return profile
    stored = Stored(data, client)
    return msgspec.structs.replace(profile, scores=stored, scorer=stored.scorer)


_known: dict[int, tuple[str, ...]] = {}


def keys_of(number: int, client: redis.Redis) -> tuple[str, ...]:
    """The contents of a list, by its number; none while Redis does not know it."""
    if number not in _known:
        try:
            found = client.get(LIST.format(number))
        except redis.RedisError:
            return ()
        if not isinstance(found, bytes):
            return ()
        _known[number] = tuple(msgspec.msgpack.decode(found, type=list[str]))
    return _known[number]


def contents_of(keys: Sequence[str]) -> ScoredContents:
    """The list of these contents in this order; made when it is new."""
    digest = hashlib.sha256("\0".join(keys).encode()).hexdigest()
    return ScoredContents.objects.get_or_create(digest=digest, defaults={"keys": list(keys)})[0]


@dataclass(frozen=True, slots=True)
class Found:
    """Chances (customers, contents) by a scorer, in the order of `ids`, and of when the facts were they stand on."""

    artefact: int
    contents: ScoredContents
    ids: npt.NDArray[np.int64]
    moments: Sequence[datetime]
    chances: Chances


def write(found: Found) -> None:
    """Keep them in PostgreSQL, in place of what was there of these customers."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STAGE)
        with cursor.copy(COPY) as copy:
            copy.write(packed(found))
        cursor.execute(UPSERT, [found.artefact, found.contents.pk])
        cursor.execute("DROP TABLE staged_scores")


def packed(found: Found) -> bytes:
    """Rows (id, timestamptz, float8[]) as PostgreSQL's binary COPY wants them: by NumPy, not number by number."""
    width = found.chances.shape[1]
    row: list[tuple[Any, ...]] = [(name, ">i4") for name in ("dimensions", "nulls", "type", "length", "lower")]
    row = [
        ("fields", ">i2"),
        ("id_size", ">i4"),
        ("id", ">i8"),
        ("at_size", ">i4"),
        ("at", ">i8"),
        ("size", ">i4"),
        *row,
    ]
    rows = np.empty(len(found.ids), np.dtype([*row, ("each", [("size", ">i4"), ("value", ">f8")], (width,))]))
    rows["fields"], rows["id_size"], rows["id"], rows["at_size"] = 3, 8, found.ids, 8
    rows["at"] = pl.Series(found.moments, dtype=pl.Datetime("us", "UTC")).dt.epoch("us").to_numpy() - EPOCH
    rows["size"], rows["dimensions"], rows["nulls"] = 20 + 12 * width, 1, 0
    rows["type"], rows["length"], rows["lower"] = FLOAT8, width, 1
    rows["each"]["size"], rows["each"]["value"] = 8, found.chances
    return COPY_HEAD + rows.tobytes() + COPY_END


def publish(found: Found) -> None:
    """Write them to Redis; raises redis.RedisError when it is away."""
    client, head = patient(), HEAD.pack(found.artefact, found.contents.pk)
    client.set(LIST.format(found.contents.pk), msgspec.msgpack.encode(found.contents.keys))
    data = found.chances.astype("<f4")
    size = data.shape[1] * data.itemsize
    for start in range(0, len(found.ids), AT_ONCE):
        block = data[start : start + AT_ONCE].tobytes()
        keys = found.ids[start : start + AT_ONCE].tolist()
        client.mset({SCORES.format(pk): head + block[at * size : (at + 1) * size] for at, pk in enumerate(keys)})


def publish_stored(ids: Sequence[int]) -> None:
    """Write to Redis what PostgreSQL holds of these customers."""
    groups: dict[tuple[int, int], list[Score]] = {}
    for row in Score.objects.filter(customer_id__in=ids).order_by("customer_id"):
        groups.setdefault((row.artefact_id, row.contents_id), []).append(row)
    for (artefact, number), rows in groups.items():
        people = np.array([row.customer_id for row in rows], np.int64)
        chances = np.array([row.values for row in rows], np.float64)
        publish(Found(artefact, _list(number), people, [row.at for row in rows], chances))


def stored(ids: Sequence[int]) -> dict[int, tuple[int, dict[str, float]]]:
    """{customer: (scorer, {content: chance})} of these customers, from PostgreSQL."""
    rows = Score.objects.filter(customer_id__in=ids).values_list("customer_id", "artefact_id", "contents_id", "values")
    return {
        pk: (artefact, dict(zip(_list(contents).keys, values, strict=True))) for pk, artefact, contents, values in rows
    }


@lru_cache(maxsize=8)
def _list(number: int) -> ScoredContents:
    return ScoredContents.objects.get(pk=number)


def forget() -> None:
    """What this process remembers of lists; for tests, which make them anew."""
    _known.clear()
    _list.cache_clear()
