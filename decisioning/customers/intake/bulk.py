"""Frames of customers and events from an import in; rows in PostgreSQL, each once however often it is repeated, out."""

from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import polars as pl
from django.db import connection, transaction
from uuid_utils.compat import uuid7

from ..identity import family
from .ingest import digest_of

Progress = Callable[[int], None]

CHUNK = 10_000

CUSTOMERS = """
INSERT INTO customers_customer (key, traits, facts, facts_version, unit)
SELECT key, traits, '{}'::jsonb, 0, '' FROM unnest(%s::text[], %s::jsonb[]) AS v(key, traits)
ON CONFLICT (key) DO UPDATE SET traits = customers_customer.traits || excluded.traits
WHERE customers_customer.traits IS DISTINCT FROM customers_customer.traits || excluded.traits
"""
# Each customer came into being with the user id that is its key.
FIRST_IDENTITIES = """
INSERT INTO customers_identity (customer_id, home_id, kind, value)
SELECT c.id, c.id, 'user_id', c.key FROM unnest(%s::text[]) AS v(key) JOIN customers_customer c ON c.key = v.key
ON CONFLICT (kind, value) DO NOTHING
"""
IDENTITIES = """
INSERT INTO customers_identity (customer_id, kind, value)
SELECT c.id, %s, v.value FROM unnest(%s::text[], %s::text[]) AS v(key, value) JOIN customers_customer c ON c.key = v.key
ON CONFLICT (kind, value) DO NOTHING
"""
# The evidence that keeps them together: the import said so.
LINKS = """
INSERT INTO customers_link (one_id, other_id, how, at, message_id, followed, code, reason)
SELECT f.id, i.id, 'import', %s, '', true, 'joined', 'An import says that they are one person.'
FROM unnest(%s::text[], %s::text[]) AS v(key, value)
JOIN customers_customer c ON c.key = v.key
JOIN customers_identity f ON f.home_id = c.id
JOIN customers_identity i ON i.kind = %s AND i.value = v.value AND i.customer_id = c.id AND i.id <> f.id
ON CONFLICT (one_id, other_id, how) DO NOTHING
"""
CONSENTS = """
INSERT INTO customers_consent (customer_id, channel, granted, at, source)
SELECT c.id, %s, true, v.at, %s FROM unnest(%s::text[], %s::timestamptz[]) AS v(key, at)
JOIN customers_customer c ON c.key = v.key ON CONFLICT (customer_id, channel) DO NOTHING
"""
NAMED = "SELECT id FROM customers_customer WHERE key = ANY(%s)"
STAGE = """
CREATE TEMPORARY TABLE incoming (digest uuid, id uuid, message_id text, key text, type text, name text,
                                 timestamp timestamptz, properties json) ON COMMIT DROP
"""
# What is imported happened long ago: it is history, folded with the next refresh of all, and triggers nothing.
UNSTAGE = """
WITH fresh AS (
    INSERT INTO customers_receipt SELECT digest, id FROM incoming ON CONFLICT DO NOTHING RETURNING digest
)
INSERT INTO customers_event (id, keep, message_id, identity_id, type, name, identifiers, properties, context,
                             timestamp, received_at, historical, bot, source)
SELECT e.id, 0, e.message_id, i.id, e.type, e.name, json_build_array(json_build_array(i.kind, i.value)), e.properties,
       '{"historical": true}', e.timestamp, %s, true, false, 'import'
FROM incoming e JOIN fresh USING (digest) JOIN customers_identity i ON i.kind = 'user_id' AND i.value = e.key
"""
# An identity with a first moment was handled; its state is gone, so it is folded anew from the log.
FIRSTS = """
UPDATE customers_identity i SET first_at = least(i.first_at, e.at)
FROM (SELECT key, min(timestamp) AS at FROM incoming GROUP BY key) e WHERE i.kind = 'user_id' AND i.value = e.key
"""
UNFOLD = """
DELETE FROM customers_state s USING customers_identity i, incoming e
WHERE s.identity_id = i.id AND i.kind = 'user_id' AND i.value = e.key
"""


def import_customers(frame: pl.DataFrame, now: datetime) -> int:
    """Customers of `frame` (key, traits as JSON text), each with its key as user id; how many rows were read.

    Traits come as identify events, once for each different text: facts can always be made anew from the log.
    """
    keys, texts = frame["key"].to_list(), frame["traits"].to_list()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CUSTOMERS, [keys, texts])
        cursor.execute(FIRST_IDENTITIES, [keys])
        told = [
            (f"traits-{sha256(f'{key} {text}'.encode()).hexdigest()[:32]}", key, "identify", "identify", now, text)
            for key, text in zip(keys, texts, strict=True)
        ]
        _store(told, now)
    return len(keys)


def import_addresses(kind: str, pairs: Iterable[tuple[str, str]], now: datetime) -> None:
    """Identifiers of one kind: pairs of customer key and value."""
    keys, values = _columns(pairs)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(IDENTITIES, [kind, keys, values])
        cursor.execute(LINKS, [now, keys, values, kind])


def import_consents(channel: str, source: str, pairs: Iterable[tuple[str, datetime]], now: datetime) -> None:
    """Consent given for one channel: pairs of customer key and moment. What a customer said before stands.

    It is a fact at once; profiles follow when a consumer looks, those of customers without facts with the next refresh.
    """
    keys, moments = _columns(pairs)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NAMED, [keys])
        heads = family.hold([pk for (pk,) in cursor.fetchall()])
        cursor.execute(CONSENTS, [channel, source, keys, moments])
        family.keep_allowed(heads.values(), now)


def import_events(frame: pl.DataFrame, now: datetime, progress: Progress) -> int:
    """Events of `frame` (customer_key, message_id, type, name, timestamp, properties); how many were new.

    Every chunk of 10,000 is committed on its own, so an import that was killed goes on where it stopped.
    """
    added = 0
    for chunk in frame.iter_slices(CHUNK):
        added += _import_chunk(chunk, now)
        progress(len(chunk))
    return added


def _import_chunk(chunk: pl.DataFrame, now: datetime) -> int:
    with transaction.atomic():
        return _store(chunk.select("message_id", "customer_key", "type", "name", "timestamp", "properties").rows(), now)


def _store(rows: Iterable[tuple[Any, ...]], now: datetime) -> int:
    """Rows of message id, key, type, name, timestamp and properties into the log; how many were new."""
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        names = "digest, id, message_id, key, type, name, timestamp, properties"
        with cursor.copy(f"COPY incoming ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row((UUID(bytes=digest_of(row[0])), uuid7(), *row))
        cursor.execute(UNSTAGE, [now])
        added = int(cursor.rowcount)
        cursor.execute(FIRSTS)
        cursor.execute(UNFOLD)
        cursor.execute("DROP TABLE incoming")
        return added


def _columns(pairs: Iterable[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    rows = list(pairs)
    return [key for key, _ in rows], [value for _, value in rows]
