"""Handled events in; the tracking plan's entries, brought up to date with what was seen, out.

Every event is counted; the types of its properties are looked at for the first events of a name, and then for each
tenth, which stands for those before it.
What was seen is remembered in the process and written every few seconds. A stopped process writes what it holds
(`write`); one that is killed forgets the last seconds of counts, and learns the rest from the next events.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection, transaction

from ..models import PlannedEvent
from .checking import DEFAULT, LONGEST_NAME, Problem
from .kinds import chosen, infer
from .tally import OVERFLOW, Tally, tally

SECONDS: Final = 5.0
# After a write that took long, so many times as long: a flood of names must not keep the worker writing.
REST: Final = 20
# Names come from whoever has a write key: past these numbers they are counted and not listed.
MOST_NAMES: Final = 2_000
MOST_PROPERTIES: Final = 200
MOST_PAIRS: Final = 50_000
# Between two writes: so many events of a name are looked into one by one, then each tenth.
EACH: Final = 100
TENTH: Final = 10
LOCK: Final = 7_011_971

# The lock is held by one writer at a time: nobody waits within it for anybody, and the number of names is exact.
TRY: Final = "SELECT pg_try_advisory_xact_lock(%s)"
WAIT: Final = "SELECT pg_advisory_xact_lock(%s)"
UPDATE: Final = """
UPDATE customers_plannedevent p SET seen = p.seen + v.seen, properties = v.properties,
    first_at = least(p.first_at, v.first_at), last_at = greatest(p.last_at, v.last_at)
FROM unnest(%s::bigint[], %s::bigint[], %s::jsonb[], %s::timestamptz[], %s::timestamptz[])
    AS v(id, seen, properties, first_at, last_at) WHERE p.id = v.id
"""

TOO_MANY: Final = Problem(
    OVERFLOW,
    DEFAULT,
    "",
    f"The plan lists {MOST_NAMES:,} events and learns no more; delete those that nobody needs, or lock the rest out.",
)

Seen = tuple[str, datetime, Mapping[str, Any] | str]
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Note:
    """What was seen of one event since the last write; `counts` are by property and type.

    `skipped` events were not looked into; the next one that is stands for them too.
    """

    __slots__ = ("counts", "first", "last", "seen", "skipped")

    def __init__(self, at: datetime, skipped: int) -> None:
        self.seen = 0
        self.skipped = skipped
        self.first = self.last = at
        self.counts: dict[tuple[str, str], int] = {}


class Notebook:
    """What one process has seen and not written yet."""

    def __init__(self, counted: Tally = tally, clock: Callable[[], float] = time.monotonic) -> None:
        self._tally = counted
        self._clock = clock
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Drop what was seen and not written."""
        self._notes: dict[str, Note] = {}
        self._skipped: dict[str, int] = {}
        self._pairs = self._beyond = 0
        self._due = 0.0

    def learn(self, events: Iterable[Seen], now: datetime) -> None:
        """Remember events: (`plan.name_of`, when it happened, properties as a mapping or JSON text); write when due."""
        with self._lock:
            for name, at, properties in events:
                note = self._notes.get(name) or self._opened(name, at)
                if note is None:
                    self._beyond += 1
                    continue
                note.seen += 1
                if at < note.first:
                    note.first = at
                elif at > note.last:
                    note.last = at
                if note.seen <= EACH or not note.seen % TENTH:
                    self._look(note, properties)
                else:
                    note.skipped += 1
        if self._clock() >= self._due:
            self.write(now, patient=False)

    def _opened(self, name: str, at: datetime) -> Note | None:
        if len(self._notes) >= MOST_NAMES or name == DEFAULT or len(name) > LONGEST_NAME:
            return None
        return self._notes.setdefault(name, Note(at, self._skipped.pop(name, 0)))

    def _look(self, note: Note, properties: Mapping[str, Any] | str) -> None:
        counts, weight = note.counts, note.skipped + 1
        note.skipped = 0
        for pair in infer(_decode(properties) if isinstance(properties, str) else properties).items():
            if pair in counts:
                counts[pair] += weight
            elif self._pairs < MOST_PAIRS and len(counts) <= 2 * MOST_PROPERTIES:
                counts[pair] = weight
                self._pairs += 1

    def write(self, now: datetime, patient: bool = True) -> None:
        """Write what was seen. Another process that is writing is waited for, or, not `patient`, left alone.

        Call it outside of a transaction: the plan's rows stay locked until the commit.
        """
        with self._lock:
            if not self._notes and not self._beyond:
                return
            started = self._clock()
            self._due = started + SECONDS
            with transaction.atomic():
                if not locked(patient):
                    return
                beyond = _write(self._notes, self._tally, now) + self._beyond
            if beyond:
                self._tally.count([TOO_MANY], False, now, beyond)
            skipped = {name: note.skipped for name, note in self._notes.items() if note.skipped}
            self.forget()
            self._skipped = skipped
            self._due = self._clock() + max(SECONDS, REST * (self._clock() - started))


