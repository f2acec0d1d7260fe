"""Comes in: the rules of the workload. Goes out: other engines that answer them, each as one function.

Every adapter compiles what its engine can compile beforehand; only evaluation is timed. An engine that is not
installed (requirements/bench.txt) is left out.
"""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tests.bench.workload import Asked, Customer, Rule

Engine = Callable[[Customer], list[int]]  # a customer to the numbers of the rules that hold


def zen_engine(rules: list[Rule]) -> Engine:
    """All rules as one compiled list: the fastest of its ways (a graph of expressions costs twice as much)."""
    compiled = import_module("zen").compile_expression("[" + ", ".join(_joined(rule, _zen) for rule in rules) + "]")
    return lambda customer: [i for i, answer in enumerate(compiled.evaluate(customer)) if answer]


def rule_engine(rules: list[Rule]) -> Engine:
    """One compiled rule each."""
    made = [import_module("rule_engine").Rule(_joined(rule, _python_like)) for rule in rules]
    return lambda customer: [i for i, rule in enumerate(made) if rule.matches(customer)]


def cel_python(rules: list[Rule]) -> Engine:
    """One compiled program each; the customer is converted once."""
    celpy = import_module("celpy")
    environment = celpy.Environment()
    programs = [environment.program(environment.compile(_joined(rule, _cel))) for rule in rules]

    def answer(customer: Customer) -> list[int]:
        activation = {name: celpy.json_to_cel(_floats(value)) for name, value in customer.items()}
        return [i for i, program in enumerate(programs) if program.evaluate(activation)]

    return answer


def json_logic_qubit(rules: list[Rule]) -> Engine:
    """One tree each."""
    logic = import_module("json_logic").jsonLogic
    trees = [{"and": [_either([_json_logic(asked) for asked in part], "or") for part in rule]} for rule in rules]
    return lambda customer: [i for i, tree in enumerate(trees) if logic(tree, customer)]


def growthbook(rules: list[Rule]) -> Engine:
    """One condition each."""
    evaluate = import_module("growthbook.core").evalCondition
    made = [{"$and": [_either([_growthbook(asked) for asked in part], "$or") for part in rule]} for rule in rules]
    return lambda customer: [i for i, condition in enumerate(made) if evaluate(customer, condition)]


def flagsmith_flag_engine(rules: list[Rule]) -> Engine:
    """One segment each; its traits know no lists, so a list is a text that contains its items."""
    evaluate = import_module("flag_engine.segments.evaluator").is_context_in_segment
    segments = [{"key": str(i), "name": str(i), "rules": [_flagsmith(rule)]} for i, rule in enumerate(rules)]

    def answer(customer: Customer) -> list[int]:
        traits = {name: _flat(value) for name, value in customer.items()}
        context = {
            "environment": {"key": "e", "name": "e"},
            "identity": {"identifier": "i", "key": "k", "traits": traits},
        }
        return [i for i, segment in enumerate(segments) if evaluate(context, segment)]

    return answer


PEERS: dict[str, tuple[str, Callable[[list[Rule]], Engine]]] = {
    "zen-engine": ("zen", zen_engine),
    "rule-engine": ("rule_engine", rule_engine),
    "cel-python": ("celpy", cel_python),
    "json-logic-qubit": ("json_logic", json_logic_qubit),
    "growthbook": ("growthbook", growthbook),
    "flagsmith-flag-engine": ("flag_engine", flagsmith_flag_engine),
}


def installed() -> Iterator[str]:
    """The peers that can be imported here."""
    return (name for name, (module, _) in PEERS.items() if find_spec(module))


def _joined(rule: Rule, write: Callable[[Asked], str]) -> str:
    ands = " && " if write is _cel else " and "
    ors = " || " if write is _cel else " or "
    return ands.join("(" + ors.join(write(asked) for asked in part) + ")" for part in rule)


def _either(parts: list[Any], word: str) -> Any:
    return parts[0] if len(parts) == 1 else {word: parts}


def _python_like(asked: Asked) -> str:
    """The syntax of rule-engine."""
    value = json.dumps(asked.value)
    if asked.word == "between":
        return f"{asked.fact} >= {asked.value[0]} and {asked.fact} <= {asked.value[1]}"
    if asked.word == "contains":
        return f"{value} in {asked.fact}"
    return f"{asked.fact} {_word(asked)} {value}"


def _zen(asked: Asked) -> str:
    if asked.word == "between":
        return f"{asked.fact} in [{asked.value[0]}..{asked.value[1]}]"
    return _python_like(asked)


def _cel(asked: Asked) -> str:
    value = json.dumps(_floats(asked.value))
    if asked.word == "between":
        low, high = _floats(asked.value)
        return f"{asked.fact} >= {low} && {asked.fact} <= {high}"
    return f"{value} in {asked.fact}" if asked.word == "contains" else f"{asked.fact} {_word(asked)} {value}"


def _floats(value: Any) -> Any:
    """CEL compares doubles with doubles only."""
    if isinstance(value, list | tuple):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _word(asked: Asked) -> str:
    return "==" if asked.word == "=" else asked.word


def _json_logic(asked: Asked) -> Any:
    fact = {"var": asked.fact}
    if asked.word == "between":
        return {"<=": [asked.value[0], fact, asked.value[1]]}
    if asked.word == "contains":
        return {"in": [asked.value, fact]}
    word = {"=": "===", "!=": "!=="}.get(asked.word, asked.word)
    return {word: [fact, list(asked.value) if asked.word == "in" else asked.value]}


GROWTHBOOK = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "=": "$eq", "!=": "$ne", "in": "$in"}


def _growthbook(asked: Asked) -> Any:
    if asked.word == "between":
        return {asked.fact: {"$gte": asked.value[0], "$lte": asked.value[1]}}
    if asked.word == "contains":
        return {asked.fact: {"$elemMatch": {"$eq": asked.value}}}
    return {asked.fact: {GROWTHBOOK[asked.word]: list(asked.value) if asked.word == "in" else asked.value}}


FLAGSMITH = {
    "<": "LESS_THAN",
    "<=": "LESS_THAN_INCLUSIVE",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_INCLUSIVE",
    "=": "EQUAL",
    "!=": "NOT_EQUAL",
    "in": "IN",
}
AT_LEAST, AT_MOST = FLAGSMITH[">="], FLAGSMITH["<="]


def _flagsmith(rule: Rule) -> Any:
    parts = [
        {"type": "ANY", "rules": [{"type": "ALL", "conditions": _flagsmith_test(one)} for one in part]} for part in rule
    ]
    return {"type": "ALL", "rules": parts}


def _flagsmith_test(asked: Asked) -> Any:
    name = asked.fact
    if asked.word == "between":
        low, high = map(str, asked.value)
        return [
            {"property": name, "operator": word, "value": value} for word, value in ((AT_LEAST, low), (AT_MOST, high))
        ]
    if asked.word == "contains":
        return [{"property": name, "operator": "CONTAINS", "value": f"|{asked.value}|"}]
    value = list(asked.value) if asked.word == "in" else str(asked.value)
    return [{"property": name, "operator": FLAGSMITH[asked.word], "value": value}]


def _flat(value: Any) -> Any:
    return f"|{'|'.join(value)}|" if isinstance(value, list) else value
