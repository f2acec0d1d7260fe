"""Comes in: the pieces the parser has recognised, innermost first. Goes out: the node each one means.

Every limit that belongs to one piece (digits, list length, pattern) is enforced here, where its place is
known.
"""

from typing import Any as Anything

from lark import Token, v_args

from rules.language import limits, nodes
from rules.language.action_builder import ActionBuilder
from rules.language.errors import RuleError
from rules.language.literals import date_literal, number_literal, version_literal
from rules.language.patterns import compile_pattern
from rules.language.quoting import unquote_pattern
from rules.language.terms import uses_clock
from rules.language.tokens import name_of, place_of, text_of, words_of
from rules.language.values import Relative, Span

SPELLINGS = {"==": "=", "≤": "<=", "≥": ">=", "<>": "!=", "≠": "!="}


def refuse_what_events_lack(where: nodes.Condition | None) -> None:
    """An event has properties only; and what it adds must not change as the clock goes on."""
    for leaf in () if where is None else nodes.leaves(where):
        if isinstance(leaf, nodes.Chance) or leaf.operator == "IN SEGMENT" or isinstance(leaf.operand, nodes.History):
            message = "A WHERE inside a history asks about one event; it can only test the event's properties."
            raise RuleError.at(leaf.at, message, "Move this test out of the parentheses.")
        if uses_clock(leaf):
            message = "A WHERE inside a history cannot count from today."
            raise RuleError.at(leaf.value_at, message, "Write a date, or put IN LAST 30 DAYS behind the parentheses.")


