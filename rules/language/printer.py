"""Comes in: nodes. Goes out: the one canonical text of each, which parses back into equal nodes."""

import re
from functools import lru_cache

from rules.language import nodes
from rules.language.quoting import quote, quote_pattern
from rules.language.values import Moment, Relative, Span, Version

PLAIN_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W]\w*)*")
PLAIN_EVENT = re.compile(r"[^\W\d]\w*")
FULL_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:[-+].*)?")
# A name spelled like one of these is quoted, so that no reader has to know where a keyword may be a name.
KEYWORDS = frozenset(
    {
        "IF", "THEN", "ELSE", "AND", "OR", "NOT", "IN", "BETWEEN", "CONTAINS", "STARTS", "ENDS", "WITH",
        "MATCHES", "IS", "MISSING", "PRESENT", "EMPTY", "IGNORING", "CASE", "BEFORE", "AFTER", "ON",
        "LAST", "WITHIN", "NEXT", "CHANCE", "FOR", "FACT", "VERSION", "COUNT", "SUM", "AVG", "MIN", "MAX",
        "FIRST", "DISTINCT", "DAYS", "SINCE", "WHERE", "NOW", "TODAY", "AGO", "AHEAD", "TRUE", "FALSE",
        "SHOW", "DISPLAY", "ONLY", "HIDE", "BOOST", "BURY", "PIN", "STOP", "START", "CAMPAIGN", "TAGGED",
        "BY", "AT", "SEGMENT", "THE", "NULL",
    }
)  # fmt: skip


def condition_text(condition: nodes.Condition) -> str:
    """The text of a condition, on one line."""
    if isinstance(condition, nodes.All | nodes.Any):
        return (" AND " if isinstance(condition, nodes.All) else " OR ").join(part_texts(condition))
    if isinstance(condition, nodes.Not):
        return f"NOT {_inner(condition.part, 3)}"
    return _chance(condition) if isinstance(condition, nodes.Chance) else _test(condition)


RANK = {nodes.Any: 1, nodes.All: 2}


def part_texts(group: nodes.All | nodes.Any) -> list[str]:
    """The texts between a group's ANDs or ORs."""
    return [_inner(part, RANK[type(group)]) for part in group.parts]


def _inner(condition: nodes.Condition, around: int) -> str:
    """A part of a group: in parentheses when it binds no tighter than the group around it."""
    text = condition_text(condition)
    return f"({text})" if RANK.get(type(condition), 4) <= around else text


def _chance(chance: nodes.Chance) -> str:
    return f"CHANCE {number_text(chance.percent)}%" + (f" FOR {quote(chance.name)}" if chance.name else "")


def _test(test: nodes.Test) -> str:
    if test.operator == "IN SEGMENT":
        return f"IN SEGMENT {quote(str(test.value))}"
    tail = " IGNORING CASE" if test.ignoring_case else ""
    return f"{operand_text(test.operand)} {_relation(test)}{tail}"


def _relation(test: nodes.Test) -> str:
    operator, value = test.operator, test.value
    if operator == "IS MISSING":
        return "IS PRESENT" if test.negated else operator
    if operator == "IS EMPTY":
        return "IS NOT EMPTY" if test.negated else operator
    if operator == "=" and test.negated:
        return f"!= {value_text(value)}"
    word = f"NOT {operator}" if test.negated else operator
    if operator == "MATCHES":
        return f"{word} {quote_pattern(str(value))}"
    if operator == "BETWEEN" and isinstance(value, tuple):
        return f"{word} {value_text(value[0])} AND {value_text(value[1])}"
    return f"{word} {value_text(value)}"


@lru_cache(maxsize=65536)
def operand_text(operand: nodes.Operand) -> str:
    """A fact's name as written in a rule; for a history this canonical text *is* the fact's name."""
    if isinstance(operand, nodes.Named):
        return name_text(operand.name)
    where = "" if operand.where is None else f" WHERE {condition_text(operand.where)}"
    if operand.aggregate == "DAYS SINCE":
        simple = operand.attribute is None and not where
        return f"DAYS SINCE {_event(operand)}" if simple else f"DAYS SINCE ({_event(operand)}{where})"
    window = "" if operand.window is None else f" IN LAST {operand.window}"
    return f"{operand.aggregate}({_event(operand)}{where}){window}"


def name_text(name: str) -> str:
    """A name, in quotes when it has spaces or other signs, or is a keyword."""
    return name if PLAIN_NAME.fullmatch(name) and name.upper() not in KEYWORDS else quote(name)


def _event(history: nodes.History) -> str:
    plain = PLAIN_EVENT.fullmatch(history.event) and history.event.upper() not in KEYWORDS
    if history.attribute is None:
        return history.event if plain else quote(history.event)
    if plain and PLAIN_NAME.fullmatch(history.attribute):
        return f"{history.event}.{history.attribute}"
    attribute = history.attribute if PLAIN_NAME.fullmatch(history.attribute) else quote(history.attribute)
    return f"{quote(history.event)}.{attribute}"


def value_text(value: nodes.Value) -> str:
    """A literal as the parser reads it."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(value_text, value))})"
    if isinstance(value, nodes.Named):
        return (
            value.name
            if PLAIN_NAME.fullmatch(value.name) and value.name.upper() not in KEYWORDS
            else f"FACT {quote(value.name)}"
        )
    return _special(value)


def _special(value: Moment | Relative | Span | Version | None) -> str:
    if isinstance(value, Version):
        return value.text if FULL_VERSION.fullmatch(value.text) else f"VERSION {quote(value.text)}"
    return value.text if isinstance(value, Moment) else str(value)


def number_text(number: int | float) -> str:
    """A number without a needless fraction."""
    if isinstance(number, float) and number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return repr(number)


def actions_text(actions: tuple[nodes.Action, ...]) -> str:
    """A branch of a rule."""
    return ", ".join(map(action_text, actions))


def action_text(action: nodes.Action) -> str:
    """One action."""
    if isinstance(action, nodes.Stop):
        return "STOP"
    if isinstance(action, nodes.StartCampaign):
        return f"START CAMPAIGN {quote(action.key)}"
    target = target_text(action.target)
    if isinstance(action, nodes.Boost | nodes.Bury):
        return f"{type(action).__name__.upper()} {target} BY {number_text(action.factor)}"
    if isinstance(action, nodes.Pin):
        return f"PIN {target} AT {action.position}"
    return f"{type(action).__name__.upper()} {target}"


def target_text(target: nodes.Target) -> str:
    """What an action is aimed at."""
    if isinstance(target, nodes.ContentKey):
        return quote(target.key)
    if isinstance(target, nodes.Tagged):
        return f"TAGGED {quote(target.tag)}"
    return f"WHERE {condition_text(target.condition)}"
