"""Comes in: conditions. Goes out: what is proved about them: never true, always true, one inside another.

Every proof is sound and none is complete: True means proved, False means that nothing was proved. A condition
is never true when in each of its terms some fact has no value, of any type it may have, that meets all
literals.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rules.language import nodes
from rules.language.evaluate import holds
from rules.language.lookup import ALIASES, limit_of
from rules.language.printer import operand_text
from rules.language.questions import (
    ALWAYS_FALSE,
    AlwaysFalse,
    about_date,
    about_items,
    about_number,
    about_text,
)
from rules.language.regions import Question, regions
from rules.language.slow import Asked
from rules.language.terms import Literal, Term, compares_facts, terms, uses_clock
from rules.language.values import ODD

MOST = 256  # terms looked at; a condition with more is not proved
ANY_TYPE = ("text", "number", "boolean", "date", "list", "odd")
HELD = {"text_list": "list", "number_list": "list", "version": "text"}
Types = Mapping[str, str]


def never(condition: nodes.Condition, types: Types | None = None) -> bool:
    """Whether the condition is false for everybody; `types` has the facts' types by name."""
    return all(_impossible(term, types or {}) for term in terms(condition, MOST))


def always(condition: nodes.Condition, types: Types | None = None) -> bool:
    """Whether the condition is true for everybody."""
    return never(nodes.Not(condition), types)


def covers(wide: nodes.Condition, narrow: nodes.Condition, types: Types | None = None) -> bool:
    """Whether everybody `narrow` is true for is someone `wide` is true for."""
    return never(nodes.All((narrow, nodes.Not(wide))), types)


def _impossible(term: Term, types: Types) -> bool:
    opposites = {(literal.condition, not literal.positive) for literal in term}
    if any((literal.condition, literal.positive) in opposites for literal in term):
        return True
    chances: dict[str, list[Literal]] = {}
    facts: dict[str, list[Asked]] = {}
    for literal in term:
        condition = literal.condition
        if isinstance(condition, nodes.Chance):
            chances.setdefault(condition.name, []).append(literal)
        elif isinstance(condition, nodes.Test) and not compares_facts(condition):
            facts.setdefault(fact_name(condition), []).append(Asked(0, condition, literal.positive))
    if any(_undrawable(drawn) for drawn in chances.values()):
        return True
    return any(_no_value(asked, types.get(name)) for name, asked in facts.items())


def fact_name(test: nodes.Test) -> str:
    """The name a test's fact is known by, however it is called in the text."""
    operand = test.operand
    return ALIASES.get(operand.name, operand.name) if isinstance(operand, nodes.Named) else operand_text(operand)


def _undrawable(drawn: Sequence[Literal]) -> bool:
    asked = [
        (0, Question("<", (limit_of(one.condition.percent),), one.positive))
        for one in drawn
        if isinstance(one.condition, nodes.Chance)
    ]
    unidentified = not any(one.positive for one in drawn)
    # Draws are 0 or more, so the region left of 0 is nobody's.
    floor = (0, Question(">=", (0,)))
    return not unidentified and not any(regions([*asked, floor], 1).masks)


def _no_value(asked: Sequence[Asked], declared: str | None) -> bool:
    """Whether no value of the fact's type, and not its absence either, meets all the literals."""
    if _met(asked, None):
        return False
    here = [one for one in asked if one.test.operator != "IS MISSING"]
    if any(one.test.operator == "IS MISSING" and one.test.negated != one.positive for one in asked):
        return True
    kinds = ANY_TYPE if declared is None else (HELD.get(declared, declared),)
    return not any(POSSIBLE[kind](here) for kind in kinds)


def _met(asked: Iterable[Asked], value: Any) -> bool:
    return all(holds(one.test, {_key(one.test): value}, 0) == one.positive for one in asked)


def _key(test: nodes.Test) -> str:
    return test.operand.name if isinstance(test.operand, nodes.Named) else operand_text(test.operand)


def _possible_text(asked: Sequence[Asked]) -> bool:
    if any(one.positive and isinstance(about_text(one.test), AlwaysFalse) for one in asked):
        return False
    dated = [one for one in asked if about_text(one.test) is None and isinstance(about_date(one.test), tuple)]
    if any(one.positive for one in dated) and not _possible_date(dated):
        return False
    named = [texts for one in asked if (texts := _wanted_texts(one)) is not None]
    if not named:
        return True
    steady = [one for one in asked if not uses_clock(one.test)]
    return any(_met(steady, text) for text in frozenset.intersection(*named))


def _wanted_texts(one: Asked) -> frozenset[str] | None:
    texts = about_text(one.test)
    return texts if isinstance(texts, frozenset) and one.positive != one.test.negated else None


def _possible_number(asked: Sequence[Asked]) -> bool:
    questions = [(one, about_number(one.test)) for one in asked]
    if any(question is ALWAYS_FALSE and one.positive for one, question in questions):
        return False
    return _answerable([(one, question) for one, question in questions if isinstance(question, Question)])


def _possible_date(asked: Sequence[Asked]) -> bool:
    questions = [(one, about_date(one.test)) for one in asked]
    if any(question is ALWAYS_FALSE and one.positive for one, question in questions):
        return False
    found = [(one, question) for one, question in questions if isinstance(question, tuple)]
    return all(_answerable([(one, asks) for one, (word, asks) in found if word == kind]) for kind in ("fixed", "age"))


def _answerable(questions: Iterable[tuple[Asked, Question]]) -> bool:
    put = [(0, Question(asks.word, asks.numbers, asks.wanted == one.positive)) for one, asks in questions]
    return any(regions(put, 1).masks)


def _possible_list(asked: Sequence[Asked]) -> bool:
    wanted: list[frozenset[Any]] = []
    avoided: set[Any] = set()
    for one in asked:
        items = about_items(one.test)
        if isinstance(items, AlwaysFalse):
            if one.positive:
                return False
        elif items is not None and one.positive == one.test.negated:
            avoided |= items
        elif items is not None:
            wanted.append(items)
    return all(items - avoided for items in wanted)


POSSIBLE = {
    "text": _possible_text,
    "number": _possible_number,
    "boolean": lambda asked: _met(asked, False) or _met(asked, True),
    "date": lambda asked: _possible_date(asked) or _possible_text(asked),
    "list": _possible_list,
    "odd": lambda asked: _met(asked, ODD),
}
