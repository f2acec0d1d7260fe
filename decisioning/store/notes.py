"""Customers whose profile got a new version come in; who of them a refresh of the frame has to read comes out.

A note is made in Redis within the transaction that raises the version, so it may be read before the commit: then
PostgreSQL's version is lower than the noted one, and the note is put back. A Redis that lost notes is not believed: its
marker, which names the frame's version and the Redis that was running, is gone or another.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from .connection import patient

CHANGED, TAKEN, MARKER = "frame:changed", "frame:taken", "frame:version"
LEAVING: Final = -1  # noted in place of a version: who is merged away or deleted
# No transaction lasts so long: a note that PostgreSQL has not confirmed by then was rolled back.
PATIENCE: Final = timedelta(minutes=10)

# KEYS: changed, taken. Whatever a refresh that was killed had taken is taken again.
TAKE: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return end
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('RENAME', KEYS[1], KEYS[2]) return end
local noted = redis.call('HGETALL', KEYS[1])
for i = 1, #noted, 2 do redis.call('HSET', KEYS[2], noted[i], noted[i + 1]) end
redis.call('DEL', KEYS[1])
"""


class Note(NamedTuple):
    """The version a customer should have, and when it was first found missing."""

    version: int
    since: datetime | None = None


def note_changed(pipe: Any, pairs: Iterable[tuple[int, int]]) -> None:
    """Add to a pipeline (or do at once on a client): these customers have these profile versions, once committed."""
    noted = dict(pairs)
    if noted:
        pipe.hset(CHANGED, mapping=noted)


def note_gone(pipe: Any, customers: Iterable[int]) -> None:
    """The same for customers who are merged into others or deleted, once committed."""
    note_changed(pipe, ((customer, LEAVING) for customer in customers))


def take() -> dict[int, Note]:
    """Everything noted since the last refresh that ended."""
    client = patient()
    client.eval(TAKE, 2, CHANGED, TAKEN)
    found: Mapping[Any, Any] = client.hgetall(TAKEN)
    return {int(customer): _read_note(value) for customer, value in found.items()}


def _read_note(value: bytes) -> Note:
    if b" " not in value:
        return Note(int(value))
    version, _, since = value.decode().partition(" ")
    return Note(int(version), datetime.fromisoformat(since))


def waiting(noted: Mapping[int, Note], seen: Mapping[int, tuple[int, bool]], now: datetime) -> dict[int, Note]:
    """Notes that PostgreSQL does not confirm yet and that are young enough to be looked at again."""
    found = {}
    for customer, note in noted.items():
        version, gone = seen.get(customer, (LEAVING - 1, True))
        confirmed = gone and customer in seen if note.version == LEAVING else version >= note.version
        first = note.since or now
        if not confirmed and now - first <= PATIENCE:
            found[customer] = Note(note.version, first)
    return found


def settle(version: int, left: Mapping[int, Note]) -> None:
    """What was taken is done; what waits is noted again, unless something newer was noted meanwhile."""
    pipe = patient().pipeline(transaction=True)
    for customer, note in left.items():
        pipe.hsetnx(
            CHANGED,
            str(customer),
            str(note.version) if note.since is None else f"{note.version} {note.since.isoformat()}",
        )
    pipe.delete(TAKEN)
    pipe.set(MARKER, _mark(version))
    pipe.execute()


def _mark(version: int) -> str:
    return f"{version} {patient().info('server')['run_id']}"


def believed(version: int) -> bool:
    """Whether Redis still has every note since this version of the frame."""
    marker: Any = patient().get(MARKER)
    return marker is not None and marker.decode() == _mark(version)
