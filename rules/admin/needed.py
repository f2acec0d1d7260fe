"""A condition and a customer's facts in; what would have to change for another answer, in words, out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from decisioning.console.tables import shown

from ..language import matches, nodes
from ..language.circles import SEGMENT_FACTS
from ..language.evaluate import value_of, wanted_of
from ..language.lookup import Facts
from ..language.printer import condition_text, number_text, operand_text, value_text
from ..language.terms import wanted_values
from ..language.values import to_micros

# What a value must be for an operator's answer to be yes, and to be no.
PHRASES: Final = {
    "=": ("be", "be anything but"),
    "<": ("be below", "be at least"),
    "<=": ("be at most", "be above"),
    ">": ("be above", "be at most"),
    ">=": ("be at least", "be below"),
    "BETWEEN": ("be between", "not be between"),
    "IN": ("be one of", "be none of"),
    "IN SEGMENT": ("hold", "not hold"),
    "CONTAINS": ("contain", "not contain"),
    "STARTS WITH": ("begin with", "not begin with"),
    "ENDS WITH": ("end with", "not end with"),
    "MATCHES": ("match", "not match"),
    "BEFORE": ("be before", "not be before"),
    "AFTER": ("be after", "not be after"),
    "ON": ("be on", "not be on"),
    "WITHIN LAST": ("lie within the last", "not lie within the last"),
    "WITHIN NEXT": ("lie within the next", "not lie within the next"),
    "IS EMPTY": ("be empty", "not be empty"),
    "IS MISSING": ("be unknown", "be known"),
}
COMPARED: Final = frozenset({"=", "<", "<=", ">", ">="})
ELAPSING: Final = ("recency_days", "days_since_", "tenure_days")

Label = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Need:
    """One test that must turn out otherwise (`words`), or several of which all, or one, must."""

    words: str = ""
    now: str = ""
    note: str = ""
    all: tuple["Need", ...] = ()
    any: tuple["Need", ...] = ()


def needed(
    condition: nodes.Condition, facts: Facts, now: datetime, wanted: bool, labels: Mapping[str, str]
) -> Need | None:
    """What must change for the condition's answer to be `wanted`; None where it is that already.

    `labels` are what people call the facts, by name.
    """
    if matches(condition, facts, now) == wanted:
        return None
    if isinstance(condition, nodes.Not):
        return needed(condition.part, facts, now, not wanted, labels)
    if isinstance(condition, nodes.All | nodes.Any):
        parts = [needed(part, facts, now, wanted, labels) for part in nodes.parts_of(condition)]
        found = tuple(part for part in parts if part is not None)
        if len(found) == 1:
            return found[0]
        # Every part of an AND must hold, one must not for it to fail; with OR it is the other way round.
        return Need(all=found) if isinstance(condition, nodes.All) == wanted else Need(any=found)
    if isinstance(condition, nodes.Chance):
        side = "below" if wanted else "at or above"
        words = f"The customer's draw would have to be {side} {number_text(condition.percent)} %"
        return Need(words, condition_text(condition), "A draw is fixed by the customer's id and never changes.")
    return _of_test(condition, facts, now, wanted, labels)


def _of_test(test: nodes.Test, facts: Facts, now: datetime, wanted: bool, labels: Mapping[str, str]) -> Need:
    name = operand_text(test.operand)
    value = value_of(test.operand, facts, to_micros(now))
    right = wanted_of(test, facts)
    if test.operator == "IN SEGMENT" or name in SEGMENT_FACTS:
        return _of_segments(test, wanted)
    phrase = PHRASES[test.operator][0 if wanted != test.negated else 1]
    # A missing value makes every test false, negated ones too: something must be known first.
    first = "be known and " if value is None and test.operator != "IS MISSING" else ""
    words = f"{labels.get(name, name)} must {first}{phrase}{_literal(test)}"
    return Need(words, _present(value, right, test), _by_itself(test.operand))


def _of_segments(test: nodes.Test, wanted: bool) -> Need:
    verb = "be in" if wanted != test.negated else "not be in"
    names = ", ".join(value_text(value) for value in wanted_values(test))
    one = "one of " if len(wanted_values(test)) > 1 else ""
    return Need(f"The customer must {verb} {one}{names}")


def _literal(test: nodes.Test) -> str:
    if test.value is None:
        return ""
    if test.operator == "BETWEEN" and isinstance(test.value, tuple):
        return f" {value_text(test.value[0])} and {value_text(test.value[1])}"
    if isinstance(test.value, tuple):
        return f" {', '.join(value_text(value) for value in test.value)}"
    text = str(test.value).lower() if test.operator.startswith("WITHIN") else value_text(test.value)
    return f" {text}"


def _present(value: Any, right: Any, test: nodes.Test) -> str:
    """What it is now, and by how much that differs."""
    if value is None:
        return "not known"
    away = ""
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (value, right))
    if numbers and test.operator in COMPARED and value != right:
        away = f", {shown(abs(right - value))} {'below' if value < right else 'above'} that"
    return f"now {shown(value)}{away}"


def _by_itself(operand: nodes.Operand) -> str:
    """What time alone does to it."""
    if isinstance(operand, nodes.History):
        if operand.aggregate == "DAYS SINCE":
            return "Grows by itself until it happens again."
        return f"Forgets by itself what is older than {str(operand.window).lower()}." if operand.window else ""
    if operand.name.startswith(ELAPSING):
        return "Grows by itself as time passes."
    return ""
