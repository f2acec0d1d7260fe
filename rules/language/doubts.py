"""Comes in: what a text reads, and what is known of events and of the moment. Goes out: what is most likely misspelt.

Nothing here refuses: an event may have a property tomorrow that it never had.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from rules.language import nodes
from rules.language.check import Problem, nearest
from rules.language.printer import operand_text
from rules.language.quoting import quote
from rules.language.terms import wanted_values

Seen = Mapping[str, Collection[str]]
"""The names of the properties that each event is known to have; an event that is not among them is not judged."""


def unseen_properties(histories: Iterable[nodes.History], seen: Seen) -> Iterator[Problem]:
    """Properties that nobody has seen in their events: what asks for them finds nothing."""
    for history in histories:
        known = seen.get(history.event)
        if known:
            for name, at in _properties(history):
                # "basket.total" is a part of "basket", "products.0" of "products".
                if name not in known and name.partition(".")[0] not in known:
                    message = f"No {quote(history.event)} was seen with the property {quote(name)}."
                    cure = nearest(name, known) or "Look it up in the tracking plan."
                    yield _warning(at, message, cure)


def _properties(history: nodes.History) -> Iterator[tuple[str, nodes.Place]]:
    if history.attribute is not None:
        yield history.attribute, history.at
    for leaf in () if history.where is None else nodes.leaves(history.where):
        if isinstance(leaf, nodes.Test):
            named = [one for one in (leaf.operand, *wanted_values(leaf)) if isinstance(one, nodes.Named)]
            yield from ((one.name, one.at) for one in named)


def missing_of_the_moment(condition: nodes.Condition, moment: Collection[str]) -> Iterator[Problem]:
    """Facts that only a request has, in a condition that is asked of stored facts; each fact once."""
    told: set[str] = set()
    for leaf in nodes.leaves(condition):
        if isinstance(leaf, nodes.Test):
            for one in (leaf.operand, *wanted_values(leaf)):
                if isinstance(one, nodes.Named) and one.name in moment and one.name not in told:
                    told.add(one.name)
                    message = (
                        f"{operand_text(one)} is known in the moment of a request only; here it is always missing."
                    )
                    yield _warning(one.at, message, "Ask for it in the rule itself.")


def _warning(at: nodes.Place, message: str, cure: str) -> Problem:
    return Problem("warning", message, at.line, at.column, cure, at.end_column)
