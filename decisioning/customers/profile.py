"""Customers' events in PostgreSQL in; their facts, written back beside them, out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
from django.conf import settings
from django.db import connection
from django.db.models import F

from .facts import facts_at, facts_frame, prepare, vocabulary_of
from .histories import wanted, with_histories
from .models import Customer, FactVocabulary
from .vocabulary import Vocabulary

EVENTS = "SELECT customer_id, message_id, name, timestamp, properties::text FROM customers_event"
STORED = "SELECT id, facts::text FROM customers_customer WHERE facts_at IS NOT NULL"
CUSTOMERS = "SELECT id, traits::text FROM customers_customer"
STORE = """
UPDATE customers_customer c SET facts = v.facts, facts_at = %s, facts_version = c.facts_version + 1
FROM unnest(%s::bigint[], %s::jsonb[]) AS v(id, facts) WHERE c.id = v.id
"""
EVENT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "customer_id": pl.Int64,
    "message_id": pl.String,
    "name": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
    "properties": pl.String,
}
CUSTOMER_SCHEMA = {"customer_id": pl.Int64, "traits": pl.String}


def read_events(ids: Sequence[int] | None = None) -> pl.DataFrame:
    """The log of these customers, or of everybody: customer_id, message_id, name, timestamp, properties (JSON)."""
    where, values = ("", []) if ids is None else (" WHERE customer_id = ANY(%s)", [list(ids)])
    with connection.cursor() as cursor:
        cursor.execute(EVENTS + where, values)
        return pl.DataFrame(cursor.fetchall(), schema=EVENT_SCHEMA, orient="row")


def read_customers(ids: Sequence[int] | None = None) -> pl.DataFrame:
    """customer_id and traits (JSON) of these customers, or of everybody."""
    where, values = ("", []) if ids is None else (" WHERE id = ANY(%s)", [list(ids)])
    with connection.cursor() as cursor:
        cursor.execute(CUSTOMERS + where + " ORDER BY id", values)
        return pl.DataFrame(cursor.fetchall(), schema=CUSTOMER_SCHEMA, orient="row")


def vocabulary() -> Vocabulary:
    """The newest one learned; an empty one before anything was."""
    row = FactVocabulary.objects.order_by("-pk").first()
    return Vocabulary.from_dict(row.data) if row else Vocabulary()


def hold_everybody() -> None:
    """Lock every customer until the transaction ends, so that no event is handled on facts about to be replaced."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM (SELECT id FROM customers_customer ORDER BY id FOR UPDATE) AS held")


def touch(ids: Sequence[int]) -> None:
    """Give these customers' profiles a new version: something beside their facts changed."""
    Customer.objects.filter(pk__in=ids).update(facts_version=F("facts_version") + 1)


def recompute(ids: Sequence[int], now: datetime) -> pl.DataFrame:
    """Compute and store the facts of a few customers; the frame of facts. The caller holds their rows."""
    events = read_events(ids)
    facts = facts_frame(events, read_customers(ids), now, vocabulary())
    facts = with_histories(facts, events, wanted(), now)
    write(facts, now)
    return facts


def recompute_all(now: datetime) -> pl.DataFrame:
    """Learn the vocabulary anew, then compute and store everybody's facts; the frame of facts."""
    events, customers, asked = read_events(), read_customers(), wanted()
    known = prepare(events).before(now, inclusive=True)
    learned = vocabulary_of(known, customers, now, settings.FACTS_TIME_ZONE)
    FactVocabulary.objects.create(data=learned.to_dict(), histories=sorted(asked), learned_at=now)
    facts = with_histories(facts_at(known, customers, now, learned), events, asked, now)
    write(facts, now)
    return facts


def write(facts: pl.DataFrame, now: datetime) -> None:
    """Store a frame of facts; missing ones are left out, so that a stored fact is always a value."""
    rows = facts.drop("customer_id").to_dicts()
    texts = [msgspec.json.encode({k: one for k, v in row.items() if (one := _one(v)) is not None}) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(STORE, [now, facts["customer_id"].to_list(), [text.decode() for text in texts]])


def _one(value: Any) -> Any:
    """A history's value that is of another type for each customer comes as one field a type; take the one there is."""
    if not isinstance(value, dict):
        return value
    return next((part for part in value.values() if part is not None), None)


def missing_histories() -> set[str]:
    """Histories that something published asks for and that were not computed for everybody yet."""
    row = FactVocabulary.objects.order_by("-pk").first()
    return set(wanted()) - set(row.histories) if row else set()


def stored_frame(ids: Sequence[int] | None = None) -> pl.DataFrame:
    """Facts as stored, one row a customer: customer_id and a column for each fact anybody has."""
    where, values = ("", []) if ids is None else (" AND id = ANY(%s)", [list(ids)])
    with connection.cursor() as cursor:
        cursor.execute(STORED + where + " ORDER BY id", values)
        rows = cursor.fetchall()
    dicts = [{"customer_id": pk, **msgspec.json.decode(text)} for pk, text in rows]
    return pl.DataFrame(dicts, infer_schema_length=None) if dicts else pl.DataFrame(schema={"customer_id": pl.Int64})
