"""Past impressions from an import in; ledger rows with the facts as they stood then, and their outcomes, out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import polars as pl
from django.conf import settings

from ..customers import profile
from ..customers.facts.frame import facts_as_of
from ..customers.models import Customer
from ..models import Decision, Outcome
from ..store.copying import copy_in

NAMESPACE = UUID("6d1c6f6e-0f2b-5d9c-9a7b-2f5a3f2b7c11")
CHUNK = 1000


def import_impressions(frame: pl.DataFrame, placement: str, progress: Callable[[int], None]) -> int:
    """Write impressions (customer_key, content_key, shown_at, closes_at, converted_at) to the ledger; how many.

    Ids are derived from customer, content and moment, so that a repeated import adds nothing. Facts are those known
    strictly before `shown_at`. Propensities are unknown and left empty.
    """
    ids = dict(Customer.objects.values_list("key", "pk"))
    known = frame.filter(pl.col("customer_key").is_in(list(ids)))
    moments = known.select(
        customer_id=pl.col("customer_key").replace_strict(ids, return_dtype=pl.Int64), moment=pl.col("shown_at")
    )
    facts = _facts(moments.unique())
    for chunk in known.iter_slices(CHUNK):
        rows = chunk.to_dicts()
        decisions = [_decision(row, ids, facts, placement) for row in rows]
        copy_in(decisions)
        copy_in([o for row, decision in zip(rows, decisions, strict=True) for o in _outcomes(row, decision)])
        progress(len(rows))
    return len(known)


def _facts(moments: pl.DataFrame) -> dict[tuple[int, datetime], dict[str, Any]]:
    """Facts by customer and moment, cut by the vocabulary as it would have been learned just before that moment."""
    events, customers = profile.read_events(), profile.read_customers()
    rows = facts_as_of(events, customers, moments, time_zone=settings.FACTS_TIME_ZONE).to_dicts()
    return {
        (row.pop("customer_id"), row.pop("moment")): {name: value for name, value in row.items() if value is not None}
        for row in rows
    }


def _decision(
    row: dict[str, Any],
    ids: dict[str, int],
    facts: dict[tuple[int, datetime], dict[str, Any]],
    placement: str,
) -> Decision:
    customer = ids[row["customer_key"]]
    key = f"{row['customer_key']}|{row['content_key']}|{row['shown_at'].isoformat()}"
    item = {
        "key": row["content_key"],
        "rank": 1,
        "score": None,
        "propensity": None,
        "reasons": ["imported: chosen outside of this product"],
        "closes_at": row["closes_at"].isoformat(),
    }
    return Decision(
        id=uuid5(NAMESPACE, key),
        at=row["shown_at"],
        customer_id=customer,
        customer_key=row["customer_key"],
        placement=placement,
        source=Decision.Source.IMPORT,
        rung="default",
        reason="IMPORTED",
        policy="unknown",
        items=[item],
        facts=facts[customer, row["shown_at"]],
    )


def _outcomes(row: dict[str, Any], decision: Decision) -> list[Outcome]:
    def outcome(kind: str, at: datetime) -> Outcome:
        message_id = f"import-{kind}-{decision.pk}"
        key = row["content_key"]
        # The import brought the events themselves.
        return Outcome(decision_id=decision.pk, content=key, kind=kind, at=at, message_id=message_id, told=True)

    found = [outcome("impression", row["shown_at"])]
    if row["converted_at"] is not None:
        found.append(outcome("conversion", row["converted_at"]))
    return found
