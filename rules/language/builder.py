"""Comes in: the pieces the parser has recognised, innermost first. Goes out: the node each one means.

Every limit that belongs to one piece (digits, list length, pattern) is enforced here, where its place is known.
"""

import math
from typing import Any as Anything

from lark import Token, Transformer, v_args

from rules.language import limits, nodes
from rules.language.errors import Place, RuleError
from rules.language.literals import date_literal, number_literal, version_literal
from rules.language.patterns import compile_pattern
from rules.language.quoting import unquote, unquote_pattern
from rules.language.values import Relative, Span

SPELLINGS = {"==": "=", "≤": "<=", "≥": ">=", "<>": "!=", "≠": "!="}


def place_of(token: Token) -> Place:
    """Where a token stands."""
    line, column = token.line or 1, token.column or 1
    return Place(line, column, column + max(1, len(token)))


def words_of(token: Token) -> str:
    """A keyword as the operator table spells it: upper case, one space."""
    return " ".join(token.upper().split())


def text_of(token: Token) -> str:
    """The text between a token's quotes, within its limit."""
    if len(token) > limits.MAX_STRING + 2:
        message = f"A text has {len(token) - 2:,} characters; the limit is {limits.MAX_STRING:,} (MAX_STRING)."
        raise RuleError.at(place_of(token), message)
    try:
        return unquote(token)
    except ValueError:
        raise RuleError.at(place_of(token), "A \\u escape is half of a surrogate pair.") from None


def name_of(token: Token) -> str:
    """A name, quoted or not."""
    name = text_of(token) if token.type == "STRING" else str(token)
    if not name.strip():
        raise RuleError.at(place_of(token), "A name is empty.")
    return name


@v_args(inline=True)
class Builder(Transformer[Token, Anything]):
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

    def test(self, operand: nodes.Operand | nodes.Condition, rest: Anything = None) -> nodes.Condition:
        operator, value, negated, ignoring, value_at = rest
        return nodes.Test(operand, operator, value, negated, ignoring, operand.at, value_at)  # type: ignore[arg-type]

    def in_segment(self, word: Token, key: Token) -> nodes.Condition:
        operand = nodes.Named("segments", place_of(word))
        return nodes.Test(operand, "IN SEGMENT", name_of(key), at=place_of(word), value_at=place_of(key))

    def chance(self, word: Token, number: Token, _percent: Token, _for: Token | None, name: Token | None) -> nodes.Chance:
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

    def quoted_event(self, name: Token, _dot: Token | None = None, attribute: Token | None = None) -> tuple[str, str | None]:
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
        if event[1] is None and aggregate not in ("COUNT",):
            example = f"{aggregate}({event[0]}.price)"
            message = f"{aggregate} needs a property of the event."
            raise RuleError.at(place_of(word), message, f"Write for example {example}.")
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

    # -- rules and actions

    def rule(
        self,
        word: Token,
        condition: nodes.Condition,
        _then: Token,
        then: tuple[nodes.Action, ...],
        _else: Token | None,
        otherwise: tuple[nodes.Action, ...] | None,
    ) -> nodes.Rule:
        return nodes.Rule(condition, then, otherwise or (), place_of(word))

    def actions(self, *actions: nodes.Action) -> tuple[nodes.Action, ...]:
        return actions

    def content(self, key: Token) -> nodes.ContentKey:
        return nodes.ContentKey(name_of(key), place_of(key))

    def tagged(self, _word: Token, tag: Token) -> nodes.Tagged:
        return nodes.Tagged(name_of(tag), place_of(tag))

    def where(self, word: Token, condition: nodes.Condition) -> nodes.Where:
        return nodes.Where(condition, place_of(word))

    def aim(self, word: Token, target: nodes.Target) -> nodes.Action:
        kind = {"ONLY": nodes.Only, "HIDE": nodes.Hide}.get(word.upper(), nodes.Show)
        return kind(target, place_of(word))

    def weigh(self, word: Token, target: nodes.Target, _by: Token, number: Token) -> nodes.Action:
        factor = float(number_literal(number, place_of(number)))
        bury = word.upper() == "BURY"
        lowest = 1.0 if bury else 0.0
        if not lowest < factor <= limits.MAX_FACTOR or math.isinf(factor):
            message = f"{word.upper()} needs a factor above {lowest:g} and up to {limits.MAX_FACTOR:,} (MAX_FACTOR)."
            raise RuleError.at(place_of(number), message)
        return nodes.Bury(target, factor, place_of(word)) if bury else nodes.Boost(target, factor, place_of(word))

    def pin(self, word: Token, target: nodes.Target, _at: Token, number: Token) -> nodes.Pin:
        position = number_literal(number, place_of(number))
        if not isinstance(position, int) or not 1 <= position <= limits.MAX_POSITION:
            message = f"A position is a whole number from 1 to {limits.MAX_POSITION:,} (MAX_POSITION)."
            raise RuleError.at(place_of(number), message)
        return nodes.Pin(target, position, place_of(word))

    def start_campaign(self, word: Token, key: Token) -> nodes.StartCampaign:
        return nodes.StartCampaign(name_of(key), place_of(word))

    def stop(self, word: Token) -> nodes.Stop:
        return nodes.Stop(place_of(word))
