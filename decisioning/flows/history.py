"""Past impressions from an import in; ledger rows with the facts as they stood then, and their outcomes, out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec
import polars as pl

from ..customers import profile
from ..customers.facts import facts_as_of, prepare, vocabulary_of
from ..customers.models import Customer
from ..models import Decision, Outcome

NAMESPACE = UUID("6d1c6f6e-0f2b-5d9c-9a7b-2f5a3f2b7c11")
CHUNK = 500


def import_impressions(frame: pl.DataFrame, placement: str, progress: Callable[[int], None]) -> int:
    """Write impressions (customer_key, content_key, shown_at, closes_at, converted_at) to the ledger; how many were read.

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
        Decision.objects.bulk_create(decisions, ignore_conflicts=True)
        outcomes = [o for row, decision in zip(rows, decisions, strict=True) for o in _outcomes(row, decision)]
        Outcome.objects.bulk_create(outcomes, ignore_conflicts=True)
        progress(len(rows))
    return len(known)


def _facts(moments: pl.DataFrame) -> dict[tuple[int, datetime], dict[str, Any]]:
    """Facts by customer and moment, cut by the vocabulary of the first moment: nothing looks ahead."""
    known, customers = prepare(profile.read_events()), profile.read_customers()
    first: datetime = moments["moment"].min()  # type: ignore[assignment]
    vocabulary = vocabulary_of(known.before(first, inclusive=False), customers, first)
    rows = facts_as_of(known, customers, moments, vocabulary).to_dicts()
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
        facts=msgspec.to_builtins(facts[customer, row["shown_at"]]),
    )


def _outcomes(row: dict[str, Any], decision: Decision) -> list[Outcome]:
    def outcome(kind: str, at: datetime) -> Outcome:
        message_id = f"import-{kind}-{decision.pk}"
        return Outcome(
            decision_id=decision.pk, content=row["content_key"], kind=kind, at=at, message_id=message_id
        )

    found = [outcome("impression", row["shown_at"])]
    if row["converted_at"] is not None:
        found.append(outcome("conversion", row["converted_at"]))
    return found
