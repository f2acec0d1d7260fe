"""Comes in: the recognised pieces of THEN and ELSE, innermost first. Goes out: the rule and its actions."""

import math
from typing import Any as Anything

from lark import Token, Transformer, v_args

from rules.language import limits, nodes
from rules.language.errors import RuleError
from rules.language.literals import number_literal
from rules.language.tokens import name_of, place_of


@v_args(inline=True)
class ActionBuilder(Transformer[Token, Anything]):
    """One method per alternative of the grammar; tokens come in between the parts, for their place."""

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
        if word.upper() == "ONLY":
            return nodes.Only(target, place_of(word))
        kind = nodes.Hide if word.upper() == "HIDE" else nodes.Show
        return kind(target, place_of(word))

    def weigh(self, word: Token, target: nodes.Target, _by: Token, number: Token) -> nodes.Action:
        factor = float(number_literal(number, place_of(number)))
        bury = word.upper() == "BURY"
        lowest = 1.0 if bury else 0.0
        if not lowest < factor <= limits.MAX_FACTOR or math.isinf(factor):
            message = f"{word.upper()} needs a factor above {lowest:g}, at most {limits.MAX_FACTOR:,} (MAX_FACTOR)."
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
