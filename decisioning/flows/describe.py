"""Everybody's facts in; the distribution of each, stored for people to look at, out.

    describe(frame, now)       the facts of all customers
    describe_moments(now)      the facts of requests, from the newest decisions
    describe_scores(now)       the scores, from a sample of customers

The rows are named as facts are; those of requests and scores begin with `MOMENT` and `SCORE`, so that a trait `city`
and the city of a request are two.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl
from django.db import connection, transaction

from ..customers import profile
from ..customers.facts import defining
from ..customers.facts.catalogue import catalogue_facts
from ..customers.facts.distributions import Described
from ..customers.facts.distributions import describe as described
from ..customers.models import Distribution
from ..engine.context import context_facts
from ..models import Decision, ScoredContents

MOMENT: Final = "context "
SCORE: Final = "score "
NEWEST: Final = 5_000  # decisions whose context is looked at
SAMPLE: Final = 20_000  # customers whose scores are looked at
LONGEST_NAME: Final = 300
# Spread over all customers by their ids' hashes, which an index need not know: the sample is cut before it is read.
SCORES: Final = """
SELECT s.contents_id, s.values FROM decisioning_score s
WHERE mod(hashint8(s.customer_id)::bigint + 2147483648, %s) = 0 LIMIT %s
"""


def describe(frame: pl.DataFrame, now: datetime) -> int:
    """Store how each fact of this frame (customer_id and a column a fact) is distributed; how many facts there are.

    Facts that are in no column any more are forgotten.
    """
    facts = {**catalogue_facts(profile.vocabulary()), **defining.published().catalogue()}
    found = described(frame, {name: fact.type for name, fact in facts.items()})
    # Nobody has it: that too is an answer.
    found |= {name: Described(fact.type, 0.0, frame.height, {}) for name, fact in facts.items() if name not in found}
    _store(found, now, "")
    return len(found)


def describe_moments(now: datetime) -> int:
    """The same for the facts of requests."""
    rows = Decision.objects.order_by("-at").values_list("context", "at")[:NEWEST]
    found = [context_facts(context, at) for context, at in rows if isinstance(context, dict)]
    return _store_rows(found, now, MOMENT)


def describe_scores(now: datetime) -> int:
    """The same for scores."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM decisioning_score")
        every = max(1, cursor.fetchone()[0] // SAMPLE)
        cursor.execute(SCORES, [every, SAMPLE])
        rows = cursor.fetchall()
    keys = {row.pk: row.keys for row in ScoredContents.objects.filter(pk__in={number for number, _ in rows})}
    found = [dict(zip(keys[number], values, strict=True)) for number, values in rows]
    return _store_rows(found, now, SCORE)


def _store_rows(rows: list[dict[str, Any]], now: datetime, prefix: str) -> int:
    found = described(pl.DataFrame(rows, infer_schema_length=None)) if rows else {}
    _store(found, now, prefix)
    return len(found)


def _store(found: Mapping[str, Described], now: datetime, prefix: str) -> None:
    rows = [
        Distribution(
            name=prefix + name,
            type=one.type,
            coverage=one.coverage,
            customers=one.customers,
            figures=one.figures,
            at=now,
        )
        for name, one in found.items()
        if len(prefix + name) <= LONGEST_NAME
    ]
    mine = Distribution.objects.filter(name__startswith=prefix) if prefix else Distribution.objects.all()
    others = [each for each in (MOMENT, SCORE) if each != prefix]
    for other in others:
        mine = mine.exclude(name__startswith=other)
    with transaction.atomic():
        mine.exclude(name__in=[row.name for row in rows]).delete()
        Distribution.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["type", "coverage", "customers", "figures", "at"],
        )
