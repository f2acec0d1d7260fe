"""Comes in: nodes and a catalogue. Goes out: what is wrong or doubtful, each with its place and cure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from rules.language import nodes
from rules.language.actions import contradictions
from rules.language.circles import SEGMENT_FACTS
from rules.language.errors import Place
from rules.language.facts import Catalogue, Fact
from rules.language.fitting import history_misfits, misfits, type_of
from rules.language.lookup import ALIASES
from rules.language.printer import condition_text, operand_text
from rules.language.prove import always, never
from rules.language.quoting import quote
from rules.language.terms import wanted_values


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding; an error refuses the save, a warning only tells."""

    severity: str
    message: str
    line: int = 1
    column: int = 1
    hint: str | None = None
    end_column: int = 1


def check(node: nodes.Node, catalogue: Catalogue, frame: pl.DataFrame | None = None) -> list[Problem]:
    """The problems of a condition or a rule, in the order of the text.

    Errors are unknown names and wrong types; warnings are what is proved never or always true, contradicting
    actions and, with a `frame` of customers (one column per fact), facts that no customer has.
    """
    found = [*_condition(nodes.condition_of(node), catalogue), *_rule(node, catalogue)]
    if not any(problem.severity == "error" for problem in found):
        found += _logic(nodes.condition_of(node), catalogue)
    if frame is not None:
        found += _unprovided(node, frame)
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _problem(severity: str, place: Place, message: str, hint: str | None = None) -> Problem:
    return Problem(severity, message, place.line, place.column, hint, place.end_column)


