"""A text in the rule language in; warnings about names that the tracking plan or stored facts do not know, out."""

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpRequest

from rules import rulebook
from rules.language import RuleError, nodes, parse
from rules.language.check import Problem
from rules.language.doubts import Seen, missing_of_the_moment, unseen_properties
from rules.models import Segment

from ..customers import profile
from ..customers.facts.catalogue import catalogue_facts
from ..customers.facts.defining import published
from ..customers.models import PlannedEvent
from ..customers.plan.observed import MOST_PROPERTIES
from ..store import catalogue

SEGMENT = "segment"  # what a condition is of that is asked of stored facts alone


def with_doubts(text: str, problems: Iterable[Problem], of: str = "") -> list[Problem]:
    """The problems of a text and, unless one is an error, its doubts, in the order of the text."""
    found = list(problems)
    if any(one.severity == "error" for one in found):
        return found
    return sorted([*found, *doubts_of(text, of)], key=lambda one: (one.line, one.column))


def doubts_of(text: str, of: str = "") -> list[Problem]:
    """What is doubtful about the names in a rule or a condition; nothing where it cannot be read."""
    try:
        node = parse(text)
    except RuleError:
        return []
    found = doubts_about(nodes.histories(node))
    if of == SEGMENT:
        stored = {**catalogue_facts(profile.vocabulary()), **published().catalogue()}
        found += missing_of_the_moment(nodes.condition_of(node), catalogue.of_the_moment(stored))
    return found


def doubts_about(histories: Iterable[nodes.History]) -> list[Problem]:
    """What is doubtful about the properties that histories read."""
    asked = list(histories)
    return list(unseen_properties(asked, _seen({one.event for one in asked}))) if asked else []


def _seen(events: set[str]) -> Seen:
    """The properties of these events by the tracking plan; one that stopped learning names is left out."""
    rows = PlannedEvent.objects.filter(name__in=events).values_list("name", "properties")
    return {name: found.keys() for name, found in rows if len(found) < MOST_PROPERTIES}


def tell(request: HttpRequest, segment: Segment) -> None:
    """Warn whoever saves a segment of the names in its condition that hold for nobody."""
    text = segment.condition if segment.kind == Segment.Kind.CONDITION else ""
    for problem in doubts_of(text, SEGMENT) if text else ():
        # Without the carets, which need a line of their own and letters of one width.
        messages.warning(request, rulebook.describe(problem, text).splitlines()[0])
