"""Comes in: one test and the types of facts. Goes out: why operator or value does not fit, and the cure."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.language import nodes
from rules.language.errors import Place
from rules.language.facts import Fact
from rules.language.operators import OPERATORS
from rules.language.printer import name_text, operand_text, value_text
from rules.language.quoting import quote
from rules.language.terms import wanted_values
from rules.language.values import Moment, Relative, Version, read_moment, read_version

Facts = Mapping[str, Fact]
Misfit = tuple[Place, str, str | None]  # where, what, the cure

SPOKEN = {
    "text": "a text",
    "number": "a number",
    "boolean": "TRUE or FALSE",
    "date": "a date",
    "version": "a version",
    "text_list": "a list of texts",
    "number_list": "a list of numbers",
}
ITEM = {"text_list": "text", "number_list": "number"}
COMPARING = ("=", "<", "<=", ">", ">=", "BETWEEN", "IN")
# What is known of two facts where a rule is asked is that both are texts; these types order otherwise.
AS_TEXT = {
    "date": "Take BEFORE, AFTER or ON, which read both as dates.",
    "version": 'Compare each with a version as in VERSION "2.1.0".',
}
NUMERIC = ("SUM", "AVG", "MIN", "MAX")
TRUTH = {"true": "TRUE", "yes": "TRUE", "1": "TRUE", "false": "FALSE", "no": "FALSE", "0": "FALSE"}


def type_of(operand: nodes.Operand, facts: Facts, properties: Facts | None) -> str | None:
    """The type of a fact or a history, None where it is not known."""
    if isinstance(operand, nodes.Named):
        return facts[operand.name].type if operand.name in facts else None
    if operand.aggregate not in ("FIRST", "LAST"):
        return "number"
    known = (properties or {}).get(operand.attribute or "")
    return None if known is None else known.type


def misfits(test: nodes.Test, held: str | None, facts: Facts) -> Iterator[Misfit]:
    """What does not fit a test of a fact of type `held`."""
    if held is None or test.operator == "IS MISSING":
        return
    name = operand_text(test.operand)
    if held not in OPERATORS[test.operator].fits:
        yield test.at, f"{name} is {SPOKEN[held]}; {test.operator} does not ask about that.", _instead(held)
        return
    if test.ignoring_case and ITEM.get(held, held) != "text":
        yield (
            test.at,
            f"{name} is {SPOKEN[held]}; only texts have a case to ignore.",
            "Leave out IGNORING CASE.",
        )
    if test.operator in ("WITHIN LAST", "WITHIN NEXT", "IS EMPTY"):
        return
    for value in wanted_values(test):
        kind = kind_of(value, facts)
        if kind is not None and kind != ITEM.get(held, held):
            told = f"{name} is {SPOKEN[held]}; {value_text(value)} is {SPOKEN[kind]}."
            yield test.value_at, told, _cure(held, value)
        elif kind in AS_TEXT and isinstance(value, nodes.Named) and test.operator in COMPARING:
            told = f"{name} and {value_text(value)} are each {SPOKEN[kind]}; {test.operator} takes two facts as texts."
            yield test.value_at, told, AS_TEXT[kind]


def kind_of(value: Any, facts: Facts) -> str | None:
    """The type of a literal, or of the fact it names."""
    if isinstance(value, nodes.Named):
        return facts[value.name].type if value.name in facts else None
    if isinstance(value, Moment | Relative):
        return "date"
    if isinstance(value, Version):
        return "version"
    return "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def _instead(held: str) -> str:
    words = [word for word, operator in OPERATORS.items() if held in operator.fits and word != "IN SEGMENT"]
    return f"Take one of {', '.join(words)}, IS MISSING."


def _cure(held: str, value: Any) -> str | None:
    """How to write the value so that it fits."""
    item = ITEM.get(held, held)
    if isinstance(value, nodes.Named):
        return f"Compare it with {SPOKEN[item]}."
    if item == "text":
        return f"Write it in quotes: {quote(value_text(value))}."
    if item == "boolean":
        word = TRUTH.get(str(value).lower())
        return f"Write {word}." if word else "Write TRUE or FALSE."
    if item == "version":
        written = str(value)
        return f"Write VERSION {quote(written)}." if read_version(written) else "Write versions as 2.10.3."
    if item == "date":
        dated = isinstance(value, str) and read_moment(value) is not None
        return f"Write {value} without quotes." if dated else "Write dates as 2026-12-31, or 30 DAYS AGO."
    return f"Write {value} without quotes." if isinstance(value, str) and _is_number(value) else None


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.replace(".", "", 1).isdecimal() and digits.isascii()


def history_misfits(history: nodes.History, properties: Facts | None) -> Iterator[Misfit]:
    """What does not fit the property a history reads."""
    if properties is None or history.attribute is None:
        return
    known = properties.get(history.attribute)
    if known is not None and history.aggregate in NUMERIC and known.type != "number":
        message = f"{name_text(history.attribute)} is {SPOKEN[known.type]}; {history.aggregate} needs a number."
        yield history.at, message, "Take COUNT, DISTINCT, FIRST or LAST."
