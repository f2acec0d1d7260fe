"""A decision's id in; everything it was decided from, in words and values, out: the ledger's row read back."""

from typing import Any
from uuid import UUID

from rules.language import RuleError, explain, parse
from rules.language.nodes import Rule
from rules.models import Revision, Segment

from ..engine.context import context_facts
from ..models import Decision, Outcome


def explained(decision_id: UUID) -> dict[str, Any] | None:
    """The decision with its facts, items, rules (each test with the value it saw) and outcomes; None if unknown."""
    row = Decision.objects.filter(pk=decision_id).first()
    if row is None:
        return None
    outcomes = Outcome.objects.filter(decision_id=decision_id).order_by("at", "pk")
    return {
        "decision_id": str(row.pk),
        "at": row.at.isoformat(),
        "customer_id": row.customer_key or None,
        "placement": row.placement,
        "source": row.source,
        "request_id": row.request_id,
        "snapshot": row.snapshot,
        "scorer": row.scorer,
        "rung": row.rung,
        "reason": row.reason,
        "policy": row.policy,
        "items": row.items,
        "rules": [_rule(trace, row) for trace in row.explanation.get("rules", [])],
        "dropped": row.explanation.get("dropped", {}),
        "start_campaigns": row.explanation.get("campaigns", []),
        "facts": row.facts,
        "context": row.context,
        "outcomes": [
            {"content": o.content, "type": o.kind, "value": o.value, "at": o.at.isoformat()} for o in outcomes
        ],
    }


def _rule(trace: dict[str, Any], row: Decision) -> dict[str, Any]:
    """The trace with the revision's text and, from the facts kept, each test's value and result."""
    revision = Revision.objects.filter(rule__key=trace["key"], number=trace["revision"]).first()
    if revision is None:
        return trace
    return {**trace, "text": revision.text, "tests": trace.get("tests") or _tests(revision.text, row)}


def _tests(text: str, row: Decision) -> Any:
    try:
        node = parse(text)
    except RuleError:
        return None
    return explain(node.condition, seen(row), row.at) if isinstance(node, Rule) else None


def seen(row: Decision) -> dict[str, Any]:
    """The facts the rules saw, put together again from what the ledger kept."""
    keys = list(row.explanation.get("segments", []))
    names = list(Segment.objects.filter(key__in=keys).order_by("key").values_list("name", flat=True))
    return {
        **row.facts,
        "customer_id": row.customer_key,
        "segments": keys,
        "customer_segment": keys + names,
        **context_facts(row.context, row.at),
    }
