"""Columns of Python values in; PostgreSQL arrays in its binary format, ready to be parameters, out.

psycopg writes an array element by element, which costs 80 µs an event of twelve columns; packed here it costs 5.
Source of the format: PostgreSQL, src/backend/utils/adt/arrayfuncs.c (array_recv).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from struct import Struct
from typing import Any, Final
from uuid import UUID

import psycopg
from django.db import connection
from django.db.models.expressions import RawSQL
from psycopg.adapt import Dumper
from psycopg.pq import Format

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_header, _length = Struct("!iiiii").pack, Struct("!i").pack
_big, _small = Struct("!iq").pack, Struct("!ih").pack


class Packed:
    """A one-dimensional array without nulls, as the server receives it."""

    __slots__ = ("content",)

    def __init__(self, oid: int, count: int, body: bytes) -> None:
        self.content = _header(1, 0, oid, count, 1) + body


class PackedDumper(Dumper):
    """Hands a packed array over as it is; the statement's cast tells the server its type."""

    format = Format.BINARY
    oid = 0

    def dump(self, obj: Packed) -> bytes:
        """The parameter's bytes."""
        return obj.content


@contextmanager
def direct() -> Iterator[psycopg.Cursor[Any]]:
    """A cursor past Django's: parameters travel apart from the statement, which the server prepares once.

    Errors are Django's. The connection, its transaction and its deadline are the usual ones.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.adapters.register_dumper(Packed, PackedDumper)
        yield cursor


def among(ids: Iterable[int]) -> RawSQL:
    """What `__in` takes in place of thousands of ids: one parameter, as each of many costs some microseconds."""
    return RawSQL("SELECT unnest(%s::bigint[])", [list(ids)])


def texts(values: Sequence[str]) -> Packed:
    """text[]"""
    parts = [value.encode() for value in values]
    return Packed(25, len(parts), b"".join([_length(len(part)) + part for part in parts]))


def raws(values: Sequence[bytes]) -> Packed:
    """text[] of what is UTF-8 already."""
    return Packed(25, len(values), b"".join([_length(len(part)) + part for part in values]))


def uuids(values: Sequence[UUID]) -> Packed:
    """uuid[]"""
    return Packed(2950, len(values), b"".join([b"\0\0\0\x10" + value.bytes for value in values]))


def digests(values: Sequence[bytes]) -> Packed:
    """uuid[] of 16 bytes each."""
    return Packed(2950, len(values), b"".join([b"\0\0\0\x10" + value for value in values]))


def bigints(values: Sequence[int]) -> Packed:
    """bigint[]"""
    return Packed(20, len(values), b"".join([_big(8, value) for value in values]))


def smallints(values: Sequence[int]) -> Packed:
    """smallint[]"""
    return Packed(21, len(values), b"".join([_small(2, value) for value in values]))


def booleans(values: Sequence[bool]) -> Packed:
    """boolean[]"""
    return Packed(16, len(values), b"".join([b"\0\0\0\x01\x01" if value else b"\0\0\0\x01\0" for value in values]))


def moments(values: Iterable[datetime]) -> Packed:
    """timestamptz[]; every value needs a zone."""
    ages = [value - EPOCH for value in values]
    micros = [(age.days * 86_400 + age.seconds) * 1_000_000 + age.microseconds for age in ages]
    return Packed(1184, len(micros), b"".join([_big(8, value) for value in micros]))


def binaries(values: Sequence[bytes]) -> Packed:
    """bytea[]"""
    return Packed(17, len(values), b"".join([_length(len(part)) + part for part in values]))
