"""Database rows in; the catalogue out that rules, segments, audiences and custom facts are checked against."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from campaigns.models import Campaign, Content
from rules.language.facts import Catalogue, Fact, built_in
from rules.models import Segment

from ..customers import profile
from ..customers.facts import defining
from ..customers.facts.catalogue import catalogue_facts
from ..customers.facts.vocabulary import Vocabulary
from ..customers.models import CustomFact, Event
from ..engine.context import PATHS

RECENT = 1000
CONTEXT_FACTS = {
    **{name: Fact(name, "text", label=name, description="of the moment, from the request") for name in PATHS},
    "hour": Fact("hour", "number", label="hour", description="of the moment, 0-23, UTC"),
    "weekday": Fact("weekday", "number", label="weekday", description="of the moment, 1 is Monday, UTC"),
}
ATTRIBUTES = {
    "key": Fact("key", "text", label="key of the content"),
    "name": Fact("name", "text", label="name of the content"),
    "tags": Fact("tags", "text_list", label="tags of the content"),
    "value": Fact("value", "number", label="worth of one conversion"),
    "stock": Fact("stock", "number", label="how many there are"),
    "margin": Fact("margin", "number", label="share of its worth that is earned"),
}


def current() -> Catalogue:
    """The names a text saved now may use: facts, segments, contents, tags and campaigns as they stand."""
    words = profile.vocabulary()
    segments = Segment.objects.values_list("key", "name")
    contents = list(Content.objects.values_list("key", "tags", "attributes"))
    return Catalogue(
        facts={**catalogue_facts(words), **defining.published().catalogue(), **CONTEXT_FACTS, **built_in()},
        segments={word for pair in segments for word in pair},
        contents={key for key, _, _ in contents},
        tags={tag for _, tags, _ in contents for tag in tags},
        events=dict.fromkeys({*words.event_names, *_recent_events()}),
        campaigns=set(Campaign.objects.values_list("key", flat=True)),
        attributes={**_attributes([attributes for _, _, attributes in contents]), **ATTRIBUTES},
    )


def for_formulas(known: Catalogue | None = None) -> Catalogue:
    """What a custom fact may read: the facts that customers have stored, and events."""
    words = profile.vocabulary()
    return replace(known or current(), facts={**catalogue_facts(words), **defining.published().catalogue()})


def of_the_moment(facts: Mapping[str, Fact]) -> set[str]:
    """The facts that only a request has, so not among `facts`."""
    return CONTEXT_FACTS.keys() - facts.keys()


def holder_of(name: str, but: int = 0) -> str:
    """What has this name already, other than the custom fact with the id `but`; empty where it is free."""
    return holders(profile.vocabulary()).get(name) or (
        "another custom fact" if CustomFact.objects.filter(name=name).exclude(pk=but).exists() else ""
    )


def holders(words: Vocabulary) -> dict[str, str]:
    """Every name that is no custom fact's, and what has it."""
    traits = {name for name, _ in words.traits}
    found = {name: "a trait" if name in traits else "a built-in fact" for name in catalogue_facts(words)}
    found |= dict.fromkeys(CONTEXT_FACTS, "a fact of the moment") | dict.fromkeys(built_in(), "a built-in fact")
    return found


def _recent_events() -> set[str]:
    """Names among the newest events: a new one may be used before the vocabulary is learned again."""
    return set(Event.objects.order_by("-id").values_list("name", flat=True)[:RECENT])


def _attributes(found: list[dict[str, Any]]) -> dict[str, Fact]:
    """The attributes contents carry, typed by what they hold; ones of mixed or nested type cannot be tested."""
    kinds: dict[str, set[str]] = {}
    for attributes in found:
        for name, value in attributes.items():
            kinds.setdefault(name, set()).add(_kind(value))
    return {name: Fact(name, kind.pop()) for name, kind in kinds.items() if len(kind) == 1 and kind != {""}}


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "text_list" if all(isinstance(item, str) for item in value) else ""
    return {bool: "boolean", int: "number", float: "number", str: "text"}.get(type(value), "")
