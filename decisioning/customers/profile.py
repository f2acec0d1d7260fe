"""What PostgreSQL holds of customers in; frames of it, and facts written back beside them, out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import polars as pl
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from .facts import holding
from .facts.frame import prepare, vocabulary_of
from .facts.histories import marks
from .facts.vocabulary import Vocabulary
from .intake import arrays
from .intake.arrays import among
from .models import Customer, FactVocabulary

# Bots' events count nowhere; what is pending counts when it is handled.
EVENTS = """
SELECT i.customer_id, e.message_id, e.type, e.name, e.timestamp, e.properties::text, e.context::text
FROM customers_event e JOIN customers_identity i ON i.id = e.identity_id
WHERE NOT e.bot AND NOT EXISTS (SELECT FROM customers_pending p WHERE p.event_id = e.id)
"""
STORED = "SELECT id, facts::text FROM customers_customer WHERE facts_at IS NOT NULL AND merged_into_id IS NULL"
FACTS = """
SELECT id, CASE unit WHEN '' THEN key ELSE unit END, facts::text FROM customers_customer
WHERE id = ANY(%s) AND facts_at IS NOT NULL AND merged_into_id IS NULL
"""
CUSTOMERS = "SELECT id, traits::text FROM customers_customer WHERE merged_into_id IS NULL"
STORE = """
UPDATE customers_customer c SET facts = v.facts::jsonb, traits = v.traits::jsonb, facts_at = %s,
                                facts_version = c.facts_version + 1
FROM unnest(%b::bigint[], %b::text[], %b::text[]) AS v(id, facts, traits) WHERE c.id = v.id
RETURNING c.id, c.key, c.unit, c.facts_version
"""
EVENT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "customer_id": pl.Int64,
    "message_id": pl.String,
    "type": pl.String,
    "name": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
    "properties": pl.String,
    "context": pl.String,
}
CUSTOMER_SCHEMA = {"customer_id": pl.Int64, "traits": pl.String}


def read_events(ids: Sequence[int] | None = None) -> pl.DataFrame:
    """The log of these customers, or of everybody: what `EVENT_SCHEMA` says; properties and contexts are JSON texts."""
    where, values = ("", []) if ids is None else (" AND i.customer_id = ANY(%s)", [list(ids)])
    with connection.cursor() as cursor:
        cursor.execute(EVENTS + where, values)
        return pl.DataFrame(cursor.fetchall(), schema=EVENT_SCHEMA, orient="row")


def read_customers(ids: Sequence[int] | None = None) -> pl.DataFrame:
    """customer_id and traits (JSON) of these customers, or of everybody."""
    where, values = ("", []) if ids is None else (" AND id = ANY(%s)", [list(ids)])
    with connection.cursor() as cursor:
        cursor.execute(CUSTOMERS + where + " ORDER BY id", values)
        return pl.DataFrame(cursor.fetchall(), schema=CUSTOMER_SCHEMA, orient="row")


def vocabulary() -> Vocabulary:
    """The newest one learned; an empty one before anything was."""
    row = FactVocabulary.objects.order_by("-pk").first()
    return Vocabulary.from_dict(row.data) if row else Vocabulary()


def touch(ids: Sequence[int]) -> None:
    """Give these customers' profiles a new version: something beside their facts changed."""
    Customer.objects.filter(pk__in=among(ids)).update(facts_version=F("facts_version") + 1)


def learn(now: datetime) -> Vocabulary:
    """Learn the vocabulary anew from everybody's log; it is kept by whoever has computed everybody's facts with it."""
    known = prepare(read_events()).before(now, inclusive=True)
    return vocabulary_of(known, read_customers(), now, settings.FACTS_TIME_ZONE)


def keep(learned: Vocabulary, now: datetime) -> None:
    """From now on facts are cut by this vocabulary; what everybody's facts hold besides stays what it was."""
    with transaction.atomic():
        last = holding.newest(locked=True)
        held = {"histories": last.histories, "asked": last.asked} if last else {}
        FactVocabulary.objects.create(data=learned.to_dict(), learned_at=now, **held)


class Written(NamedTuple):
    """A customer whose facts were written: what names it and the version its profile has now."""

    id: int
    key: str
    unit: str
    version: int


def write(people: Mapping[int, tuple[bytes, bytes]], now: datetime) -> list[Written]:
    """Store facts and traits (JSON texts) by customer id."""
    if not people:
        return []
    ordered = sorted(people)
    columns = [
        arrays.bigints(ordered),
        arrays.raws([people[pk][0] for pk in ordered]),
        arrays.raws([people[pk][1] for pk in ordered]),
    ]
    with arrays.direct() as raw:
        raw.execute(STORE, [now, *columns], prepare=True)
        return [Written(*row) for row in raw.fetchall()]


def missing_histories() -> set[str]:
    """Histories and custom facts that something published asks for and that were not computed for everybody yet."""
    row = FactVocabulary.objects.order_by("-pk").first()
    return marks() - set(row.histories) if row else set()


def held_histories() -> frozenset[str]:
    """The histories that everybody's facts hold, and the marks of the custom facts."""
    row = FactVocabulary.objects.order_by("-pk").first()
    return frozenset(row.histories) if row else frozenset()


def held_asked() -> set[str]:
    """What everybody's due moments were computed for."""
    row = FactVocabulary.objects.order_by("-pk").first()
    return set(row.asked) if row else set()


def stored(ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Facts as stored by customer id, with `customer_id` being what chances draw by; those merged away are left out."""
    with connection.cursor() as cursor:
        cursor.execute(FACTS, [list(ids)])
        return {pk: {**msgspec.json.decode(text), "customer_id": unit} for pk, unit, text in cursor.fetchall()}


def stored_frame(ids: Sequence[int] | None = None) -> pl.DataFrame:
    """Facts as stored, one row a customer: customer_id and a column for each fact anybody has."""
    where, values = ("", []) if ids is None else (" AND id = ANY(%s)", [list(ids)])
    with connection.cursor() as cursor:
        cursor.execute(STORED + where + " ORDER BY id", values)
        rows = cursor.fetchall()
    dicts = [{"customer_id": pk, **msgspec.json.decode(text)} for pk, text in rows]
    return pl.DataFrame(dicts, infer_schema_length=None) if dicts else pl.DataFrame(schema={"customer_id": pl.Int64})
