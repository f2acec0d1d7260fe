"""Database rows in; the catalogue out that rules, segments and audiences are checked against when saved."""

from typing import Any

from campaigns.models import Campaign, Content
from rules.language.facts import Catalogue, Fact, built_in
from rules.models import Segment

from ..customers import profile
from ..customers.facts.catalogue import catalogue_facts
from ..customers.models import Event
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
}


def current() -> Catalogue:
    """The names a text saved now may use: facts, segments, contents, tags and campaigns as they stand."""
    words = profile.vocabulary()
    segments = Segment.objects.values_list("key", "name")
    contents = list(Content.objects.values_list("key", "tags", "attributes"))
    return Catalogue(
        facts={**catalogue_facts(words), **CONTEXT_FACTS, **built_in()},
        segments={word for pair in segments for word in pair},
        contents={key for key, _, _ in contents},
        tags={tag for _, tags, _ in contents for tag in tags},
        events=dict.fromkeys({*words.event_names, *_recent_events()}),
        campaigns=set(Campaign.objects.values_list("key", flat=True)),
        attributes={**_attributes([attributes for _, _, attributes in contents]), **ATTRIBUTES},
    )


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
