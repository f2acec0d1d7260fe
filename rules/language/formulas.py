"""Comes in: the text of a value: one history, or a calculation with facts and histories. Goes out: its frozen nodes.

A formula says what a custom fact is: `COUNT(purchase WHERE category = "Eco") IN LAST 30 DAYS`, or
`spend_30d / orders_30d`. Its canonical text (`formula_text`) parses back into equal nodes. How it is computed stands in
`calculating`, whether its names and types fit in `formula_check`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lark import Lark, Token, v_args

from rules.language.builder import Builder
from rules.language.errors import NOWHERE, Place, RuleError
from rules.language.grammar import GRAMMAR
from rules.language.limits import MAX_DEPTH
from rules.language.literals import number_literal
from rules.language.nodes import History, Named
from rules.language.parser import read, refuse_too_big
from rules.language.printer import number_text, operand_text
from rules.language.tokens import place_of

MAX_OPERATIONS: Final = 50  # signs in one formula

SUMS: Final = r"""
formula: sum
?sum: product ((PLUS | MINUS) product)*
?product: factor ((TIMES | OVER) factor)*
?factor: operand
       | NUMBER -> constant
       | MINUS factor -> opposite
       | LPAR sum RPAR -> bracketed

PLUS: "+"
MINUS: "-"
TIMES: "*"
OVER: "/"
"""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: int | float
    at: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Calculation:
    """Two values and what is done with them: `sign` is one of + - * /."""

    sign: str
    left: "Formula"
    right: "Formula"
    at: Place = field(default=NOWHERE, compare=False, repr=False)


Formula = Named | History | Number | Calculation
RANK: Final = {"+": 1, "-": 1, "*": 2, "/": 2}


@v_args(inline=True)
class FormulaBuilder(Builder):
    """The alternatives of the formula's grammar; operands and what stands inside of them are those of conditions."""

    def formula(self, node: Formula) -> Formula:
        return node

    def constant(self, text: Token) -> Number:
        return Number(number_literal(str(text), place_of(text)), place_of(text))

    def opposite(self, sign: Token, node: Formula) -> Formula:
        if isinstance(node, Number):
            return Number(-node.value, place_of(sign))
        return Calculation("-", Number(0), node, place_of(sign))

    def bracketed(self, _left: Token, node: Formula, _right: Token) -> Formula:
        return node

    @v_args(inline=False)
    def sum(self, children: list[Any]) -> Formula:
        return _joined(children)

    @v_args(inline=False)
    def product(self, children: list[Any]) -> Formula:
        return _joined(children)


def _joined(children: list[Any]) -> Formula:
    """From left to right: a - b - c is (a - b) - c."""
    node, *rest = children
    for sign, right in zip(rest[::2], rest[1::2], strict=True):
        node = Calculation(str(sign), node, right, place_of(sign))
    return node


_LARK: Final = Lark(
    GRAMMAR + SUMS,
    start="formula",
    parser="lalr",
    lexer="contextual",
    transformer=FormulaBuilder(),
    maybe_placeholders=True,
)


def parse_formula(text: str) -> Formula:
    """The nodes of `text`. Raises `RuleError`, whose line and column lie inside the text."""
    node: Formula = read(_LARK, text)
    _refuse_too_long(node)
    for one in operands(node):
        if isinstance(one, History) and one.where is not None:
            refuse_too_big(one.where)
    return node


def _refuse_too_long(node: Formula) -> None:
    waiting, signs = [(node, 1)], 0
    while waiting:
        one, depth = waiting.pop()
        if not isinstance(one, Calculation):
            continue
        signs += 1
        if signs > MAX_OPERATIONS or depth > MAX_OPERATIONS + MAX_DEPTH:
            message = f"A formula has at most {MAX_OPERATIONS} signs (MAX_OPERATIONS)."
            raise RuleError.at(one.at, message, "Make a custom fact of a part of it, and calculate with that.")
        waiting += [(one.left, depth + 1), (one.right, depth + 1)]


def operands(node: Formula) -> Iterator[Named | History]:
    """The facts and histories a formula reads, from left to right."""
    if isinstance(node, Calculation):
        yield from operands(node.left)
        yield from operands(node.right)
    elif not isinstance(node, Number):
        yield node


def formula_histories(node: Formula) -> dict[str, History]:
    """The histories it reads, by their canonical texts."""
    return {operand_text(one): one for one in operands(node) if isinstance(one, History)}


def formula_facts(node: Formula) -> set[str]:
    """The names of the facts it reads."""
    return {one.name for one in operands(node) if isinstance(one, Named)}


def formula_text(node: Formula) -> str:
    """The canonical text, on one line."""
    if isinstance(node, Number):
        return number_text(node.value)
    if not isinstance(node, Calculation):
        return operand_text(node)
    rank = RANK[node.sign]
    return f"{_part(node.left, rank)} {node.sign} {_part(node.right, rank + 1)}"


def _part(node: Formula, least: int) -> str:
    """A part of a calculation: in parentheses where it binds less than what is around it."""
    text = formula_text(node)
    return f"({text})" if isinstance(node, Calculation) and RANK[node.sign] < least else text
