"""Identities and their new events in; the folded state of each, kept beside the log, out.

A state is committed with the deletion of what it took in from the list of pending events, so each event is folded once.
One that is missing, unreadable or folded for other histories is made anew from the log, without what is still pending.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from django.db import connection

from rules.language.nodes import History

from ..intake import arrays
from .folding import fold, merge, prune
from .state import FoldedEvent, State, pack, schema_of, unpack

READ = """
SELECT i.customer_id, i.id, i.kind, i.value, i.first_at, s.data, s.schema
FROM customers_identity i LEFT JOIN customers_state s ON s.identity_id = i.id
WHERE i.customer_id = ANY(%s) ORDER BY i.customer_id, i.id
"""
WRITE = """
INSERT INTO customers_state (identity_id, data, schema, events, changed_at)
SELECT id, data, %s, events, %s FROM unnest(%b::bigint[], %b::bytea[], %b::bigint[]) AS v(id, data, events)
ON CONFLICT (identity_id) DO UPDATE SET data = excluded.data, schema = excluded.schema, events = excluded.events,
                                        changed_at = excluded.changed_at
"""
LOG = """
SELECT e.identity_id, e.message_id, e.type, e.name, e.timestamp, e.properties::text, e.context::text
FROM customers_event e
WHERE e.identity_id = ANY(%s) AND NOT e.bot
AND NOT EXISTS (SELECT FROM customers_pending p WHERE p.event_id = e.id)
"""
AT_ONCE: Final = 200


@dataclass(slots=True)
class Stream:
    """One identity of a customer with its state; None before its first event."""

    identity: int
    kind: str
    value: str
    first_at: datetime | None
    state: State | None
    changed: bool = False

    @property
    def is_new(self) -> bool:
        """Nothing of it was ever handled."""
        return self.first_at is None


def load(customers: Sequence[int], histories: Mapping[str, History]) -> dict[int, list[Stream]]:
    """The streams of each of these customers; customers without identities are not among the keys."""
    schema = schema_of(histories)
    found: dict[int, list[Stream]] = {}
    stale: list[Stream] = []
    with arrays.direct() as raw:
        raw.execute(READ, [list(customers)], binary=True, prepare=True)
        for customer, identity, kind, value, first_at, data, of in raw.fetchall():
            stream = Stream(identity, kind, value, first_at, _read(data) if of == schema else None)
            found.setdefault(customer, []).append(stream)
            if stream.state is None and (data is not None or first_at is not None):
                stale.append(stream)
    for start in range(0, len(stale), AT_ONCE):
        _rebuild(stale[start : start + AT_ONCE], histories)
    return found


def _read(data: bytes | None) -> State | None:
    try:
        return unpack(data) if data is not None else None
    except msgspec.MsgspecError:
        return None


def _rebuild(streams: Sequence[Stream], histories: Mapping[str, History]) -> None:
    events: dict[int, list[FoldedEvent]] = {}
    with connection.cursor() as cursor:
        cursor.execute(LOG, [[stream.identity for stream in streams]])
        for identity, *values in cursor.fetchall():
            events.setdefault(identity, []).append(FoldedEvent(*values))
    for stream in streams:
        # Also an empty one is kept: most identifiers are only ever met beside a stronger one. Whoever goes on with it
        # knows the clock, and takes in what has happened by then.
        stream.state = State(ahead=events.get(stream.identity, []))
        stream.changed = True


def take_in(stream: Stream, events: Sequence[FoldedEvent], now: datetime, histories: Mapping[str, History]) -> None:
    """Fold new events into a stream."""
    stream.state = prune(fold(stream.state, events, histories, now), now, histories)
    stream.changed = True


def together(streams: Iterable[Stream]) -> State:
    """One state of all events of a customer."""
    states = [stream.state for stream in streams if stream.state is not None]
    return states[0] if len(states) == 1 else merge(states)


def save(streams: Iterable[Stream], now: datetime, histories: Mapping[str, History]) -> None:
    """Write the states that changed, as of now."""
    rows = [(stream.identity, stream.state) for stream in streams if stream.changed and stream.state is not None]
    if not rows:
        return
    for _, state in rows:
        if state.ahead:
            prune(state, now, histories)
    columns = [
        arrays.bigints([identity for identity, _ in rows]),
        arrays.binaries([pack(state) for _, state in rows]),
        arrays.bigints([state.events for _, state in rows]),
    ]
    with arrays.direct() as raw:
        raw.execute(WRITE, [schema_of(histories), now, *columns], prepare=True)
