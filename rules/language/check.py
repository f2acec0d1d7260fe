"""Comes in: nodes and a catalogue. Goes out: what is wrong or doubtful about them, each with its place and cure."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rules.language import nodes
from rules.language.errors import Place
from rules.language.facts import Catalogue
from rules.language.quoting import quote


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding; an error refuses the save, a warning only tells."""

    severity: str
    message: str
    line: int = 1
    column: int = 1
    hint: str | None = None
    end_column: int = 1


def check(node: nodes.Node, catalogue: Catalogue) -> list[Problem]:
    """The problems of a condition or a rule, in the order of the text."""
    found = [*_names(node, catalogue), *_targets(node, catalogue)]
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _error(place: Place, message: str, hint: str | None = None) -> Problem:
    return Problem("error", message, place.line, place.column, hint, place.end_column)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The hint naming the known word closest to `word`."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {quote(close[0])}?" if close else None


def _names(node: nodes.Node, catalogue: Catalogue) -> Iterator[Problem]:
    for leaf in nodes.leaves(node):
        if not isinstance(leaf, nodes.Test):
            continue
        if isinstance(leaf.operand, nodes.History):
            yield from _unknown(leaf.operand.event, catalogue.events, leaf.operand.at, "event")
        else:
            yield from _unknown(leaf.operand.name, catalogue.facts, leaf.operand.at, "fact")
        if leaf.operator == "IN SEGMENT":
            yield from _unknown(str(leaf.value), catalogue.segments, leaf.value_at, "segment")


def _unknown(word: str, known: Iterable[str] | None, place: Place, kind: str) -> Iterator[Problem]:
    if known is not None and word not in set(known):
        yield _error(place, f"There is no {kind} {quote(word)}.", nearest(word, known))


def _targets(node: nodes.Node, catalogue: Catalogue) -> Iterator[Problem]:
    if not isinstance(node, nodes.Rule):
        return
    for action in node.then + node.otherwise:
        if isinstance(action, nodes.StartCampaign):
            yield from _unknown(action.key, catalogue.campaigns, action.at, "campaign")
        elif not isinstance(action, nodes.Stop):
            target = action.target
            if isinstance(target, nodes.ContentKey):
                yield from _unknown(target.key, catalogue.contents, target.at, "content")
            elif isinstance(target, nodes.Tagged):
                yield from _unknown(target.tag, catalogue.tags, target.at, "tag")


