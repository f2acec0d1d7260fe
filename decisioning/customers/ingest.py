"""Checked events in, committed rows of the log out: deduplicated, each with its customer, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection, transaction
from uuid_utils.compat import uuid7

from .identity import identifiers, resolve
from .tracking import Checked

STORE = """
INSERT INTO customers_event (id, message_id, customer_id, type, name, properties, context, timestamp, received_at,
                             problem)
SELECT *, '' FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::jsonb[], %s::jsonb[],
                         %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (message_id) DO NOTHING RETURNING message_id
"""
# `||` overwrites trait by trait; events are applied in the order they happened.
SET_TRAITS = "UPDATE customers_customer SET traits = traits || %s::jsonb WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch did: events added, events already known, and the customers they concern."""

    added: int
    duplicates: int
    customers: tuple[int, ...]


def store(events: Sequence[Checked], now: datetime) -> Stored:
    """Commit the events. When this returns they are in PostgreSQL; when it raises, none of them is."""
    unique = {event.message_id: event for event in events}
    if not unique:
        return Stored(0, len(events), ())
    rows = list(unique.values())
    with transaction.atomic():
        people = resolve(rows)
        owners = [people[identifiers(event)[0]] for event in rows]
        added = _insert(rows, owners, now)
        _set_traits([(event, owner) for event, owner in zip(rows, owners, strict=True) if event.message_id in added])
    return Stored(len(added), len(events) - len(added), tuple(sorted(set(owners))))


def _insert(rows: Sequence[Checked], owners: Sequence[int], now: datetime) -> set[str]:
    columns: list[list[Any]] = [
        [uuid7() for _ in rows],
        [event.message_id for event in rows],
        list(owners),
        [event.type for event in rows],
        [event.name for event in rows],
        [event.properties for event in rows],
        [event.context for event in rows],
        [event.timestamp for event in rows],
        [now for _ in rows],
    ]
    with connection.cursor() as cursor:
        cursor.execute(STORE, columns)
        return {message_id for (message_id,) in cursor.fetchall()}


def _set_traits(pairs: Sequence[tuple[Checked, int]]) -> None:
    ordered = sorted((pair for pair in pairs if pair[0].traits), key=lambda pair: (pair[1], pair[0].timestamp))
    with connection.cursor() as cursor:
        for event, owner in ordered:
            cursor.execute(SET_TRAITS, [msgspec.json.encode(event.traits).decode(), owner])
