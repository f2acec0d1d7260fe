"""Comes in: nodes, or the JSON of nodes. Goes out: the other one.

The JSON is for editors and for other programs; what is stored is the text. Reading it back goes by way of the
text, so JSON can say nothing the language cannot, and every limit holds.
"""

from collections.abc import Mapping
from typing import Any

from rules.language import nodes
from rules.language.errors import NOWHERE, RuleError
from rules.language.layout import format
from rules.language.literals import date_literal, version_literal, whole
from rules.language.operators import OPERATORS
from rules.language.parser import parse
from rules.language.quoting import quote_pattern, unquote_pattern
from rules.language.values import UNITS, Moment, Relative, Span, Version

Json = Any
ACTIONS: dict[str, type] = {
    "show": nodes.Show,
    "only": nodes.Only,
    "hide": nodes.Hide,
    "boost": nodes.Boost,
    "bury": nodes.Bury,
    "pin": nodes.Pin,
}


def to_json(node: nodes.Node) -> Json:
    """A rule is `{"if", "then", "else"}`, a group `{"all": […]}`, `{"any": […]}` or `{"not": …}`, a test
    `{"fact" | "history", "is", "value", "negated", "ignoring_case"}`; what is false or absent is left out.
    """
    if isinstance(node, nodes.Rule):
        told = {"if": to_json(node.condition), "then": [_action_out(action) for action in node.then]}
        return told | ({"else": [_action_out(action) for action in node.otherwise]} if node.otherwise else {})
    if isinstance(node, nodes.All | nodes.Any):
        return {"all" if isinstance(node, nodes.All) else "any": [to_json(part) for part in node.parts]}
    if isinstance(node, nodes.Not):
        return {"not": to_json(node.part)}
    if isinstance(node, nodes.Chance):
        return {"chance": node.percent} | ({"name": node.name} if node.name else {})
    return _test_out(node)


def from_json(data: Json) -> nodes.Condition | nodes.Rule:
    """The nodes `to_json` made the data from; raises `RuleError` for anything else."""
    try:
        built = _rule_in(data) if "if" in data else _condition_in(data)
        text = format(built)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        if isinstance(problem, RuleError):
            raise
        raise RuleError(f"This is not the JSON of a rule: {type(problem).__name__} at {problem}.") from None
    node = parse(text)
    if node != built:
        raise RuleError("This is not the JSON of a rule: it does not say what its text says.", hint=text)
    return node


def _test_out(test: nodes.Test) -> Json:
    operand = test.operand
    told: dict[str, Json]
    if isinstance(operand, nodes.Named):
        told = {"fact": operand.name}
    else:
        told = {"history": _history_out(operand)}
    told["is"] = test.operator
    if test.value is not None:
        told["value"] = _value_out(test.value)
    flags = {"negated": test.negated, "ignoring_case": test.ignoring_case}
    return told | {name: True for name, flag in flags.items() if flag}


def _history_out(history: nodes.History) -> Json:
    told: dict[str, Json] = {"aggregate": history.aggregate, "event": history.event}
    if history.attribute is not None:
        told["property"] = history.attribute
    if history.where is not None:
        told["where"] = to_json(history.where)
    return told | ({"window": _span_out(history.window)} if history.window else {})


def _span_out(span: Span) -> Json:
    return {"amount": span.amount, "unit": span.unit}


def _value_out(value: nodes.Value) -> Json:
    if isinstance(value, tuple):
        return [_value_out(one) for one in value]
    if isinstance(value, nodes.Named):
        return {"fact": value.name}
    if isinstance(value, Moment):
        return {"date": value.text}
    if isinstance(value, Version):
        return {"version": value.text}
    if isinstance(value, Span):
        return {"span": _span_out(value)}
    if isinstance(value, Relative):
        return {"clock": value.word} | ({"span": _span_out(value.span)} if value.span else {})
    return value


def _action_out(action: nodes.Action) -> Json:
    if isinstance(action, nodes.Stop):
        return {"stop": True}
    if isinstance(action, nodes.StartCampaign):
        return {"start_campaign": action.key}
    told: dict[str, Json] = {type(action).__name__.lower(): _target_out(action.target)}
    if isinstance(action, nodes.Boost | nodes.Bury):
        told["by"] = action.factor
    if isinstance(action, nodes.Pin):
        told["at"] = action.position
    return told


def _target_out(target: nodes.Target) -> Json:
    if isinstance(target, nodes.ContentKey):
        return {"content": target.key}
    return {"tag": target.tag} if isinstance(target, nodes.Tagged) else {"where": to_json(target.condition)}


def _rule_in(data: Mapping[str, Json]) -> nodes.Rule:
    then = tuple(map(_action_in, data["then"]))
    return nodes.Rule(_condition_in(data["if"]), then, tuple(map(_action_in, data.get("else", ()))))


def _condition_in(data: Mapping[str, Json]) -> nodes.Condition:
    for word, group in (("all", nodes.All), ("any", nodes.Any)):
        if word in data:
            parts = tuple(map(_condition_in, data[word]))
            return parts[0] if len(parts) == 1 else group(parts)
    if "not" in data:
        return nodes.Not(_condition_in(data["not"]))
    if "chance" in data:
        return nodes.Chance(float(data["chance"]), data.get("name", ""))
    return _test_in(data)


def _test_in(data: Mapping[str, Json]) -> nodes.Test:
    operand = _history_in(data["history"]) if "history" in data else nodes.Named(data["fact"])
    operator, value = data["is"], _value_in(data.get("value"))
    if operator not in OPERATORS and operator != "IS MISSING":
        raise KeyError(operator)
    if operator == "MATCHES":
        value = unquote_pattern(quote_pattern(str(value)))
    flags = bool(data.get("negated")), bool(data.get("ignoring_case"))
    return nodes.Test(operand, operator, value, *flags)


def _history_in(data: Mapping[str, Json]) -> nodes.History:
    where = _condition_in(data["where"]) if "where" in data else None
    window = _span_in(data["window"]) if "window" in data else None
    return nodes.History(data["aggregate"], data["event"], data.get("property"), where, window)


def _span_in(data: Mapping[str, Json]) -> Span:
    if data["unit"] not in UNITS:
        raise KeyError(data["unit"])
    return Span(int(data["amount"]), data["unit"])


def _value_in(data: Json) -> Any:
    if isinstance(data, list):
        return tuple(map(_value_in, data))
    if not isinstance(data, Mapping):
        return whole(data)
    if "fact" in data:
        return nodes.Named(data["fact"])
    if "clock" in data:
        return Relative(data["clock"], _span_in(data["span"]) if "span" in data else None)
    if "span" in data:
        return _span_in(data["span"])
    return date_literal(data["date"], NOWHERE) if "date" in data else version_literal(data["version"], NOWHERE)


def _action_in(data: Mapping[str, Json]) -> nodes.Action:
    if "stop" in data:
        return nodes.Stop()
    if "start_campaign" in data:
        return nodes.StartCampaign(data["start_campaign"])
    word = next(iter(data))
    target = _target_in(data[word])
    if word in ("boost", "bury"):
        return ACTIONS[word](target, float(data["by"]))
    return ACTIONS[word](target, data["at"]) if word == "pin" else ACTIONS[word](target)


def _target_in(data: Mapping[str, Json]) -> nodes.Target:
    if "content" in data:
        return nodes.ContentKey(data["content"])
    return nodes.Tagged(data["tag"]) if "tag" in data else nodes.Where(_condition_in(data["where"]))
