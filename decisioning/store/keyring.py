"""PostgreSQL's keys in; the keys of this process, at most a second behind, out. No request waits for the database.

A thread looks at the number that the database raises with every change (the same that makes a snapshot) and reads all
keys when it moved. So revoking a key needs neither Redis, nor a worker, nor the time a large snapshot takes to prepare.
What is known is kept on disk as well: a process that starts while PostgreSQL is away knows the keys it knew last.
Without either it uses those of its snapshot.
"""

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import Error
from django.db.models import Q

from ..engine.prepare import Prepared
from ..engine.types import KeyItem
from ..models import ApiKey, Change
from .deadline import Gate, bounded
from .snapshot import holder

log = logging.getLogger(__name__)

POLL_SECONDS = 0.4
# Longer than any healthy look takes; a database that stands still must not hold the first request.
LOOK_SECONDS = 0.8


class Key(KeyItem, frozen=True):
    """A key with where it may be used from, and how many requests or events a second it may send (None: not said)."""

    origins: tuple[str, ...] = ()
    decide_rate: int | None = None
    outcome_rate: int | None = None
    event_rate: int | None = None


_disk = msgspec.msgpack.Decoder(tuple[Key, ...])


class Ring:
    """The keys by prefix, without those switched off; `held` is None before any is known."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "keys.bin"
        self.held: Mapping[str, Key] | None = None
        self.number: int | None = None
        self._used: dict[str, date] = {}
        self._noted: dict[str, date] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._gate = Gate(pause=0.0)

    def start(self) -> None:
        """Know what there is, and keep up with it in the background. Idempotent."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is not None:
                return
            self._load()
            self.look()
            self._thread = threading.Thread(target=self._run, name="keys", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Read the keys if something changed, and write which were used; on any failure keep what is known."""
        try:
            with bounded(LOOK_SECONDS, entrance=self._gate):
                self._read()
                self._write_use()
        except Error as error:
            log.debug("the keys stay as they are: %s", error)
        except Exception:
            log.exception("the keys stay as they are")

    def use(self, prefix: str, day: date) -> None:
        """Note that a key was used; the database hears of it once a day and process."""
        if self._used.get(prefix) != day:
            self._used[prefix] = day

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(POLL_SECONDS):
            self.look()

    def _read(self) -> None:
        # The number first: keys read after it are at least as new.
        number = Change.objects.values_list("number", flat=True).first()
        if number is None or number == self.number:
            return
        keys = tuple(key_of(row) for row in ApiKey.objects.filter(active=True).order_by("prefix"))
        changed = self.held is None or tuple(self.held.values()) != keys
        self.held, self.number = {key.prefix: key for key in keys}, number
        if changed:
            self._save(keys)

    def _write_use(self) -> None:
        news = {prefix: day for prefix, day in list(self._used.items()) if self._noted.get(prefix) != day}
        for day in set(news.values()):
            mine = [prefix for prefix, one in news.items() if one == day]
            older = Q(last_used_on__lt=day) | Q(last_used_on=None)
            ApiKey.objects.filter(older, prefix__in=mine).update(last_used_on=day)
        self._noted |= news

    def _load(self) -> None:
        try:
            self.held = {key.prefix: key for key in _disk.decode(self.path.read_bytes())}
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.error("%s is not usable: %r", self.path.name, error)

    def _save(self, keys: tuple[Key, ...]) -> None:
        """Write and rename, for the owner's eyes: a crash leaves the former file."""
        scratch = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            scratch.touch(mode=0o600)
            scratch.write_bytes(msgspec.msgpack.encode(keys))
            scratch.rename(self.path)
        except OSError as error:
            log.error("the keys could not be kept on disk: %s", error)


def key_of(row: ApiKey) -> Key:
    """A row as processes hold it."""
    rates = (row.decide_rate, row.outcome_rate, row.event_rate)
    return Key(row.prefix, row.digest, tuple(row.scopes), row.expires_at, tuple(row.origins), *rates)


ring = Ring(settings.STATE_DIR)


def find(prefix: str, prepared: Prepared | None) -> Key | None:
    """The key with this prefix, if it is in force or was until it expired.

    The keys of the process overrule those of its own snapshot, which may be older. A snapshot that is not the
    process's own, as tests and previews have, brings its keys along.
    """
    if prepared is not None and prepared is holder.current:
        ring.start()
    if ring.held is not None:
        return ring.held.get(prefix)
    item = prepared.keys.get(prefix) if prepared else None
    return _plain(item) if item else None


def find_all(prepared: Prepared | None) -> Iterable[Key]:
    """All keys, from where `find` finds one."""
    find("", prepared)
    if ring.held is not None:
        return ring.held.values()
    return [_plain(item) for item in prepared.keys.values()] if prepared else []


def _plain(item: KeyItem) -> Key:
    return Key(item.prefix, item.digest, item.scopes, item.expires_at)


def known(prepared: Prepared | None) -> bool:
    """Whether any keys are known at all; without them nobody can be refused for having none."""
    return ring.held is not None or prepared is not None