def _error(place: Place, message: str, hint: str | None = None) -> Problem:
    return _problem("error", place, message, hint)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The hint naming the known word closest to `word`, whatever its case."""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f"Did you mean {quote(by_lower[close[0]])}?" if close else None


def _unknown(word: str, known: Iterable[str] | None, place: Place, kind: str) -> Iterator[Problem]:
    if known is not None and word not in set(known):
        yield _error(place, f"There is no {kind} {quote(word)}.", nearest(word, known))


# -- names and types

NOTHING = "For a fact without a value use IS MISSING."


def _condition(condition: nodes.Condition, catalogue: Catalogue) -> Iterator[Problem]:
    for leaf in nodes.leaves(condition):
        if isinstance(leaf, nodes.Test):
            properties = None
            if isinstance(leaf.operand, nodes.History):
                yield from _history(leaf.operand, catalogue)
                properties = (catalogue.events or {}).get(leaf.operand.event)
            yield from _test(leaf, catalogue.facts, type_of(leaf.operand, catalogue.facts, properties))
            yield from _segments(leaf, catalogue)


def _test(test: nodes.Test, facts: Mapping[str, Fact], held: str | None, kind: str = "fact") -> Iterator[Problem]:
    """A test of facts (or properties, or attributes) that are named in `facts`."""
    if isinstance(test.operand, nodes.Named) and test.operator != "IN SEGMENT":
        yield from _unknown(test.operand.name, facts, test.operand.at, kind)
    for value in wanted_values(test):
        if isinstance(value, nodes.Named) and value.name not in facts:
            hint = f"For the text write {quote(value.name)}." if held in ("text", "text_list", None) else None
            hint = NOTHING if value.name.lower() in ("null", "none", "nan", "nil", "undefined") else hint
            message = f"There is no {kind} {quote(value.name)}."
            yield _error(value.at, message, hint if hint is NOTHING else nearest(value.name, facts) or hint)
    for place, message, cure in misfits(test, held, facts):
        yield _error(place, message, cure)
    if isinstance(test.operand, nodes.Named) and test.operator in ("=", "IN") and test.operand.name in facts:
        yield from _suggested(test, facts[test.operand.name])


def _suggested(test: nodes.Test, fact: Fact) -> Iterator[Problem]:
    """A value that is not among those the fact is known to have."""
    for value in wanted_values(test):
        if fact.values and isinstance(value, str) and value not in fact.values and not test.ignoring_case:
            message = f"{operand_text(test.operand)} is not known to be {quote(value)}."
            yield _problem("warning", test.value_at, message, nearest(value, fact.values))


def _segments(test: nodes.Test, catalogue: Catalogue) -> Iterator[Problem]:
    named = isinstance(test.operand, nodes.Named) and test.operand.name in SEGMENT_FACTS
    if named and test.operator in ("=", "IN", "CONTAINS", "IN SEGMENT") and not test.ignoring_case:
        for value in wanted_values(test):
            if isinstance(value, str):
                yield from _unknown(value, catalogue.segments, test.value_at, "segment")


def _history(history: nodes.History, catalogue: Catalogue) -> Iterator[Problem]:
    yield from _unknown(history.event, catalogue.events, history.at, "event")
    properties = (catalogue.events or {}).get(history.event)
    for place, message, cure in history_misfits(history, properties):
        yield _error(place, message, cure)
    if properties is None:
        return
    if history.attribute is not None:
        yield from _unknown(history.attribute, properties, history.at, f"property of {history.event}")
    for leaf in () if history.where is None else nodes.leaves(history.where):
        if isinstance(leaf, nodes.Test):
            yield from _test(leaf, properties, type_of(leaf.operand, properties, None), "property")


# -- actions


def _rule(node: nodes.Node, catalogue: Catalogue) -> Iterator[Problem]:
    if not isinstance(node, nodes.Rule):
        return
    for action in node.then + node.otherwise:
        if isinstance(action, nodes.StartCampaign):
            yield from _unknown(action.key, catalogue.campaigns, action.at, "campaign")
        elif not isinstance(action, nodes.Stop):
            yield from _target(action.target, catalogue)
    for branch in (node.then, node.otherwise):
        for place, message, cure in contradictions(branch):
            yield _problem("warning", place, message, cure)
    if node.then == node.otherwise:
        message = "THEN and ELSE say the same, so the condition changes nothing."
        yield _problem("warning", node.otherwise[0].at, message)


def _target(target: nodes.Target, catalogue: Catalogue) -> Iterator[Problem]:
    if isinstance(target, nodes.ContentKey):
        yield from _unknown(target.key, catalogue.contents, target.at, "content")
    elif isinstance(target, nodes.Tagged):
        yield from _unknown(target.tag, catalogue.tags, target.at, "tag")
    else:
        yield from _attributes(target.condition, catalogue.attributes)


def _attributes(condition: nodes.Condition, attributes: Mapping[str, Fact] | None) -> Iterator[Problem]:
    for leaf in nodes.leaves(condition):
        customers = isinstance(leaf, nodes.Chance) or leaf.operator == "IN SEGMENT"
        if customers or isinstance(getattr(leaf, "operand", None), nodes.History):
            yield _error(leaf.at, "WHERE asks about contents, this about customers.", "Put it behind IF.")
        elif isinstance(leaf, nodes.Test) and attributes is not None:
            yield from _test(leaf, attributes, type_of(leaf.operand, attributes, None), "attribute")


# -- logic


def _logic(condition: nodes.Condition, catalogue: Catalogue) -> Iterator[Problem]:
    types = {name: fact.type for name, fact in catalogue.facts.items()}
    if always(condition, types):
        yield _problem("warning", condition.at, "This is true for everybody.", "Leave out what is always true.")
    elif never(condition, types):
        yield _never(condition, types)


def _never(condition: nodes.Condition, types: Mapping[str, str]) -> Problem:
    """The finding, naming the smallest part that is to blame."""
    for leaf in nodes.leaves(condition):
        if never(leaf, types):
            return _problem("warning", leaf.at, f"{condition_text(leaf)} is never true.")
    parts = condition.parts if isinstance(condition, nodes.All) else ()
    for place, part in enumerate(parts):
        for other in parts[place + 1 :]:
            if never(nodes.All((part, other)), types):
                message = f"{condition_text(part)} and {condition_text(other)} are never true together."
                return _problem("warning", other.at, message)
    return _problem("warning", condition.at, "This is never true for anybody.")


def _unprovided(node: nodes.Node, frame: pl.DataFrame) -> Iterator[Problem]:
    """Facts that are missing for every customer of the frame."""
    told: set[str] = set()
    for leaf in nodes.leaves(node):
        if not isinstance(leaf, nodes.Test) or (name := operand_text(leaf.operand)) in told:
            continue
        told.add(name)
        column = leaf.operand.name if isinstance(leaf.operand, nodes.Named) else name
        column = ALIASES.get(column, column)
        if column not in frame.columns or frame[column].null_count() == len(frame):
            message = f"None of the {len(frame):,} customers has {name}."
            yield _problem("warning", leaf.at, message, "Check the name, or where it should come from.")
