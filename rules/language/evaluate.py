"""Comes in: nodes, one customer's facts and the clock. Goes out: does the condition hold, by walking its
tree.
"""

from collections.abc import MutableMapping
from datetime import datetime
from typing import Any

from rules.language import nodes, readings
from rules.language.comparing import Answer
from rules.language.lookup import Facts, fact_of, limit_of, share_of
from rules.language.operators import OPERATORS
from rules.language.printer import operand_text
from rules.language.values import plain, to_micros

Wrong = MutableMapping[str, int]
EVENTS = "events"


def matches(node: nodes.Node, facts: Facts, now: datetime, wrong: Wrong | None = None) -> bool:
    """Whether the condition of `node` holds for one customer. Never raises.

    `facts` maps names to str, int, float, bool, datetime, list or None; a history is looked up under its
    canonical text, else computed from `facts["events"]`. Tests that met a value of the wrong type are counted
    in `wrong`, by the fact's name.
    """
    return holds(nodes.condition_of(node), facts, to_micros(now), wrong)


def holds(condition: nodes.Condition, facts: Facts, now: int, wrong: Wrong | None = None) -> bool:
    """As `matches`, with the clock in microseconds since 1970 UTC."""
    kind = type(condition)
    if kind is nodes.Test:
        return test_holds(condition, facts, now, wrong)  # type: ignore[arg-type]
    if kind is nodes.All:
        return all(holds(part, facts, now, wrong) for part in condition.parts)  # type: ignore[union-attr]
    if kind is nodes.Any:
        return any(holds(part, facts, now, wrong) for part in condition.parts)  # type: ignore[union-attr]
    if kind is nodes.Not:
        return not holds(condition.part, facts, now, wrong)  # type: ignore[union-attr]
    return chance_holds(condition, facts)  # type: ignore[arg-type]


def test_holds(test: nodes.Test, facts: Facts, now: int, wrong: Wrong | None = None) -> bool:
    """Whether one test holds; missing and wrong are false, negated or not."""
    value = value_of(test.operand, facts, now)
    if test.operator == "IS MISSING":
        return (value is None) != test.negated
    if value is None:
        return False
    wanted = wanted_of(test, facts)
    if wanted is None and test.value is not None:
        return False
    answer = OPERATORS[test.operator].one(value, wanted, now, test.ignoring_case)
    if answer is None:
        if wrong is not None:
            name = operand_text(test.operand)
            wrong[name] = wrong.get(name, 0) + 1
        return False
    return answer != test.negated


def value_of(operand: nodes.Operand, facts: Facts, now: int) -> Any:
    """The value of a fact or a history; None when the customer has none."""
    if type(operand) is nodes.Named:
        return fact_of(operand.name, facts)
    value = plain(facts.get(operand_text(operand)))
    events = facts.get(EVENTS) if value is None else None
    if not isinstance(events, list | tuple):
        return value
    return readings.replay(operand, events, now, holds)  # type: ignore[arg-type]


def wanted_of(test: nodes.Test, facts: Facts) -> Any:
    """The right side of a test with every fact replaced by its value; None when one of them is missing."""
    wanted = test.value
    if type(wanted) is nodes.Named:
        return fact_of(wanted.name, facts)
    if type(wanted) is tuple and any(type(one) is nodes.Named for one in wanted):
        found = tuple(fact_of(one.name, facts) if isinstance(one, nodes.Named) else one for one in wanted)
        return None if None in found else found
    return wanted


def chance_holds(chance: nodes.Chance, facts: Facts) -> bool:
    """Whether the customer's draw lies below the share; without a customer id nobody is drawn."""
    share = share_of(chance.name, facts)
    return share is not None and share < limit_of(chance.percent)


def answer_to(test: nodes.Test, value: Any, facts: Facts, now: int) -> Answer:
    """The operator's answer for a value that is there, before any NOT; None when types do not fit."""
    return OPERATORS[test.operator].one(value, wanted_of(test, facts), now, test.ignoring_case)
