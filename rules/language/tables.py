"""Comes in: all literals that ask about one fact, each with its term's bit. Goes out: for a value, a mask of
terms.

A term's bit is on when the value meets every literal the term has about this fact. Each type of value has its
own table; a literal that fits none is asked from the operators (`Slow`).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from rules.language import nodes
from rules.language.evaluate import value_of
from rules.language.lists import ListTable
from rules.language.lookup import ALIASES, Facts
from rules.language.questions import ALWAYS_FALSE, AlwaysFalse, about_date, about_items, about_number, about_text
from rules.language.regions import Question, Regions, regions
from rules.language.slow import Asked, Slow
from rules.language.terms import wanted_values
from rules.language.values import ODD, plain, read_moment, to_micros


class FactTable:
    """The literals about one fact; `texts`, `numbers`, `flags` and `missing` are read by the index itself."""

    def __init__(self, operand: nodes.Operand, name: str, asked: Sequence[Asked], everybody: int) -> None:
        self.operand, self.name, self.everybody = operand, name, everybody
        self.elsewhere = isinstance(operand, nodes.History) or name in ALIASES or "." in name
        everything = Slow(name, asked)
        self.missing = everybody & ~everything.ask(None, 0)
        self.odd = everybody & ~everything.ask(ODD, 0)
        self.flags = (everybody & ~everything.ask(False, 0), everybody & ~everything.ask(True, 0))
        # From here on the value is there, which settles IS MISSING.
        here = [one for one in asked if one.test.operator != "IS MISSING"]
        settled = [one.bit for one in asked if one.test.operator == "IS MISSING" and one.test.negated != one.positive]
        self.present = everybody & ~_bits(settled)
        self.tests = {one.test for one in here}
        self.numbers = self._numbers(here)
        self.dates = DateTable(here, self.present)
        self.slow_dates = _slow(name, [one for one in here if about_date(one.test) is None])
        self.texts, self.text_other = self._texts(here)
        self.text_dates, self.slow_texts = self._other_texts(here)
        self.more_texts = self.text_dates is not None or self.slow_texts is not None
        self.lists = ListTable(name, here, self.present)

    def reads(self, value: Any) -> bool:
        """Whether some test of this fact can be asked about a value of this type."""
        kind = type(value)
        about = ABOUT.get(float if kind is int else kind)
        if about is None or not self.tests:
            return not self.tests
        return any(about(test) is not ALWAYS_FALSE for test in self.tests)

    def _numbers(self, asked: Sequence[Asked]) -> Regions:
        questions = [(one, about_number(one.test)) for one in asked]
        false = _bits(one.bit for one, question in questions if question is ALWAYS_FALSE and one.positive)
        put = [(one.bit, _turned(one, question)) for one, question in questions if isinstance(question, Question)]
        return regions(put, self.present & ~false)

    def _texts(self, asked: Sequence[Asked]) -> tuple[dict[str, int], int]:
        """The mask of each text a literal names, and that of any other text."""
        wanted: dict[int, frozenset[str]] = {}
        avoided: dict[str, int] = {}
        other = self.present
        for one in asked:
            texts = about_text(one.test)
            if isinstance(texts, AlwaysFalse):
                other &= ~(one.positive << one.bit)
            elif texts is not None and one.positive == one.test.negated:
                for text in texts:
                    avoided[text] = avoided.get(text, 0) | 1 << one.bit
            elif texts is not None:
                wanted[one.bit] = wanted[one.bit] & texts if one.bit in wanted else texts
        allowed: dict[str, int] = {}
        for bit, texts in wanted.items():
            flag = other & 1 << bit
            for text in texts:
                allowed[text] = allowed.get(text, 0) | flag
        other &= ~_bits(wanted)
        named = allowed.keys() | avoided.keys()
        return {text: (other | allowed.get(text, 0)) & ~avoided.get(text, 0) for text in named}, other

    def _other_texts(self, asked: Sequence[Asked]) -> tuple["DateTable | None", Slow | None]:
        """The literals about texts that are dates, and those only an operator can answer."""
        rest = [one for one in asked if about_text(one.test) is None]
        dated = [one for one in rest if isinstance(about_date(one.test), tuple)]
        others = [one for one in rest if not isinstance(about_date(one.test), tuple)]
        return DateTable(dated, self.everybody) if dated else None, _slow(self.name, others)

    def mask(self, value: Any, facts: Facts, now: int) -> int:
        """The terms that agree with a value of any type, or with none."""
        value = plain(value)
        if value is None and self.elsewhere:
            value = value_of(self.operand, facts, now)
        kind = type(value)
        if kind is bool:
            return self.flags[value]
        if kind is list:
            return self.lists.mask(value, now)
        if kind is str:
            return self._text_mask(value, now)
        if kind is int or kind is float:
            return self.numbers.mask(value)
        return self.missing if value is None else self._date_mask(value, now) if kind is datetime else self.odd

    def _text_mask(self, value: str, now: int) -> int:
        mask = self.texts.get(value, self.text_other)
        if self.text_dates is not None:
            mask &= self.text_dates.mask(read_moment(value), now)
        return mask if self.slow_texts is None else mask & ~self.slow_texts.refused(value, now)

    def _date_mask(self, value: datetime, now: int) -> int:
        mask = self.dates.mask(to_micros(value), now)
        return mask if self.slow_dates is None else mask & ~self.slow_dates.refused(value, now)


class DateTable:
    """Literals about an instant: those that name one, and those that count from the clock."""

    def __init__(self, asked: Sequence[Asked], everybody: int) -> None:
        self.unreadable = everybody & ~_bits(one.bit for one in asked if one.positive)
        questions = [(one, about_date(one.test)) for one in asked]
        false = _bits(one.bit for one, question in questions if question is ALWAYS_FALSE and one.positive)
        found = [(one, question) for one, question in questions if isinstance(question, tuple)]
        put = {kind: [(one.bit, _turned(one, asks)) for one, (word, asks) in found if word == kind] for kind in KINDS}
        self.fixed = regions(put["fixed"], everybody & ~false)
        self.ages = regions(put["age"], everybody) if put["age"] else None

    def mask(self, micros: int | None, now: int) -> int:
        """The terms that agree with an instant, or with a text that is none."""
        if micros is None:
            return self.unreadable
        mask = self.fixed.mask(micros)
        return mask if self.ages is None else mask & self.ages.mask(micros - now)


KINDS = ("fixed", "age")


def _about_flag(test: nodes.Test) -> object:
    held = test.operator in ("=", "IN") and any(isinstance(value, bool) for value in wanted_values(test))
    return None if held else ALWAYS_FALSE


def _about_text(test: nodes.Test) -> object:
    """A text may be a date as well."""
    found = about_text(test)
    return about_date(test) if found is ALWAYS_FALSE else found


ABOUT: dict[type, Callable[[nodes.Test], object]] = {
    str: _about_text,
    float: about_number,
    bool: _about_flag,
    list: about_items,
    datetime: about_date,
}


def _turned(one: Asked, question: Question) -> Question:
    """The question as the literal wants it answered."""
    return question if one.positive else Question(question.word, question.numbers, not question.wanted)


def _bits(places: Iterable[int]) -> int:
    mask = 0
    for place in places:
        mask |= 1 << place
    return mask


def _slow(name: str, asked: Sequence[Asked]) -> Slow | None:
    return Slow(name, asked) if asked else None