@v_args(inline=True)
class Builder(ActionBuilder):
    """One method per alternative of the grammar; tokens come in between the parts, for their place."""

    def start(self, node: nodes.Node) -> nodes.Node:
        return node

    # -- conditions

    @v_args(inline=False)
    def disjunction(self, children: list[Anything]) -> nodes.Condition:
        return nodes.Any(tuple(children[::2]), children[0].at)

    @v_args(inline=False)
    def conjunction(self, children: list[Anything]) -> nodes.Condition:
        return nodes.All(tuple(children[::2]), children[0].at)

    def negated(self, word: Token, part: nodes.Condition) -> nodes.Condition:
        return nodes.Not(part, place_of(word))

    def group(self, _left: Token, part: nodes.Condition, _right: Token) -> nodes.Condition:
        return part

    def test(self, operand: nodes.Operand, relation: Anything) -> nodes.Condition:
        operator, value, negated, ignoring, value_at = relation
        return nodes.Test(operand, operator, value, negated, ignoring, operand.at, value_at)

    def in_segment(self, word: Token, key: Token) -> nodes.Condition:
        operand = nodes.Named("segments", place_of(word))
        return nodes.Test(operand, "IN SEGMENT", name_of(key), at=place_of(word), value_at=place_of(key))

    def chance(
        self, word: Token, number: Token, _percent: Token, _for: Token | None, name: Token | None
    ) -> nodes.Chance:
        percent = number_literal(number, place_of(number))
        if not 0 <= percent <= 100:
            raise RuleError.at(place_of(number), "A chance lies between 0% and 100%.")
        return nodes.Chance(float(percent), "" if name is None else name_of(name), place_of(word))

    # -- comparisons: (operator, value, negated, ignoring case, place of the value)

    def comparison(self, relation: Anything, ignoring: Token | None) -> Anything:
        operator, value, negated, value_at = relation
        return operator, value, negated, ignoring is not None, value_at

    def missing(self, word: Token) -> Anything:
        return "IS MISSING", None, False, False, place_of(word)

    def present(self, word: Token) -> Anything:
        return "IS MISSING", None, True, False, place_of(word)

    def empty(self, word: Token) -> Anything:
        return "IS EMPTY", None, words_of(word) != "IS EMPTY", False, place_of(word)

    def compare(self, word: Token, value: Anything) -> Anything:
        operator, negated = self._operator(word)
        return operator, value[0], negated, value[1]

    def between(self, word: Token, low: Anything, _and: Token, high: Anything) -> Anything:
        operator, negated = self._operator(word)
        return operator, (low[0], high[0]), negated, low[1]

    @v_args(inline=False)
    def inside(self, children: list[Anything]) -> Anything:
        values = children[2:-1]
        if len(values) > limits.MAX_LIST:
            message = f"The list has {len(values):,} values; the limit is {limits.MAX_LIST:,} (MAX_LIST)."
            raise RuleError.at(values[0][1], message, "Import a list as a segment instead.")
        return "IN", tuple(value for value, _ in values), words_of(children[0]) != "IN", values[0][1]

    def pattern(self, word: Token, quoted: Token) -> Anything:
        operator, negated = self._operator(word)
        pattern = unquote_pattern(quoted)
        compile_pattern(pattern, place_of(quoted))
        return operator, pattern, negated, place_of(quoted)

    def before_last(self, word: Token, _last: Token, span: Span) -> Anything:
        return words_of(word), Relative("AGO", span), False, place_of(word)

    def within(self, word: Token, span: Span) -> Anything:
        return words_of(word).replace(" THE", ""), span, False, place_of(word)

    def _operator(self, word: Token) -> tuple[str, bool]:
        spelled = words_of(word)
        operator = SPELLINGS.get(spelled, spelled)
        if operator == "!=":
            return "=", True
        return operator.removeprefix("NOT "), operator.startswith("NOT ")

    # -- operands

    def named(self, name: Token) -> Anything:
        return nodes.Named(str(name), place_of(name))

    def quoted_name(self, name: Token) -> nodes.Named:
        return nodes.Named(name_of(name), place_of(name))

    def fact_name(self, _word: Token, name: Token) -> nodes.Named:
        return nodes.Named(name_of(name), place_of(name))

    def event(self, name: Token) -> tuple[str, str | None]:
        event, _, attribute = str(name).partition(".")
        return event, attribute or None

    def quoted_event(
        self, name: Token, _dot: Token | None = None, attribute: Token | None = None
    ) -> tuple[str, str | None]:
        return name_of(name), None if attribute is None else name_of(attribute)

    def history(
        self,
        word: Token,
        _left: Token,
        event: tuple[str, str | None],
        _where: Token | None,
        where: nodes.Condition | None,
        _right: Token,
        _in_last: Token | None,
        window: Span | None,
    ) -> nodes.History:
        aggregate = str(word).upper()
        if event[1] is None and aggregate != "COUNT":
            example = f"{aggregate}({event[0]}.price)"
            message = f"{aggregate} needs a property of the event."
            raise RuleError.at(place_of(word), message, f"Write for example {example}.")
        refuse_what_events_lack(where)
        return nodes.History(aggregate, event[0], event[1], where, window, place_of(word))

    def days_since(self, word: Token, event: Token) -> nodes.History:
        return nodes.History("DAYS SINCE", name_of(event), at=place_of(word))

    def days_since_where(
        self,
        word: Token,
        _left: Token,
        event: tuple[str, str | None],
        _where: Token | None,
        where: nodes.Condition | None,
        _right: Token,
    ) -> nodes.History:
        refuse_what_events_lack(where)
        return nodes.History("DAYS SINCE", event[0], event[1], where, at=place_of(word))

    # -- values: (value, place)

    def other_fact(self, name: Token) -> Anything:
        return nodes.Named(str(name), place_of(name)), place_of(name)

    def other_fact_name(self, _word: Token, name: Token) -> Anything:
        return nodes.Named(name_of(name), place_of(name)), place_of(name)

    def text(self, quoted: Token) -> Anything:
        return text_of(quoted), place_of(quoted)

    def number(self, number: Token) -> Anything:
        return number_literal(number, place_of(number)), place_of(number)

    def flag(self, word: Token) -> Anything:
        return word.upper() == "TRUE", place_of(word)

    def moment(self, text: Token) -> Anything:
        return date_literal(text, place_of(text)), place_of(text)

    def version(self, text: Token) -> Anything:
        return version_literal(str(text), place_of(text)), place_of(text)

    def version_text(self, _word: Token, quoted: Token) -> Anything:
        return version_literal(text_of(quoted), place_of(quoted)), place_of(quoted)

    def clock(self, word: Token) -> Anything:
        return Relative(word.upper()), place_of(word)

    def relative(self, span: Span, word: Token) -> Anything:
        return Relative(word.upper(), span), place_of(word)

    def span(self, number: Token, unit: Token) -> Span:
        amount = number_literal(number, place_of(number))
        if not isinstance(amount, int) or not 1 <= amount <= limits.MAX_SPAN:
            message = f"A length of time is a whole number from 1 to {limits.MAX_SPAN:,} (MAX_SPAN)."
            raise RuleError.at(place_of(number), message)
        return Span(amount, unit.upper().removesuffix("S"))
