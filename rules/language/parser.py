"""Comes in: the text of a condition or a whole rule. Goes out: its frozen nodes, or a `RuleError` with the
place.

Parsing knows syntax and limits only; whether a name exists and fits its operator is asked by `check`.
"""

import re

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from rules.language.builder import Builder
from rules.language.complaints import complaint
from rules.language.errors import NOWHERE, RuleError
from rules.language.grammar import GRAMMAR
from rules.language.limits import MAX_DEPTH, MAX_NODES, MAX_TEXT
from rules.language.nodes import Condition, History, Node, Rule, Test, Where, parts_of

_LARK = Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=Builder(), maybe_placeholders=True)

_TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def parse(text: str) -> Condition | Rule:
    """The nodes of `text`.

    A text that starts with IF is a `Rule`; any other text is a condition alone. Raises `RuleError`, whose
    line and column lie inside the text.
    """
    if not isinstance(text, str):
        raise RuleError(f"A rule is a text, not {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise RuleError(f"The text has {len(text):,} characters; the limit is {MAX_TEXT:,} (MAX_TEXT).")
    if text.count("(") > MAX_NODES and _TEXT.sub("", text).count("(") > MAX_NODES:
        raise RuleError(f"There are more than {MAX_NODES:,} groups (MAX_NODES).")
    try:
        node: Node = _LARK.parse(text)  # type: ignore[assignment]
    except (UnexpectedToken, UnexpectedCharacters) as problem:
        raise complaint(problem, text) from None
    except UnexpectedInput as problem:
        raise RuleError(str(problem).splitlines()[0]) from None
    refuse_too_big(node)
    return node


def parse_condition(text: str) -> Condition:
    """As `parse`, but refuses a whole rule: segments and audiences are conditions."""
    node = parse(text)
    if isinstance(node, Rule):
        raise RuleError.at(node.at, "A condition alone is wanted here.", "Leave out IF, and everything from THEN on.")
    return node


def parse_rule(text: str) -> Rule:
    """As `parse`, but refuses a condition without actions."""
    node = parse(text)
    if not isinstance(node, Rule):
        raise RuleError("A whole rule is wanted here.", hint='Write IF … THEN SHOW "content".')
    return node


def refuse_too_big(node: Node) -> None:
    """Raises `RuleError` when a node is nested deeper, or has more tests, than the limits say."""
    waiting = [(condition, 1) for condition in _roots(node)]
    count = 0
    while waiting:
        condition, depth = waiting.pop()
        count += 1
        place = getattr(condition, "at", NOWHERE)
        if depth > MAX_DEPTH:
            raise RuleError.at(place, f"Groups are nested deeper than {MAX_DEPTH} levels (MAX_DEPTH).")
        if count > MAX_NODES:
            raise RuleError.at(place, f"There are more than {MAX_NODES:,} tests and groups (MAX_NODES).")
        waiting.extend((part, depth + 1) for part in _inside(condition))


def _roots(node: Node) -> list[Condition]:
    if not isinstance(node, Rule):
        return [node]
    targets = [getattr(action, "target", None) for action in node.then + node.otherwise]
    return [node.condition, *(target.condition for target in targets if isinstance(target, Where))]


def _inside(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, Test):
        where = condition.operand.where if isinstance(condition.operand, History) else None
        return () if where is None else (where,)
    return parts_of(condition)
