"""Comes in: the text of a number, date or version in a rule. Goes out: its value, or a `RuleError` saying the
cure.
"""

import math

from rules.language.errors import Place, RuleError
from rules.language.limits import MAX_DIGITS
from rules.language.values import Moment, Version, read_moment, read_version


def number_literal(text: str, place: Place) -> int | float:
    """An int when the number is whole, so that no digit is lost and 5.0 is 5; else a finite float."""
    if len(text) > MAX_DIGITS:
        raise RuleError.at(place, f"A number has {len(text)} characters; the limit is {MAX_DIGITS} (MAX_DIGITS).")
    if text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    if math.isinf(number):
        raise RuleError.at(place, f"The number {text} is too large.")
    return whole(number)


def whole(number: int | float) -> int | float:
    """The one form of a number: 5.0 is 5."""
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 1e15 else number


def date_literal(text: str, place: Place) -> Moment:
    """A `Moment`; the text is kept as written, but with a capital T and Z."""
    written = text.upper()
    micros = read_moment(written)
    if micros is None:
        raise RuleError.at(
            place, f"There is no date {text}.", "Write dates as 2026-12-31 or 2026-12-31T18:30:00+01:00."
        )
    return Moment(written, micros)


def version_literal(text: str, place: Place) -> Version:
    """A `Version` of one to three numbers, with an optional pre-release and build."""
    key = read_version(text)
    if key is None:
        raise RuleError.at(place, f"{text} is no version.", "Write versions as 2.10.3 or 2.10.3-beta.1 (semver.org).")
    return Version(text, key)
