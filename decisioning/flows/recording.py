"""A placement's resolution in; what the caller is told, and the ledger's row, out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from ..engine.prepare import Prepared
from ..engine.scoring import MODEL
from ..engine.types import Ask, Item, Resolution
from ..models import Decision
from ..store import tokens
from .asking import Asker
from .contract import ItemAnswer, PlacementAnswer


def answer_of(ask: Ask, resolution: Resolution, decision_id: UUID, asker: Asker, now: datetime) -> PlacementAnswer:
    """The placement's part of the answer."""
    items = [_item(item, decision_id, asker.body_of(item.content, ask, now)) for item in resolution.items]
    return PlacementAnswer(
        ask.placement,
        str(decision_id),
        resolution.rung,
        resolution.reason,
        resolution.policy,
        items,
        resolution.basis,
        next((trace.key for trace in resolution.rules if trace.effects), None),
        None,
        resolution.rules,
        resolution.campaigns,
        resolution.dropped if ask.explain else {},
        asker.missing,
    )


def _item(item: Item, decision_id: UUID, body: Mapping[str, Any]) -> ItemAnswer:
    return ItemAnswer(
        item.content.key,
        item.rank,
        item.score,
        item.propensity,
        tokens.issue(decision_id, item.content.key),
        {"name": item.content.name, **body},
        item.reasons,
        item.propensity_estimated,
    )


def row_of(
    decision_id: UUID,
    prepared: Prepared,
    ask: Ask,
    resolution: Resolution,
    now: datetime,
    source: str,
    asked: Mapping[str, Any],
) -> Decision:
    """The ledger's row: the answer and all it was decided from, so that it can be explained, replayed and learned."""
    customer = ask.customer
    return Decision(
        id=decision_id,
        at=now,
        customer_id=customer.id if customer else None,
        customer_key=customer.key if customer else ask.person[:200],
        placement=ask.placement,
        source=source,
        request_id=ask.request_id,
        snapshot=prepared.number,
        scorer=prepared.data.scorer.version if prepared.scorer and prepared.data.scorer else None,
        rung=resolution.rung,
        reason=resolution.reason,
        policy=resolution.policy,
        items=[
            {
                "key": item.content.key,
                "rank": item.rank,
                "score": item.score,
                "propensity": item.propensity,
                "reasons": list(item.reasons),
            }
            for item in resolution.items
        ],
        explanation={
            "rules": msgspec.to_builtins(resolution.rules),
            "dropped": resolution.dropped,
            "campaigns": list(resolution.campaigns),
            "segments": list(customer.segments) if customer else [],
            **({"arms": list(resolution.arms)} if resolution.arms else {}),
        },
        facts=customer.facts if customer else {},
        context=dict(ask.context),
        windows=list(prepared.slots[ask.placement].item.windows),
        asked={
            **asked,
            "n": ask.count,
            "exclude": sorted(ask.exclude),
            "person": ask.person,
            "unit": customer.unit if customer else "",
            # Those that ranked, where they did: nobody reads them otherwise.
            "scores": dict(customer.scores) if customer and resolution.rung == MODEL else None,
            "scores_by": customer.scorer if customer and resolution.rung == MODEL else None,
            "facts_at": customer.facts_at.isoformat() if customer and customer.facts_at else None,
            "taken": sorted(ask.taken),
            "holdout": ask.holdout,
            "shown": {key: [at.isoformat() for at in times] for key, times in ask.shown.items()},
        },
    )
