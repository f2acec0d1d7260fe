"""Comes in: a formula, a catalogue and what is known of events' properties. Goes out: its type, and what is wrong."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Final

from rules.language import nodes
from rules.language.check import Problem, check
from rules.language.errors import Place, RuleError, listing
from rules.language.facts import Catalogue, Fact
from rules.language.fitting import SPOKEN
from rules.language.formulas import Calculation, Formula, Number, operands, parse_formula
from rules.language.nodes import History, Named
from rules.language.printer import operand_text
from rules.language.quoting import quote

PICKS: Final = ("FIRST", "LAST")
SINGLE: Final = ("text", "number", "boolean", "date")  # what FIRST and LAST can read
EXAMPLES: Final = 'COUNT("Order Completed") IN LAST 30 DAYS, or spend_30d / orders_30d'
Properties = Mapping[str, Mapping[str, Fact]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A text as it was found: its problems in the order of the text, and without errors its nodes and its type."""

    problems: tuple[Problem, ...]
    formula: Formula | None = None
    type: str | None = None

    @property
    def fine(self) -> bool:
        """Whether it may be used."""
        return self.formula is not None and not any(one.severity == "error" for one in self.problems)


def judge(text: str, catalogue: Catalogue, properties: Properties, moment: Set[str] = frozenset()) -> Judged:
    """Parse, check and type a formula; nothing is raised.

    `catalogue.facts` are the facts it may read; `properties` what each event's properties are known to be;
    `moment` are facts that only a request has.
    """
    try:
        node = parse_formula(text)
    except RuleError as error:
        expected = f" Expected {listing(error.expected)}." if error.expected and text.strip() else ""
        hint = error.hint if text.strip() else f"Write for example {EXAMPLES}."
        place = (error.line, error.column, hint, error.end_column)
        return Judged((Problem("error", error.message + expected, *place),))
    found = sorted(_problems(node, catalogue, properties, moment), key=lambda one: (one.line, one.column))
    wrong = any(one.severity == "error" for one in found)
    return Judged(tuple(found), node, None if wrong else _type(node, properties))


def _problems(node: Formula, catalogue: Catalogue, properties: Properties, moment: Set[str]) -> Iterator[Problem]:
    read = list(operands(node))
    if not read:
        yield Problem("error", "This is a number, the same for everybody.", hint=f"Write for example {EXAMPLES}.")
    elif isinstance(node, Named) and node.name in catalogue.facts:
        yield _error(node.at, f"This is the fact {operand_text(node)} itself.", "Calculate with it, or use its name.")
    for one in read:
        if isinstance(one, Named) and one.name in moment:
            message = f"{operand_text(one)} is known in the moment of a request only."
            yield _error(one.at, message, "Ask for it in the rule itself.")
            continue
        # A test that asks nothing of the value: what is wrong then is wrong with the fact or history itself.
        wrong = check(nodes.Test(one, "IS MISSING", at=one.at), catalogue)
        known = [problem for problem in wrong if problem.severity == "error"]
        yield from known
        if not known:
            yield from _misfit(one, isinstance(node, Calculation), catalogue, properties)
    yield from _zeros(node)


def _error(place: Place, message: str, hint: str) -> Problem:
    return Problem("error", message, place.line, place.column, hint, place.end_column)


def _misfit(one: Named | History, calculated: bool, catalogue: Catalogue, properties: Properties) -> Iterator[Problem]:
    """An operand whose type is not known, or is none to calculate with."""
    told = operand_text(one)
    if isinstance(one, Named):
        held: str | None = catalogue.facts[one.name].type
    elif one.aggregate not in PICKS:
        held = "number"
    else:
        known = properties.get(one.event, {}).get(one.attribute or "")
        held = None if known is None else known.type
        if held not in SINGLE:
            yield _unreadable(one, held)
            return
    if calculated and held != "number":
        message = f"{told} is {SPOKEN[held or 'text']}; only numbers can be calculated with."
        yield _error(one.at, message, "Take a fact that is a number, or COUNT of it.")


def _unreadable(one: History, held: str | None) -> Problem:
    event, attribute = quote(one.event), quote(one.attribute or "")
    if held in SPOKEN:
        message = f"{attribute} of {event} is {SPOKEN[str(held)]}; {one.aggregate} reads single values."
        return _error(one.at, message, "Take COUNT or DISTINCT.")
    message = f"Nobody knows yet what {attribute} of {event} is, so neither what type this fact has."
    return _error(one.at, message, "Give the property one type in the tracking plan, or send an event that has it.")


def _zeros(node: Formula) -> Iterator[Problem]:
    """Divisions by the number 0."""
    if isinstance(node, Calculation):
        if node.sign == "/" and isinstance(node.right, Number) and node.right.value == 0:
            yield _error(node.right.at, "Nothing can be divided by 0.", "Divide by another number, or by a fact.")
        yield from _zeros(node.left)
        yield from _zeros(node.right)


def _type(node: Formula, properties: Properties) -> str:
    if isinstance(node, History) and node.aggregate in PICKS:
        return properties[node.event][node.attribute or ""].type
    return "number"
