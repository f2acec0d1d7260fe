"""A decision in; everything it was decided from, in words and values, out: for operators, and for the customer.

The row of the ledger says what was answered. What it does not keep (rules that did not match, the values of their
tests, the shares of a score) is read from the snapshot of then, on which the same question is decided once more.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from campaigns.models import Content
from rules.language.facts import Fact, built_in

from ..customers import profile
from ..customers.facts import defining
from ..customers.facts.catalogue import catalogue_facts
from ..engine.context import context_facts
from ..engine.prepare import Prepared
from ..engine.types import ContentItem
from ..learning.associations import LABELS
from ..learning.contributions import LOG, LOG_ODDS, PLAIN, Factor, contributions
from ..models import Decision, Outcome
from ..store.catalogue import CONTEXT_FACTS
from . import path
from .rerun import Again, once_more, unknown
from .tested import decided_by, rules_of, seen, text_of
from .wording import FOR_ALL, FOR_OTHERS, FOR_YOU, because, plainly

TOP: Final = 12
SCORED: Final = "scorer gives"
RAISED: Final = ("shown by rule", "boost by", "pinned at")
PUT: Final = ("shown by rule", "pinned at")  # what a rule did that no score could undo
# What a score is called, and how its shares are said, by the scale on which they add up.
NOUNS: Final = {LOG_ODDS: "chance", LOG: "expected value", PLAIN: "gain"}
ON: Final = {LOG_ODDS: ", in log-odds", LOG: ", in the natural logarithm of the value", PLAIN: ""}
PERSONAL: Final = frozenset({"full", "rules+model"})


def explained(decision_id: UUID) -> dict[str, Any] | None:
    """The decision with its facts, candidates, rules, scores, versions and outcomes; None if nobody knows the id."""
    row = Decision.objects.filter(pk=decision_id).first()
    return explain_row(row) if row else None


def explain_row(row: Decision) -> dict[str, Any]:
    """The same for a row in hand."""
    again, known = once_more(row), labelled()
    # Of a row outside of the sample, `again` holds what deciding it again gave.
    names = _names(row, again.prepared)
    reasons = {item["key"]: _sentence(item, again, known) for item in row.items}
    return {
        "decision_id": str(row.pk),
        "at": row.at.isoformat(),
        "customer_id": row.customer_key or None,
        "placement": row.placement,
        "source": row.source,
        "request_id": row.request_id,
        "rung": row.rung,
        "reason": row.reason,
        "decided_by": decided_by(row),
        "policy": row.policy,
        "snapshot": row.snapshot,
        "scorer": row.scorer,
        "versions": _versions(row, again.prepared),
        "because": next(iter(reasons.values()), ""),
        "items": _items(again, names, reasons),
        "path": path.path(row),
        "candidates": path.candidates(row, names),
        "rules": rules_of(again),
        "basis": again.resolution.basis if again.resolution else None,
        "scores": _scores(again, known),
        "dropped": row.explanation.get("dropped", {}),
        "start_campaigns": row.explanation.get("campaigns", []),
        "segments": row.explanation.get("segments", []),
        "facts": row.facts,
        "context": row.context,
        "asked": row.asked,
        "whole": row.whole,
        "unknown": unknown(row),
        "decided_again": {"same": again.resolution is not None, "note": again.note},
        "outcomes": outcomes_of(row),
    }


def _items(again: Again, names: Mapping[str, str], because: Mapping[str, str]) -> list[dict[str, Any]]:
    """The chosen contents with their names, the formula of each score, and the sentence for the customer."""
    formulas = {item.content.key: item.formula for item in again.resolution.items} if again.resolution else {}
    told = []
    for item in again.row.items:
        key = item["key"]
        more = {"name": names.get(key), "formula": formulas.get(key, ""), "because": because.get(key, FOR_YOU)}
        told.append({**item, **more})
    return told


def outcomes_of(decision: Decision) -> list[dict[str, Any]]:
    """What followed, in the order of time; `attributed` unless it came after its window or before the decision."""
    rows = Outcome.objects.filter(decision_id=decision.pk).order_by("at", "pk")
    return [
        {
            "content": one.content,
            "type": one.kind,
            "value": one.value,
            "at": one.at.isoformat(),
            "attributed": decision.in_time(one.kind, one.at),
        }
        for one in rows
    ]


def labelled() -> dict[str, Fact]:
    """Every fact by its name, as it is called and described."""
    own = {**catalogue_facts(profile.vocabulary()), **defining.published().catalogue()}
    return {**own, **CONTEXT_FACTS, **built_in()}


def _names(row: Decision, prepared: Prepared | None) -> dict[str, str]:
    """What contents were called then, or are called now."""
    keys = {item["key"] for item in row.items} | set(row.explanation.get("dropped", {}))
    now = dict(Content.objects.filter(key__in=keys).values_list("key", "name"))
    then = {content.key: content.name for content in prepared.data.contents} if prepared else {}
    known = {**_own_names(row), **now, **{key: name for key, name in then.items() if name}}
    return {key: known[key] for key in keys if key in known}


def _own_names(row: Decision) -> dict[str, str]:
    """What the caller's own candidates were called: by their name, their title, or else their id."""
    own = [one for one in row.asked.get("candidates") or () if isinstance(one, dict) and one.get("id")]
    told = {one["id"]: one.get("attributes") or {} for one in own}
    named = {key: [a.get("name"), a.get("title")] for key, a in told.items()}
    return {key: next((name for name in names if name and isinstance(name, str)), key) for key, names in named.items()}


