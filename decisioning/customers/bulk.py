"""Frames of customers and events from an import in; rows in PostgreSQL, each once however often it is repeated, out."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import polars as pl
from django.db import connection, transaction
from uuid_utils.compat import uuid7

Progress = Callable[[int], None]

CHUNK = 10_000

CUSTOMERS = """
INSERT INTO customers_customer (key, traits, facts, facts_version)
SELECT key, traits, '{}'::jsonb, 0 FROM unnest(%s::text[], %s::jsonb[]) AS v(key, traits)
ON CONFLICT (key) DO UPDATE SET traits = customers_customer.traits || excluded.traits
WHERE customers_customer.traits IS DISTINCT FROM customers_customer.traits || excluded.traits
"""
IDENTITIES = """
INSERT INTO customers_identity (customer_id, kind, value)
SELECT c.id, %s, v.value FROM unnest(%s::text[], %s::text[]) AS v(key, value) JOIN customers_customer c ON c.key = v.key
ON CONFLICT (kind, value) DO NOTHING
"""
CONSENTS = """
INSERT INTO customers_consent (customer_id, channel, granted, at, source)
SELECT c.id, %s, true, v.at, %s FROM unnest(%s::text[], %s::timestamptz[]) AS v(key, at)
JOIN customers_customer c ON c.key = v.key ON CONFLICT (customer_id, channel) DO NOTHING
"""
STAGE = """
CREATE TEMPORARY TABLE incoming (id uuid, message_id text, key text, type text, name text, timestamp timestamptz,
                                 properties jsonb) ON COMMIT DROP
"""
# What is imported happened long ago: it is history, handled from the start, and triggers nothing.
UNSTAGE = """
INSERT INTO customers_event (id, message_id, customer_id, type, name, properties, context, timestamp,
                             received_at, handled_at, problem)
SELECT i.id, i.message_id, c.id, i.type, i.name, i.properties, '{"historical": true}', i.timestamp, %s, %s, ''
FROM incoming i JOIN customers_customer c ON c.key = i.key ON CONFLICT (message_id) DO NOTHING
"""


def import_customers(frame: pl.DataFrame) -> int:
    """Customers of `frame` (key, traits as JSON text), each with its key as user id; how many rows were read."""
    keys = frame["key"].to_list()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CUSTOMERS, [keys, frame["traits"].to_list()])
        cursor.execute(IDENTITIES, ["user_id", keys, keys])
    return len(keys)


def import_addresses(kind: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Identifiers of one kind: pairs of customer key and value."""
    keys, values = _columns(pairs)
    with connection.cursor() as cursor:
        cursor.execute(IDENTITIES, [kind, keys, values])


def import_consents(channel: str, source: str, pairs: Iterable[tuple[str, datetime]]) -> None:
    """Consent given for one channel: pairs of customer key and moment. What a customer said before stands."""
    keys, moments = _columns(pairs)
    with connection.cursor() as cursor:
        cursor.execute(CONSENTS, [channel, source, keys, moments])


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
    rows = chunk.select("message_id", "customer_key", "type", "name", "timestamp", "properties").rows()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STAGE)
        with cursor.copy("COPY incoming (id, message_id, key, type, name, timestamp, properties) FROM STDIN") as copy:
            for row in rows:
                copy.write_row((uuid7(), *row))
        cursor.execute(UNSTAGE, [now, now])
        return int(cursor.rowcount)


def _columns(pairs: Iterable[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    rows = list(pairs)
    return [key for key, _ in rows], [value for _, value in rows]
