"""Database rows in, a frozen numbered snapshot out: in PostgreSQL, in Redis, on disk and in the process.

`build` runs where something was published (admin) and every second in a worker; it does nothing unless the database's
change number moved. Serving processes hold a `Holder`, which polls the newest number and swaps in whole snapshots; it
never goes back, because a rollback is published as a new number. Start order: memory → disk → nothing (defaults).
"""

import hashlib
import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import redis
from django.conf import settings
from django.db import transaction

from ..engine.prepare import Prepared, prepare
from ..engine.types import SnapshotData
from ..models import Change, Snapshot
from . import candidates
from .connection import patient
from .freeze import freeze

log = logging.getLogger(__name__)

POINTER, BLOB = "snapshot:number", "snapshot:{}"
KEPT = 5
POLL_SECONDS = 0.5


class Frozen(msgspec.Struct, frozen=True):
    """A snapshot as bytes carry it."""

    number: int
    built_at: datetime
    data: SnapshotData


def build() -> Snapshot | None:
    """Freeze what is published, if it changed; the new row, or None. Safe to call from anywhere at any time."""
    with transaction.atomic():
        change, _ = Change.objects.select_for_update().get_or_create(pk=1)
        if change.number == change.built:
            return None
        data = msgspec.msgpack.encode(freeze())
        digest = hashlib.sha256(data).hexdigest()
        Change.objects.update(built=change.number)
        newest = Snapshot.objects.order_by("-number").first()
        if newest is not None and newest.digest == digest:
            return None
        row = Snapshot.objects.create(digest=digest, data=data)
        row.refresh_from_db()
    announce(row)
    return row


def announce(row: Snapshot) -> None:
    """Hand the newest snapshot to Redis; when Redis is away the next `keep_announced` does it."""
    frozen = Frozen(row.number, row.built_at, msgspec.msgpack.decode(bytes(row.data), type=SnapshotData))
    if frozen.data.recall is not None:
        # First, so that whoever sees the snapshot finds the lists it names.
        candidates.announce(frozen.data.recall)
    try:
        pipe = patient().pipeline(transaction=True)
        pipe.set(BLOB.format(row.number), _seal(msgspec.msgpack.encode(frozen)))
        pipe.set(POINTER, row.number)
        pipe.delete(BLOB.format(row.number - KEPT))
        pipe.execute()
    except redis.RedisError as error:
        log.warning("snapshot %s waits for Redis: %s", row.number, error)


def keep_announced() -> None:
    """Repair Redis after it came back empty or behind."""
    newest = Snapshot.objects.order_by("-number").first()
    if newest is None:
        return
    pointer = patient().get(POINTER)
    if pointer is None or int(pointer) != newest.number:
        announce(newest)


def _seal(body: bytes) -> bytes:
    return hashlib.sha256(body).digest() + body


def unseal(blob: bytes) -> Frozen:
    """Bytes to a snapshot; raises ValueError when they are cut or altered."""
    if hashlib.sha256(blob[32:]).digest() != blob[:32]:
        raise ValueError("checksum does not match")
    return msgspec.msgpack.decode(blob[32:], type=Frozen)


class Holder:
    """The snapshot this process decides with. `start` loads what is there and keeps up from then on."""

    def __init__(self, directory: Path, client: redis.Redis) -> None:
        self.directory = directory
        self.client = client
        self.current: Prepared | None = None
        self.source = "none"
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Load the last good snapshot from disk, look for a newer one, and poll in the background. Idempotent."""
        with self._lock:
            if self._thread is not None:
                return
            self._load_disk()
            self.poll()
            self._thread = threading.Thread(target=self._run, name="snapshot-poll", daemon=True)
            self._thread.start()

    def poll(self) -> None:
        """Swap in the newest snapshot if there is one; on any failure keep the one in hand."""
        try:
            pointer = self.client.get(POINTER)
            if pointer is None or (self.current is not None and int(pointer) <= self.current.number):
                return self._complete()
            blob = cast(bytes | None, self.client.get(BLOB.format(int(pointer))))
            if blob is not None:
                self._take(blob, "redis")
                self._save_disk(blob)
        except redis.RedisError:
            log.debug("snapshot poll: Redis is away")
        except Exception:
            # Whatever a snapshot holds, it must not stop the decisions that the former one can make.
            log.exception("snapshot poll failed; staying with %s", self.current and self.current.number)

    def _complete(self) -> None:
        """Take the candidate lists that could not be had when the snapshot was taken."""
        current = self.current
        if current is None or current.data.recall is None or current.recall is not None:
            return
        if (lists := candidates.held(current.data, self.directory)) is not None:
            self.current = prepare(current.number, current.built_at, current.data, lists)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(POLL_SECONDS):
            self.poll()

    def _take(self, blob: bytes, source: str) -> None:
        frozen = unseal(blob)
        # Those in hand are the same until they are learned anew.
        mine = self.current.recall if self.current and self.current.data.recall == frozen.data.recall else None
        lists = mine or candidates.held(frozen.data, self.directory)
        prepared = prepare(frozen.number, frozen.built_at, frozen.data, lists)
        for problem in prepared.problems:
            log.error("snapshot %s: left out: %s", frozen.number, problem)
        self.current, self.source = prepared, source
        log.info("snapshot %s from %s", frozen.number, source)

    def _load_disk(self) -> None:
        for path in sorted(self.directory.glob("snapshot-*.bin"), reverse=True):
            try:
                return self._take(path.read_bytes(), "disk")
            except Exception as error:
                log.error("%s is not usable: %r", path.name, error)

    def _save_disk(self, blob: bytes) -> None:
        """Write, fsync, rename: a crash leaves the former file, never half of the new one."""
        assert self.current is not None
        self.directory.mkdir(parents=True, exist_ok=True)
        target = self.directory / f"snapshot-{self.current.number:012d}.bin"
        scratch = target.with_suffix(f".{os.getpid()}.tmp")
        with scratch.open("wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(target)
        for old in sorted(self.directory.glob("snapshot-*.bin"))[:-KEPT]:
            old.unlink(missing_ok=True)


def age_seconds(prepared: Prepared) -> float:
    """How long ago the snapshot was built, in real seconds."""
    return (datetime.now(UTC) - prepared.built_at).total_seconds()


holder = Holder(settings.STATE_DIR, patient())
