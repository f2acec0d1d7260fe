"""Checked events in, committed rows of the log out: deduplicated for ever, each with its identity, at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from django.db import IntegrityError, transaction
from psycopg.errors import CheckViolation
from uuid_utils.compat import uuid7

from ..identity.known import Newcomer, known, look_up, settle
from ..plan.checking import name_of
from . import arrays
from .partitions import moment_of, open_months
from .tracking import Checked

# One statement: the receipts tell what is new, and only that enters the log and the list of what is pending.
STORE: Final = """
WITH sent AS (
    SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::smallint[], %b::text[], %b::bigint[], %b::text[], %b::text[],
                         %b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::boolean[], %b::boolean[])
    AS v(digest, id, keep, message_id, identity_id, type, name, identifiers, properties, context, timestamp,
         historical, bot)
), fresh AS (
    INSERT INTO customers_receipt SELECT digest, id FROM sent ORDER BY digest ON CONFLICT DO NOTHING RETURNING digest
), waiting AS (
    INSERT INTO customers_pending (event_id, identity_id, attempts, problem)
    SELECT id, identity_id, 0, '' FROM sent JOIN fresh USING (digest)
)
INSERT INTO customers_event (id, keep, message_id, identity_id, type, name, identifiers, properties, context,
                             timestamp, received_at, historical, bot, source)
SELECT id, keep, message_id, identity_id, type, name, identifiers::json, properties::json, context::json,
       timestamp, %s, historical, bot, %s FROM sent JOIN fresh USING (digest)
"""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch did: events added, events already known, and the customers who came into being with it."""

    added: int
    duplicates: int
    newcomers: tuple[Newcomer, ...] = ()


def digest_of(message_id: str) -> bytes:
    """What a message id is remembered by: 128 bits of its SHA-256 (FIPS 180-4)."""
    return sha256(message_id.encode()).digest()[:16]


def store(events: Sequence[Checked], now: datetime, source: str = "", keeps: Mapping[str, int] | None = None) -> Stored:
    """Commit the events. When this returns they are in PostgreSQL; when it raises, none of them is.

    `now` is the product's time of arrival; `keeps` tells for how many months events of a name are kept.
    """
    unique: dict[bytes, Checked] = {}
    for event in events:
        unique.setdefault(digest_of(event.message_id), event)
    if not unique:
        return Stored(0, 0)
    try:
        return _store(unique, len(events), now, source, keeps or {})
    except IntegrityError as error:
        if not isinstance(error.__cause__, CheckViolation):
            raise
        # A month that nobody opened yet: the upkeep was down for long, or a retention class is new.
        open_months({0, *(keeps or {}).values()}, moment_of(uuid7()))
        return _store(unique, len(events), now, source, keeps or {})


def _store(unique: Mapping[bytes, Checked], sent: int, now: datetime, source: str, keeps: Mapping[str, int]) -> Stored:
    rows = list(unique.values())
    leading = {event.identifiers[0] for event in rows}
    with transaction.atomic():
        ids = {pair: known.ids[pair] for pair in leading if pair in known.ids}
        found = look_up(leading - ids.keys())
        settled, newcomers = settle(leading - ids.keys() - found.keys())
        ids |= found | settled
        added = _insert(list(unique), rows, [ids[event.identifiers[0]] for event in rows], now, source, keeps)
    # What the caller's transaction may still take back is not remembered before it is committed.
    transaction.on_commit(lambda: known.remember(found | settled), robust=True)
    return Stored(added, sent - added, newcomers)


def _insert(
    digests: Sequence[bytes],
    rows: Sequence[Checked],
    owners: Sequence[int],
    now: datetime,
    source: str,
    keeps: Mapping[str, int],
) -> int:
    columns: list[Any] = [
        arrays.digests(digests),
        arrays.uuids([uuid7() for _ in rows]),
        arrays.smallints([keeps.get(name_of(event.type, event.name), 0) if keeps else 0 for event in rows]),
        arrays.texts([event.message_id for event in rows]),
        arrays.bigints(owners),
        arrays.texts([event.type for event in rows]),
        arrays.texts([event.name for event in rows]),
        arrays.raws([_encode(event.identifiers) for event in rows]),
        arrays.texts([event.properties for event in rows]),
        arrays.texts([event.context for event in rows]),
        arrays.moments([event.timestamp for event in rows]),
        arrays.booleans([event.historical for event in rows]),
        arrays.booleans([event.bot for event in rows]),
    ]
    with arrays.direct() as raw:
        raw.execute(STORE, [*columns, now, source], prepare=True)
        return int(raw.rowcount)