def _versions(row: Decision, prepared: Prepared | None) -> dict[str, Any]:
    rules = {rule["key"]: rule["revision"] for rule in row.explanation.get("rules", [])}
    return {
        "snapshot": row.snapshot,
        "snapshot_built_at": prepared.built_at.isoformat() if prepared else None,
        "scorer": row.scorer,
        "rules": rules,
        "facts_at": row.asked.get("facts_at"),
    }


# -- scores


def _scores(again: Again, known: Mapping[str, Fact]) -> dict[str, Any] | None:
    """Why the first content has its score: shares on its scale, the largest first. None where no scorer ranked."""
    row, winner = again.row, _winner(again)
    scorer = again.prepared.scorer if again.prepared else None
    ranked = any(reason.startswith(SCORED) for item in row.items[:1] for reason in item.get("reasons", ()))
    if winner is None or scorer is None or row.rung != "full" or not ranked:
        return None
    told = contributions(scorer, {**row.facts, **context_facts(row.context, row.at)}, winner)
    rest = told.factors[TOP:]
    return {
        "id": winner.key,
        "scorer": row.scorer,
        "kind": scorer.kind,
        "scale": told.scale,
        "given": told.score,
        "total": told.total,
        "chance": told.score if told.scale == LOG_ODDS else None,
        "log_odds": told.total if told.scale == LOG_ODDS else None,
        "base": told.base,
        "factors": [_factor(factor, known, NOUNS[told.scale]) for factor in told.factors[:TOP]],
        "others": {"count": len(rest), "share": sum(factor.share for factor in rest)},
        "score": row.items[0].get("score"),
    }


def _winner(again: Again) -> ContentItem | None:
    if again.resolution and again.resolution.items:
        return again.resolution.items[0].content
    contents = again.prepared.data.contents if again.prepared and again.row.items else ()
    return next((content for content in contents if content.key == again.row.items[0]["key"]), None)


def _factor(factor: Factor, known: Mapping[str, Fact], noun: str) -> dict[str, Any]:
    label = _label(factor, known)
    told = {"name": factor.name, "of": factor.source, "label": label, "value": factor.value, "share": factor.share}
    return told | {"words": plainly(label, factor.value, factor.share, noun)}


def _label(factor: Factor, known: Mapping[str, Fact]) -> str:
    attribute = factor.key.replace("_", " ")
    if factor.source in ("fact", "context"):
        return known[factor.key].label if factor.key in known else factor.key
    kind = factor.name.partition("_")[0]
    return {
        "content": f"The content's {attribute}",
        "cross": f"The customer's taste for the content's {attribute}",
        "rate": f"The {kind} rate of " + (f"contents with the same {attribute}" if attribute else "the content"),
        "likeness": "Likeness to what the customer clicked" + (f", by {attribute}" if attribute else ""),
        "association": LABELS.get(factor.key, factor.key),
        "position": "The place it was shown at",
    }[factor.source]


# -- words for the customer


def _sentence(item: Mapping[str, Any], again: Again, known: Mapping[str, Fact]) -> str:
    """Why this content was chosen, in words that a customer may read."""
    row, facts = again.row, seen(again)
    for text in _texts(item, again):
        if told := because(text, facts, row.at, known):
            return told
    acted = [rule for rule in row.explanation.get("rules", []) if rule.get("effects") and row.rung != path.DEFAULT]
    matched = [rule for rule in acted if rule.get("matched")]
    if any(_named(rule, item, PUT) for rule in acted if rule not in matched):
        return FOR_OTHERS
    if row.rung in PERSONAL or matched:
        return FOR_YOU
    return FOR_OTHERS if acted else FOR_ALL


def _named(rule: Mapping[str, Any], item: Mapping[str, Any], ways: tuple[str, ...]) -> bool:
    """Whether the rule is among an item's reasons, in one of these ways."""
    reasons = [reason for reason in item.get("reasons", ()) if reason.startswith(ways)]
    return any(reason.rstrip(")").endswith(f"rule {rule['key']}") for reason in reasons)


def _texts(item: Mapping[str, Any], again: Again) -> list[str]:
    """The rules whose THEN helped this content, in their order: their texts of then."""
    texts = {rule.key: rule.text for rule in again.prepared.data.rules} if again.prepared else {}
    found = []
    for rule in again.row.explanation.get("rules", []):
        named = _named(rule, item, RAISED)
        narrowed = any(effect.startswith("ONLY") for effect in rule.get("effects", ()))
        if rule.get("matched") and (named or narrowed):
            found.append(texts.get(rule["key"]) or text_of(rule))
    return [text for text in found if text]
