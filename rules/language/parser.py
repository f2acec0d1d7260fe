"""Comes in: the text of a condition or a whole rule. Goes out: its frozen nodes, or a `RuleError` with the
place.

Parsing knows syntax and limits only; whether a name exists and fits its operator is asked by `check`.
"""

import re
from typing import Any

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from rules.language.builder import Builder
from rules.language.complaints import complaint
from rules.language.errors import NOWHERE, RuleError
from rules.language.grammar import GRAMMAR
from rules.language.limits import MAX_DEPTH, MAX_LIST, MAX_NODES, MAX_PATTERNS, MAX_TEXT, MAX_VALUES
from rules.language.nodes import Condition, History, Node, Rule, Test, Where, parts_of

_LARK = Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=Builder(), maybe_placeholders=True)

_SKIPPED = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*')
_LIST = re.compile(r"\([^()]*")
_MATCHES = re.compile(r'\bMATCHES\s*"', re.IGNORECASE)


def parse(text: str) -> Condition | Rule:
    """The nodes of `text`.

    A text that starts with IF is a `Rule`; any other text is a condition alone. Raises `RuleError`, whose
    line and column lie inside the text.
    """
    node: Node = read(_LARK, text)
    refuse_too_big(node)
    return node


def read(grammar: Lark, text: str) -> Any:
    """What a grammar's builder makes of `text`; `RuleError` for what is too long or does not fit."""
    if not isinstance(text, str):
        raise RuleError(f"A rule is a text, not {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise RuleError(f"The text has {len(text):,} characters; the limit is {MAX_TEXT:,} (MAX_TEXT).")
    _refuse_too_many(text)
    try:
        return grammar.parse(text)
    except (UnexpectedToken, UnexpectedCharacters) as problem:
        raise complaint(problem, text) from None
    except UnexpectedInput as problem:
        raise RuleError(str(problem).splitlines()[0]) from None


def _refuse_too_many(text: str) -> None:
    """Raises `RuleError` for what would take long to parse: counted in the text, outside its texts and comments."""
    if text.count("(") <= MAX_NODES and text.count(",") < MAX_LIST and len(_MATCHES.findall(text)) <= MAX_PATTERNS:
        return
    bare = _SKIPPED.sub(_blank, text)
    if bare.count("(") > MAX_NODES:
        raise RuleError(f"There are more than {MAX_NODES:,} groups (MAX_NODES).")
    patterns = list(_MATCHES.finditer(bare))
    if len(patterns) > MAX_PATTERNS:
        message = f"There are {len(patterns)} MATCHES tests; the limit is {MAX_PATTERNS} (MAX_PATTERNS)."
        raise _refusal(text, patterns[MAX_PATTERNS], message, 'Join patterns with |, as in "one|two".')
    total = 0
    for found in _LIST.finditer(bare):
        if (values := found.group().count(",") + 1) > MAX_LIST:
            message = f"The list has {values:,} values; the limit is {MAX_LIST:,} (MAX_LIST)."
            raise _refusal(text, found, message, "Import a list as a segment instead.")
        total += values if values > 1 else 0
        if total > MAX_VALUES:
            message = f"The lists have more than {MAX_VALUES:,} values together (MAX_VALUES)."
            raise _refusal(text, found, message, "Import a list as a segment instead.")


def _blank(found: re.Match[str]) -> str:
    """As many characters, so that places stay; a text keeps its quotes."""
    size = len(found.group())
    return '"' + " " * (size - 2) + '"' if found.group().startswith('"') else " " * size


def _refusal(text: str, found: re.Match[str], message: str, hint: str) -> RuleError:
    before = text[: found.start()]
    column = found.start() - before.rfind("\n")
    return RuleError(message, before.count("\n") + 1, column, column + 1, hint=hint)


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
