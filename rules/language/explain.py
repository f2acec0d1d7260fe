"""Comes in: nodes, one customer's facts and the clock. Goes out: a tree, ready for JSON, of what was seen and
why.
"""

from datetime import date, datetime
from typing import Any

from rules.language import nodes
from rules.language.evaluate import answer_to, holds, value_of, wanted_of
from rules.language.lookup import CUSTOMER_ID, MAX_BITS, Facts
from rules.language.printer import condition_text, operand_text
from rules.language.values import to_micros

GROUPS = {nodes.All: "AND", nodes.Any: "OR", nodes.Not: "NOT"}


def explain(node: nodes.Node, facts: Facts, now: datetime) -> dict[str, Any]:
    """What the condition of `node` saw.

    A group is `{"text", "result", "group": "AND" | "OR" | "NOT", "parts": […]}`, a test `{"text", "result",
    "fact", "value"}`, with `"why"`: `"missing"` or `"wrong type"` where that made it false, and
    `"compared_with"` where the right side is a fact.
    """
    return _explained(nodes.condition_of(node), facts, to_micros(now))


def _explained(condition: nodes.Condition, facts: Facts, now: int) -> dict[str, Any]:
    told: dict[str, Any] = {"text": condition_text(condition), "result": holds(condition, facts, now)}
    if isinstance(condition, nodes.Test):
        return told | _seen(condition, facts, now)
    if isinstance(condition, nodes.Chance):
        return told | {"fact": CUSTOMER_ID, "value": jsonable(facts.get(CUSTOMER_ID))}
    told["group"] = GROUPS[type(condition)]
    told["parts"] = [_explained(part, facts, now) for part in nodes.parts_of(condition)]
    return told


def _seen(test: nodes.Test, facts: Facts, now: int) -> dict[str, Any]:
    value, wanted = value_of(test.operand, facts, now), wanted_of(test, facts)
    seen: dict[str, Any] = {"fact": operand_text(test.operand), "value": jsonable(value)}
    if wanted is not test.value:
        seen["compared_with"] = jsonable(wanted)
    if test.operator == "IS MISSING":
        return seen
    if value is None or (wanted is None and test.value is not None):
        seen["why"] = "missing"
    elif answer_to(test, value, facts, now) is None:
        seen["why"] = "wrong type"
    return seen


def jsonable(value: Any) -> Any:
    """A value as strict JSON can hold it."""
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return hex(value)
    return value if value is None or isinstance(value, str | bool | int | float) else str(type(value).__name__)
