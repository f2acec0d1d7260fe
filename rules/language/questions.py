"""Comes in: a test and a type of value. Goes out: the shape its answer has for values of that type.

`ALWAYS_FALSE` is the answer for the wrong type; None says that no table can hold the test.
"""

from dataclasses import dataclass

from rules.language import nodes
from rules.language.regions import Question
from rules.language.terms import wanted_values
from rules.language.values import DAY, Moment, Relative, Span, Version, read_moment

DATE_WORDS = {"=": "in", "IN": "in", "BEFORE": "<", "AFTER": ">", "BETWEEN": "between"}
NUMBER_WORDS = {"=": "in", "IN": "in", "BETWEEN": "between"}
ORDER = ("<", "<=", ">", ">=")
ON_DATES = ("BEFORE", "AFTER", "ON", "WITHIN LAST", "WITHIN NEXT")
ON_TEXTS = ("CONTAINS", "STARTS WITH", "ENDS WITH", "MATCHES", "IS EMPTY")


@dataclass(frozen=True, slots=True)
class AlwaysFalse:
    """The test is false, negated or not."""


ALWAYS_FALSE = AlwaysFalse()


def about_text(test: nodes.Test) -> frozenset[str] | AlwaysFalse | None:
    """The texts that are equal to what the test wants."""
    values = wanted_values(test)
    if test.operator == "IS EMPTY":
        return frozenset({""})
    if test.operator in ON_DATES or any(isinstance(value, Moment | Relative | Version | Span) for value in values):
        return None
    texts = frozenset(value for value in values if isinstance(value, str))
    if not texts:
        return ALWAYS_FALSE
    return texts if test.operator in ("=", "IN", "IN SEGMENT") and not test.ignoring_case else None


def about_number(test: nodes.Test) -> Question | AlwaysFalse | None:
    """The question about a number."""
    values = wanted_values(test)
    numbers = tuple(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    word = test.operator if test.operator in ORDER else NUMBER_WORDS.get(test.operator)
    if word is None or not numbers or (word != "in" and len(numbers) < len(values)):
        return ALWAYS_FALSE
    return Question(word, numbers, not test.negated)


def about_date(test: nodes.Test) -> tuple[str, Question] | AlwaysFalse | None:
    """The question about an instant: `fixed` in microseconds since 1970, or `age` in microseconds since the
    clock.
    """
    values = wanted_values(test)
    wanted = not test.negated
    if test.operator in ("WITHIN LAST", "WITHIN NEXT") and isinstance(test.value, Span):
        length = test.value.micros
        ends = (-length, 0) if test.operator == "WITHIN LAST" else (0, length)
        return "age", Question("between", ends, wanted)
    word = test.operator if test.operator in ORDER else DATE_WORDS.get(test.operator)
    if word is not None and all(isinstance(value, Moment) for value in values):
        return "fixed", Question(word, tuple(value.micros for value in values if isinstance(value, Moment)), wanted)
    if word is not None and all(isinstance(value, Relative) and value.word != "TODAY" for value in values):
        return "age", Question(word, tuple(value.micros(0) for value in values if isinstance(value, Relative)), wanted)
    if test.operator == "ON" and isinstance(test.value, Moment):
        start = test.value.micros - test.value.micros % DAY
        return "fixed", Question("from", (start, start + DAY), wanted)
    dated = any(isinstance(value, str | Moment | Relative) for value in values)
    return None if dated and test.operator not in ON_TEXTS else ALWAYS_FALSE


def about_items(test: nodes.Test) -> frozenset[str | int | float] | AlwaysFalse | None:
    """The items one of which a list must have."""
    if test.operator == "IS EMPTY":
        return None
    if test.operator not in ("=", "IN", "IN SEGMENT", "CONTAINS"):
        return ALWAYS_FALSE
    values = wanted_values(test)
    if any(isinstance(value, str) and read_moment(value) is not None for value in values):
        return None  # an item that is a date may be equal to such a text
    plain = [value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)]
    return frozenset(plain) if len(plain) == len(values) and not test.ignoring_case else None
