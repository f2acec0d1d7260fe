"""A decision, decided once more, in; every rule of its placement with the value and result of each test, out."""

from collections.abc import Mapping
from typing import Any, Final

from rules.language import RuleError, explain, parse
from rules.language.nodes import Rule
from rules.models import Revision, Segment

from ..engine.context import context_facts
from ..engine.eligibility import in_schedule
from ..engine.prepare import PreparedRule
from ..engine.resolver import all_facts
from ..models import Decision
from .rerun import Again

BY_RULE: Final = "TARGETING_MATCH"


def rules_of(again: Again) -> list[dict[str, Any]]:
    """The rules in the order they are looked at; those of the row alone where the snapshot is not there any more.

    `state` is "holds", "does not hold" (`failed` are the tests that were against it) or "not read" (`why`); `branch` is
    the one that did something, or tried to: THEN, ELSE, or None.
    """
    row, prepared = again.row, again.prepared
    kept = {trace["key"]: trace for trace in row.explanation.get("rules", [])}
    if prepared is None or row.placement not in prepared.slots:
        return [_stored(trace, row) for trace in kept.values()]
    found = {trace.key: trace.tests for trace in again.resolution.rules} if again.resolution else {}
    facts, told, stopped = seen(again), [], ""
    for rule in prepared.slots[row.placement].rules:
        key = rule.item.key
        trace = kept.get(key, {"key": key, "revision": rule.item.revision, "matched": False})
        why = _unread(rule, row, stopped)
        tests = None if why else found.get(key) or explain(rule.condition, facts, row.at)
        state = "not read" if why else "holds" if tests and tests["result"] else "does not hold"
        said = {**trace, "name": rule.item.name, "text": rule.item.text, "state": state, "tests": tests}
        said["branch"] = _branch(trace)
        told.append(said | ({"why": why} if why else {"failed": failed(tests)}))
        stopped = stopped or (key if "STOP" in trace.get("effects", ()) else "")
    return told


def _unread(rule: PreparedRule, row: Decision, stopped: str) -> str:
    """Why a rule was not looked at."""
    if row.reason in ("OUTSIDE_AUDIENCE", "HOLDOUT"):
        return f"the decision ended before the rules: {row.reason}"
    if stopped:
        return f"rule {stopped} said STOP"
    return "" if in_schedule(rule.item, row.at) else "outside its dates"


def _branch(trace: Mapping[str, Any]) -> str | None:
    if not (trace.get("effects") or trace.get("overruled")):
        return None
    return "THEN" if trace.get("matched") else "ELSE"


def decided_by(row: Decision) -> dict[str, Any] | None:
    """The first rule that changed something, by which branch, and that in words; None where no rule did."""
    traces = row.explanation.get("rules", []) if row.reason == BY_RULE else []
    first = next((trace for trace in traces if trace.get("effects")), None)
    if first is None:
        return None
    holds = "holds, so its THEN" if first.get("matched") else "does not hold, so its ELSE"
    words = f"Rule {first['key']} {holds} decided: {'; '.join(first['effects'])}."
    return {"rule": first["key"], "branch": _branch(first), "words": words}


def _stored(trace: dict[str, Any], row: Decision) -> dict[str, Any]:
    """The trace with the revision's text and, from the facts kept, each test's value and result."""
    trace = {**trace, "branch": _branch(trace)}
    state = "holds" if trace.get("matched") else "does not hold"
    text = text_of(trace)
    if not text:
        return {**trace, "state": state}
    tests = trace.get("tests") or _tests(text, row)
    return {**trace, "state": state, "text": text, "tests": tests, "failed": failed(tests)}


def text_of(trace: Mapping[str, Any]) -> str:
    """The text of the rule's revision; nothing where it is gone."""
    found = Revision.objects.filter(rule__key=str(trace.get("key")), number=int(trace.get("revision") or 0))
    return found.values_list("text", flat=True).first() or ""


def _tests(text: str, row: Decision) -> Any:
    try:
        node = parse(text)
    except RuleError:
        return None
    return explain(node.condition, seen(Again(row)), row.at) if isinstance(node, Rule) else None


def failed(tree: Mapping[str, Any] | None, wanted: bool = True) -> list[str]:
    """The tests that kept a condition from holding, as text; under NOT those that hold."""
    if not tree or tree.get("result") is wanted:
        return []
    if "parts" not in tree:
        return [tree["text"] if wanted else f"NOT {tree['text']}"]
    turned = wanted if tree.get("group") != "NOT" else not wanted
    return [text for part in tree["parts"] for text in failed(part, turned)]


def seen(again: Again) -> dict[str, Any]:
    """The facts the rules saw; put together again from the row, with segments' names of now, without a snapshot."""
    row = again.row
    if again.prepared is not None and again.ask is not None:
        return all_facts(again.prepared, again.ask, row.at)
    keys = list(row.explanation.get("segments", []))
    names = list(Segment.objects.filter(key__in=keys).order_by("key").values_list("name", flat=True))
    return {
        **row.facts,
        "customer_id": row.customer_key,
        "segments": keys,
        "customer_segment": keys + names,
        **context_facts(row.context, row.at),
    }
