"""A number of seconds in; database work that either ends within them or fails with OperationalError, out.

A stopped PostgreSQL keeps its connections open and answers nothing: neither `statement_timeout` (kept by the server)
nor `connect_timeout` (rounded up to two seconds) ends the wait. Here each wait on the socket, connecting included, ends
at the deadline, and what could not be finished is cut off. What a cut-off commit did is unknown: callers must be able
to repeat it.

After a failure a gate lets one caller at a time try again, and no sooner than after a pause, so that a dead database
costs one thread, not all. Whoever comes while one tries waits a moment for what comes of it: of a crowd at a database
that is back only few are turned away.
"""

import select
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

PAUSE_SECONDS = 0.5
MOMENT_SECONDS = 0.1  # that a caller waits for another's trial

_local = threading.local()


def remaining() -> float | None:
    """Seconds until this thread's deadline; None when it has none."""
    at: float | None = getattr(_local, "at", None)
    return None if at is None else at - time.monotonic()


class Gate:
    """Open while things go well; after a failure it lets one through at a time, not before `pause` seconds.

    Others wait up to `moment` seconds for that one, and go on where it went well.
    """

    def __init__(self, pause: float = PAUSE_SECONDS, moment: float = MOMENT_SECONDS) -> None:
        self.pause = pause
        self.moment = moment
        self._until: float | None = None
        self._trial = threading.Lock()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Raise OperationalError at once while nobody should try."""
        if self._until is None:
            yield
            return
        if not self._may_try():
            raise OperationalError("The database did not answer a moment ago; nothing was tried.")
        if self._until is None:
            # Another tried, and all is well.
            self._trial.release()
            yield
            return
        try:
            yield
        finally:
            self._trial.release()

    def _may_try(self) -> bool:
        """Whether it is this caller's turn, or another's trial went well meanwhile; then the trial's lock is held."""
        if self._closed() or not self._trial.acquire(timeout=self.moment):
            return False
        if self._closed():
            self._trial.release()
            return False
        return True

    def _closed(self) -> bool:
        until = self._until
        return until is not None and time.monotonic() < until

    def failed(self) -> None:
        """Close for a pause."""
        self._until = time.monotonic() + self.pause

    def went_well(self) -> None:
        """Open for everybody."""
        self._until = None


class Hurried(psycopg.Connection[Any]):
    """A psycopg connection whose every wait, also the one for connecting, ends at the thread's deadline."""

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Generator[Any, Any, Any]:
        # psycopg resumes this at least ten times a second, ready or not.
        inner = super()._connect_gen(conninfo)
        state = next(inner)
        try:
            while True:
                ready = yield state
                left = remaining()
                if left is not None and left <= 0:
                    raise psycopg.OperationalError("PostgreSQL does not accept the connection in time.")
                state = inner.send(ready)
        except StopIteration as done:
            return done.value
        finally:
            inner.close()

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's, but cut off at the deadline: the connection is closed then."""
        left = remaining()
        if left is None or (timeout is not None and timeout < left):
            return psycopg.Connection.wait(self, gen, interval, timeout)
        try:
            return psycopg.Connection.wait(self, gen, min(interval, max(left, 0.001)), max(left, 0.001))
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("PostgreSQL did not answer in time; the connection was cut.") from None


gate = Gate()


@contextmanager
def bounded(seconds: float, using: str = "default", entrance: Gate = gate) -> Iterator[None]:
    """Database work of this thread within the block fails with OperationalError once `seconds` are over."""
    wrapper = connections[using]
    before = getattr(_local, "at", None)
    at = time.monotonic() + seconds
    with entrance.enter():
        _local.at = at if before is None else min(at, before)
        try:
            _hurry(wrapper)
            yield
        except (OperationalError, InterfaceError):
            if _lost(wrapper):
                entrance.failed()
                _forget(wrapper)
            raise
        else:
            entrance.went_well()
        finally:
            _local.at = before


def _hurry(wrapper: BaseDatabaseWrapper) -> None:
    """Make the wrapper's connection obey deadlines, the one it has and the ones it will open."""
    wrapper.get_new_connection = MethodType(_connect, wrapper)  # type: ignore[method-assign]
    held = wrapper.connection
    if held is None:
        return
    if not wrapper.in_atomic_block and _hung_up(held):
        wrapper.close()
        return
    if not isinstance(held, Hurried) and "wait" not in vars(held):
        held.wait = MethodType(Hurried.wait, held)


def _connect(wrapper: BaseDatabaseWrapper, params: dict[str, Any]) -> Any:
    """What Django's wrapper does to open a connection, with our class."""
    database, wrapper.Database = wrapper.Database, _Opener  # type: ignore[attr-defined]
    try:
        return type(wrapper).get_new_connection(wrapper, params)
    finally:
        wrapper.Database = database  # type: ignore[attr-defined]


class _Opener:
    """Stands in for the module `psycopg` while a connection is opened."""

    connect = Hurried.connect


def _hung_up(held: Any) -> bool:
    """Whether the server closed an idle connection, as in a restart: there is something to read, and it ends."""
    try:
        while select.select([held.pgconn.socket], [], [], 0)[0]:
            held.pgconn.consume_input()
    except (psycopg.Error, OSError, ValueError):
        return True
    return False


def _lost(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether the connection is gone, as opposed to a statement that failed on a living one."""
    held = wrapper.connection
    return held is None or bool(held.closed)


def _forget(wrapper: BaseDatabaseWrapper) -> None:
    """Let the next caller of this thread open a new connection."""
    if not wrapper.in_atomic_block:
        try:
            wrapper.close()
        except DatabaseError:
            wrapper.connection = None
