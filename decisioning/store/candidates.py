"""Candidate lists in use come in; in Redis and on disk, where requests' processes find them, they go out.

They are too large for the snapshot, which names them by number and digest: a worker puts the bytes of the signed
artefact into Redis, in pieces, before it announces the snapshot; each process keeps them on its disk beside its own.
"""

import hashlib
import logging
import mmap
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

import redis
from django.conf import settings

from ..engine.types import RecallItem, SnapshotData
from ..learning.recall import Recall
from ..models import Artefact
from . import artefacts
from .connection import once_a_minute, patient

log = logging.getLogger(__name__)

PIECES, PIECE = "recall:{}", "recall:{}:{}"
PIECE_BYTES: Final = 4 << 20
# What no snapshot names any more goes by itself; what is in use is announced again when it has gone.
KEPT_SECONDS: Final = 7 * 86_400
KEPT_FILES: Final = 2


Bytes = bytes | mmap.mmap


def digest_of(data: Bytes) -> str:
    """SHA-256 in hex, by which a snapshot names the bytes."""
    return hashlib.sha256(data).hexdigest()


def announce(item: RecallItem) -> bool:
    """Put the lists into Redis unless they are there; whether they are now. What is damaged stays out, and is told."""
    client = patient()
    try:
        if client.exists(PIECES.format(item.version)):
            return True
        data = _of_database(item)
        if digest_of(data) != item.digest:
            log.error("candidate lists %s are gone; run `manage.py learn recall`", item.version)
            return False
        count = -(-len(data) // PIECE_BYTES)
        for number in range(count):
            piece = data[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
            client.set(PIECE.format(item.version, number), piece, ex=KEPT_SECONDS)
        # Last, and gone a little sooner: whoever sees it finds all pieces.
        client.set(PIECES.format(item.version), count, ex=KEPT_SECONDS - 3600)
    except redis.RedisError as error:
        log.warning("candidate lists %s wait for Redis: %s", item.version, error)
        return False
    except artefacts.Tampered as error:
        # Decisions go on without them, and so does all other publishing.
        log.error("candidate lists %s are left out: %s", item.version, error)
        return False
    return True


def keep_announced() -> None:
    """Repair Redis after it came back empty."""
    row = Artefact.objects.filter(kind=Artefact.Kind.RECALL, active=True).only("pk", "schema_hash").first()
    # What cannot be read is read again every minute, not every second: it is large.
    if row is not None and not patient().exists(PIECES.format(row.pk)) and once_a_minute("recall"):
        announce(RecallItem(row.pk, row.schema_hash))


def held(data: SnapshotData, directory: Path | None = None) -> Recall | None:
    """The lists that a snapshot names, from disk or Redis; None where it names none, or they cannot be had now."""
    if data.recall is None:
        return None
    return _sought(data.recall, _of_disk(directory or settings.STATE_DIR), _of_redis(directory or settings.STATE_DIR))


def kept(data: SnapshotData) -> Recall | None:
    """The same from the database: for replays, which ask for lists of long ago."""
    return _kept(data.recall) if data.recall else None


@lru_cache(maxsize=2)
def _kept(item: RecallItem) -> Recall | None:
    return _sought(item, _of_database)


Way = Callable[[RecallItem], Bytes]


def _sought(item: RecallItem, *ways: Way) -> Recall | None:
    """By the first way on which the bytes are there and right."""
    for way in ways:
        try:
            data = way(item)
            if data and digest_of(data) == item.digest:
                return Recall.from_artefact(data)
        except (OSError, ValueError, redis.RedisError) as error:
            log.warning("candidate lists %s: %s", item.version, error)
    return None


def _of_database(item: RecallItem) -> bytes:
    row = Artefact.objects.filter(pk=item.version).first()
    return artefacts.read(row) if row else b""


def _of_disk(directory: Path) -> Way:
    def read(item: RecallItem) -> Bytes:
        path = _file(directory, item)
        if not path.exists() or not path.stat().st_size:
            return b""
        # All processes of a machine share one copy in memory, as long as anybody reads it.
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    return read


def _of_redis(directory: Path) -> Way:
    def read(item: RecallItem) -> Bytes:
        count = cast(bytes | None, patient().get(PIECES.format(item.version)))
        pieces = [patient().get(PIECE.format(item.version, number)) for number in range(int(count or 0))]
        data = b"".join(cast(bytes, piece) for piece in pieces if piece is not None)
        if data and digest_of(data) == item.digest:
            _save(directory, item, data)
            return _of_disk(directory)(item)
        return b""

    return read


def _save(directory: Path, item: RecallItem, data: bytes) -> None:
    """For the next start; half of a file is known by its digest."""
    directory.mkdir(parents=True, exist_ok=True)
    scratch = _file(directory, item).with_suffix(f".{id(data)}.tmp")
    scratch.write_bytes(data)
    scratch.rename(_file(directory, item))
    for old in sorted(directory.glob("recall-*.bin"))[:-KEPT_FILES]:
        old.unlink(missing_ok=True)


def _file(directory: Path, item: RecallItem) -> Path:
    return directory / f"recall-{item.version:012d}.bin"