notebook = Notebook()


def locked(patient: bool = True) -> bool:
    """Hold the plan until the end of the transaction; whether it is held. Not `patient`, it is not waited for."""
    with connection.cursor() as cursor:
        cursor.execute(WAIT if patient else TRY, [LOCK])
        return patient or bool(cursor.fetchone()[0])


def _write(notes: Mapping[str, Note], counted: Tally, now: datetime) -> int:
    """Add to the entries there are, and make those that are new; how many events found no room."""
    rows = {row.name: row for row in PlannedEvent.objects.select_for_update(no_key=True).filter(name__in=notes)}
    updates: list[tuple[Any, ...]] = []
    for name, row in sorted(rows.items()):
        note = notes[name]
        properties, left = merged(row.properties, note.counts, row.locked)
        _tell(name, left, counted, now)
        updates.append((row.pk, note.seen, _encode(properties).decode(), note.first, note.last))
    if updates:
        with connection.cursor() as cursor:
            cursor.execute(UPDATE, [list(column) for column in zip(*updates, strict=True)])
    return _add({name: note for name, note in sorted(notes.items()) if name not in rows}, counted, now)


def _add(notes: Mapping[str, Note], counted: Tally, now: datetime) -> int:
    """Entries for names never seen, as many as there is room for; how many events found none."""
    if not notes or PlannedEvent.objects.filter(name=DEFAULT, locked=True).exists():
        # A plan whose default is locked lists what people put on it; the door has counted the others.
        return 0
    room = max(0, MOST_NAMES - PlannedEvent.objects.count())
    names = list(notes)
    rows = []
    for name in names[:room]:
        note = notes[name]
        properties, left = merged({}, note.counts, False)
        _tell(name, left, counted, now)
        rows.append(
            PlannedEvent(name=name, properties=properties, seen=note.seen, first_at=note.first, last_at=note.last)
        )
    PlannedEvent.objects.bulk_create(rows, ignore_conflicts=True)
    return sum(notes[name].seen for name in names[room:])


def _tell(name: str, left: int, counted: Tally, now: datetime) -> None:
    if left:
        told = (
            f'"{name}" has more than {MOST_PROPERTIES} properties or one with a very long name; the rest is not listed.'
        )
        counted.count([Problem("too_many_properties", name, "", told)], False, now, left)


def merged(
    stored: Mapping[str, Any], counts: Mapping[tuple[str, str], int], locked: bool
) -> tuple[dict[str, Any], int]:
    """An entry's properties with the counts added, and how many counts found no room.

    Unlocked, new properties are listed and each has the type it was seen with most; locked, only counts change.
    """
    properties = {name: {**held, "types": dict(held.get("types", {}))} for name, held in stored.items()}
    left = 0
    for (name, kind), times in counts.items():
        held = properties.get(name)
        if held is None:
            if locked:
                continue
            if len(properties) >= MOST_PROPERTIES or len(name) > LONGEST_NAME:
                left += times
                continue
            held = properties[name] = {"type": kind, "required": False, "seen": 0, "types": {}}
        held["seen"] = held.get("seen", 0) + times
        held["types"][kind] = held["types"].get(kind, 0) + times
    if not locked:
        for held in properties.values():
            held["type"] = chosen(held["types"]) if held["types"] else held.get("type", "any")
    return properties, left
