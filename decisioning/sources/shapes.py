"""A column's name in, the field of an event, customer, content or decision that it means without a mapping out. Pure.

Names are compared without case, blanks, "_" and "-", so `userId`, `user_id` and "User ID" are one. Besides the
Segment Spec's own names those of warehouse tables are known. Source:
https://segment.com/docs/connections/storage/warehouses/schema/
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

Path = tuple[str, ...]

# Where columns go that have no place of their own; each kind of import decides what that is.
REST: Final = "*"
NOT_IN_NAMES: Final = re.compile(r"[\s_-]+")
# Columns of warehouses whose second word opens an object: context_page_url is context.page.url.
CONTEXT_PARTS: Final = frozenset(
    {"app", "campaign", "device", "library", "location", "network", "os", "page", "referrer", "screen", "traits"}
)
# Text even where a file says a number: leading zeros and signs matter.
TEXTS: Final = frozenset(
    {("traits", "phone"), ("traits", "loyalty_id"), ("traits", "loyaltyId"), ("context", "device", "id")}
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What an import makes of a row."""

    name: str
    # Field → kind of its value (`values.KINDS`).
    fields: Mapping[str, str]
    # Fields with names of their own below them: properties.total.
    parts: frozenset[str]
    # Field → column names that mean it, the best first.
    names: Mapping[str, tuple[str, ...]]
    ignored: frozenset[str] = frozenset()
    # Kinds of what stands below a part.
    below: Mapping[str, str] = field(default_factory=dict)

    def kind(self, path: Path) -> str:
        """The kind of value this field holds."""
        if len(path) == 1:
            return self.fields.get(path[0], "auto")
        return "text" if path in TEXTS else self.below.get(path[0], "auto")


EVENTS: Final = Shape(
    "events",
    {
        "messageId": "text",
        "type": "text",
        "event": "text",
        "name": "text",
        "userId": "text",
        "anonymousId": "text",
        "groupId": "text",
        "previousId": "text",
        "timestamp": "moment",
        "properties": "json",
        "traits": "json",
        "context": "json",
    },
    frozenset({"properties", "traits", "context"}),
    {
        "messageId": ("messageid", "id"),
        "type": ("type",),
        # A warehouse keeps the name as it was sent in event_text, and one fit for a table in event.
        "event": ("eventtext", "event", "eventname"),
        "userId": ("userid",),
        "anonymousId": ("anonymousid",),
        "groupId": ("groupid",),
        "previousId": ("previousid",),
        "timestamp": ("timestamp", "originaltimestamp", "receivedat"),
    },
    # When a client sent it says nothing about its clock once it lies in a file.
    frozenset({"sentat", "uuidts", "loadedat", "version", "channel", "writekey", "integrations", "rudderid"}),
)

CUSTOMERS: Final = Shape(
    "customers",
    {
        "messageId": "text",
        "userId": "text",
        "anonymousId": "text",
        "timestamp": "moment",
        "traits": "json",
        "context": "json",
        "consent": "boolean",
        "consent_at": "moment",
    },
    frozenset({"traits", "context", "consent", "consent_at"}),
    {
        "messageId": ("messageid",),
        "userId": ("userid", "key", "customerid", "id"),
        "anonymousId": ("anonymousid",),
        "timestamp": ("timestamp", "updatedat", "originaltimestamp", "receivedat"),
        "consent_at": ("consentat",),
        "traits.loyalty_id": ("loyaltyid",),
        "traits.email": ("email",),
        "traits.phone": ("phone",),
        "context.device.id": ("deviceid",),
    },
    frozenset({"sentat", "uuidts", "loadedat"}),
    {"consent": "boolean", "consent_at": "moment"},
)

CONTENTS: Final = Shape(
    "contents",
    {
        "key": "text",
        "name": "text",
        "body": "json",
        "attributes": "json",
        "tags": "list",
        "value": "number",
        "placements": "list",
        "default_for": "list",
        "starts_at": "moment",
        "ends_at": "moment",
        "active": "boolean",
    },
    frozenset({"body", "attributes"}),
    {
        "key": ("key", "contentkey", "id", "sku"),
        "name": ("name", "title"),
        "tags": ("tags",),
        "value": ("value",),
        "placements": ("placements",),
        "default_for": ("defaultfor",),
        "starts_at": ("startsat", "starts"),
        "ends_at": ("endsat", "ends"),
        "active": ("active",),
    },
)

DECISIONS: Final = Shape(
    "decisions",
    {
        "decision_id": "text",
        "customer": "text",
        "userId": "text",
        "anonymousId": "text",
        "at": "moment",
        "placement": "text",
        "content": "text",
        "rank": "number",
        "propensity": "number",
        "policy": "text",
        "value": "number",
        "outcome": "json",
        "context": "json",
        "facts": "json",
        "items": "list",
        "candidates": "list",
    },
    frozenset({"outcome", "context", "facts"}),
    {
        "decision_id": ("decisionid", "id", "impressionid"),
        "userId": ("userid", "customer", "customerid", "customerkey"),
        "anonymousId": ("anonymousid",),
        "at": ("at", "timestamp", "shownat"),
        "placement": ("placement", "slot"),
        "content": ("content", "contentkey", "itemid", "item"),
        "rank": ("rank", "position"),
        "propensity": ("propensity", "propensityscore"),
        "policy": ("policy",),
        "value": ("value",),
        "outcome.impression": ("outcomeimpression", "impression"),
        "outcome.click": ("outcomeclick", "click", "clicked"),
        "outcome.conversion": ("outcomeconversion", "conversion", "converted"),
        "items": ("items",),
        "candidates": ("candidates",),
    },
)

SHAPES: Final = {shape.name: shape for shape in (EVENTS, CUSTOMERS, CONTENTS, DECISIONS)}


@lru_cache(maxsize=10_000)
def _standard(shape_name: str, column: str) -> tuple[Path, int] | None:
    shape = SHAPES[shape_name]
    head, *below = column.strip().split(".")
    part = next((name for name in shape.parts if plain(name) == plain(head)), None)
    if part and below:
        return (part, *below), 0
    name = plain(column)
    for target, names in shape.names.items():
        if name in names:
            return tuple(target.split(".")), names.index(name)
    if part:
        return (part,), 0
    if "context" in shape.parts and column.lower().startswith("context_"):
        return ("context", *_context(column[len("context_") :])), 0
    return None if not name or name in shape.ignored else ((REST, column.strip()), 0)


def standard(shape: Shape, column: str) -> tuple[Path, int] | None:
    """The path that a column means and how far down the list of its names it stands; None where it is passed over."""
    return _standard(shape.name, column)


def plain(name: str) -> str:
    """A name as it is compared."""
    return NOT_IN_NAMES.sub("", name).casefold()


def _context(rest: str) -> Path:
    first, _, then = rest.partition("_")
    return (first, _camel(then)) if then and first in CONTEXT_PARTS else (_camel(rest),)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
