"""Comes in: a condition. Goes out: the same as an OR of terms, each an AND of literals (disjunctive normal
form).

A literal is a part of the condition and whether it must hold or must not. Where the form would grow beyond
`MOST_TERMS`, a whole OR is kept as one literal, so the result is always small and always right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rules.language import nodes
from rules.language.printer import operand_text

MOST_TERMS = 16


@dataclass(frozen=True, slots=True)
class Literal:
    """A condition (nearly always one test) that must hold, or must not."""

    condition: nodes.Condition
    positive: bool = True


Term = tuple[Literal, ...]


def terms(condition: nodes.Condition, most: int = MOST_TERMS) -> list[Term]:
    """The terms of a condition, at most `most` of them."""
    return _terms(condition, True, most)


def _terms(condition: nodes.Condition, positive: bool, most: int) -> list[Term]:
    if isinstance(condition, nodes.Not):
        return _terms(condition.part, not positive, most)
    if isinstance(condition, nodes.All):
        parts = list(condition.parts)
        return _product(parts, positive, most) if positive else _sum(condition, parts, positive, most)
    if isinstance(condition, nodes.Any):
        parts = _merged(condition.parts)
        return _sum(condition, parts, positive, most) if positive else _product(parts, positive, most)
    return [(Literal(condition, positive),)]


def _sum(whole: nodes.Condition, parts: Sequence[nodes.Condition], positive: bool, most: int) -> list[Term]:
    found = [term for part in parts for term in _terms(part, positive, most)]
    return found if len(found) <= most else [(Literal(whole, positive),)]


def _product(parts: Sequence[nodes.Condition], positive: bool, most: int) -> list[Term]:
    found: list[Term] = [()]
    for part in parts:
        choices = _terms(part, positive, most)
        if len(found) * len(choices) > most:
            choices = [(Literal(part, positive),)]
        found = [term + choice for term in found for choice in choices]
    return found


def _merged(parts: Sequence[nodes.Condition]) -> list[nodes.Condition]:
    """`a = "x" OR a = "y"` as `a IN ("x", "y")`: one literal instead of two."""
    groups: dict[tuple[str, bool], list[nodes.Test]] = {}
    rest: list[nodes.Condition] = []
    for part in parts:
        if (
            isinstance(part, nodes.Test)
            and part.operator in ("=", "IN")
            and not part.negated
            and not compares_facts(part)
        ):
            groups.setdefault((operand_text(part.operand), part.ignoring_case), []).append(part)
        else:
            rest.append(part)
    return [_one_list(tests) for tests in groups.values()] + rest


def _one_list(tests: list[nodes.Test]) -> nodes.Test:
    if len(tests) == 1:
        return tests[0]
    values = tuple(value for test in tests for value in wanted_values(test))
    return replace(tests[0], operator="IN", value=values)


def wanted_values(test: nodes.Test) -> tuple[Any, ...]:
    """The right side of a test as a tuple, whether it is a list or one value."""
    return test.value if isinstance(test.value, tuple) else (test.value,)


def asked_facts(node: nodes.Node) -> frozenset[str]:
    """The facts a rule or condition asks for, those it compares with among them; histories by their canonical texts."""
    found: set[str] = set()
    for leaf in nodes.leaves(node):
        if isinstance(leaf, nodes.Test):
            found.add(operand_text(leaf.operand))
            found |= {value.name for value in wanted_values(leaf) if isinstance(value, nodes.Named)}
    return frozenset(found)


def compares_facts(test: nodes.Test) -> bool:
    """Whether another fact stands on the right side."""
    return any(isinstance(value, nodes.Named) for value in wanted_values(test))


def uses_clock(condition: nodes.Condition) -> bool:
    """Whether the answer for one value changes with the clock."""
    for leaf in nodes.leaves(condition):
        if isinstance(leaf, nodes.Test):
            if leaf.operator in ("WITHIN LAST", "WITHIN NEXT"):
                return True
            if any(isinstance(value, nodes.Relative) for value in wanted_values(leaf)):
                return True
    return False
