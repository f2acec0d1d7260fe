"""msgspec's types in; the JSON schemas that OpenAPI shows, out. Source: https://spec.openapis.org/oas/v3.1.0"""

from typing import Any

import msgspec

from ..customers.intake.identifiers import KINDS
from ..customers.intake.incoming import Incoming
from ..flows.contract import Core, DecideRequest

ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["success"],
    "properties": {
        "success": {"type": "boolean"},
        "attributed": {"type": "boolean", "description": "Of an outcome: whether it came within its window."},
        "added": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
REFUSED: dict[str, Any] = {
    **ERROR,
    "properties": {
        **ERROR["properties"],
        "success": {"type": "boolean", "enum": [False]},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "errors": RECEIPT["properties"]["errors"],
    },
}


def described(kind: type) -> dict[str, Any]:
    """A type's JSON schema with every reference put in place, as a schema that stands alone."""
    schema = msgspec.json.schema(kind)
    definitions = schema.pop("$defs", {})
    return _inline(schema, definitions)


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _inline(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
        return {key: _inline(value, definitions) for key, value in node.items()}
    if isinstance(node, list):
        return [_inline(value, definitions) for value in node]
    return node


_CORE = described(Core)
ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["request_id", "cache", "took_ms", *_CORE["required"]],
    "properties": {
        "request_id": {"type": "string"},
        "cache": {"type": "string", "enum": ["hit", "miss"]},
        "took_ms": {"type": "number"},
        **_CORE["properties"],
    },
}
DECIDE: dict[str, Any] = described(DecideRequest)
_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_NAMES = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": dict.fromkeys(KINDS, _NAME),
}
DECIDE["properties"]["identifiers"] = {"anyOf": [_NAMES, {"type": "null"}]}
# For whom is said in exactly one of these ways; null is as good as nothing.
DECIDE["oneOf"] = [
    {"required": [way], "properties": {way: {"type": kind}}}
    for way, kind in (("customer_id", "string"), ("anonymous_id", "string"), ("identifiers", "object"))
]
OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
# Properties, traits and context are kept as they come, so their type says nothing of them.
EVENT: dict[str, Any] = described(Incoming)
EVENT["properties"] |= {"properties": OBJECT, "traits": OBJECT, "context": OBJECT}
EVENT["required"] = ["messageId"]
# What the address itself does not say and cannot be done without, by type.
ALSO: dict[str, list[str]] = {"track": ["event"], "alias": ["previousId", "userId"]}
_ID: dict[str, Any] = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "integer"}]}
_NAMED: dict[str, Any] = {
    "messageId": {"type": "string", "minLength": 1, "maxLength": 300},
    "userId": _ID,
    "anonymousId": _ID,
    "previousId": _ID,
}
_WHOM: dict[str, Any] = {"anyOf": [{"required": ["userId"]}, {"required": ["anonymousId"]}]}


def event_of(kind: str) -> dict[str, Any]:
    """The body of a call with one event, whose type is that of the address whatever the body says."""
    required = ["messageId", *ALSO.get(kind, [])]
    named = {"event": {"type": "string", "minLength": 1, "maxLength": 200}} if kind == "track" else {}
    return {**EVENT, "required": required, "properties": {**EVENT["properties"], **_NAMED, **named}, **_WHOM}


BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {
            "type": "array",
            "minItems": 1,
            "items": {
                **EVENT,
                "required": ["messageId", "type"],
                "properties": {**EVENT["properties"], **_NAMED},
                **_WHOM,
            },
        },
        "sentAt": {"type": "string", "format": "date-time"},
        "writeKey": {"type": "string"},
    },
}
CLOUDEVENT: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": {"type": "string"},
        "source": {"type": "string"},
        "type": {"type": "string"},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "anonymousid": {"type": "string"},
        "data": OBJECT,
    },
}
CLOUDEVENTS: dict[str, Any] = {
    "application/cloudevents+json": CLOUDEVENT,
    "application/cloudevents-batch+json": {"type": "array", "items": CLOUDEVENT},
    "application/json": OBJECT,
}


def _record(**properties: Any) -> dict[str, Any]:
    """An object that always has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


TEXT: dict[str, Any] = {"type": "string"}
WHOLE: dict[str, Any] = {"type": "integer"}
MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
NEXT: dict[str, Any] = {"type": ["string", "null"], "description": "What to send as `after` for more; null at the end."}
# How somebody came or went: event, time, edit, refresh, clustering, import or merge; and by what exactly.
WHY: dict[str, Any] = {"how": TEXT, "by": TEXT}
SEGMENT: dict[str, Any] = _record(
    key=TEXT,
    name=TEXT,
    kind={"type": "string", "enum": ["condition", "cluster", "list"]},
    active={"type": "boolean"},
    size=WHOLE,
    refreshed_at={"type": ["string", "null"], "format": "date-time"},
    description=TEXT,
    story=TEXT,
    condition={"type": ["string", "null"]},
)
SEGMENTS: dict[str, Any] = _record(segments=_list(SEGMENT))
MEMBERS: dict[str, Any] = _record(members=_list(_record(customer_id=TEXT, entered_at=MOMENT, **WHY)), next=NEXT)
HISTORY: dict[str, Any] = _record(
    movements=_list(
        _record(customer_id=TEXT, what={"type": "string", "enum": ["entered", "left"]}, at=MOMENT, **WHY),
    ),
    next=NEXT,
)
ENTRIES: dict[str, Any] = {
    "type": "array",
    "maxItems": 10_000,
    "items": {
        "type": "object",
        "required": ["kind", "value"],
        "additionalProperties": False,
        "properties": {
            "kind": {"type": "string", "enum": ["customer", *KINDS]},
            "value": {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "integer"}]},
        },
    },
}
REPLACEMENT: dict[str, Any] = {
    "type": "object",
    "required": ["entries"],
    "additionalProperties": False,
    "properties": {"entries": ENTRIES},
}
CHANGES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "One of the two.",
    "oneOf": [{"required": ["add"]}, {"required": ["remove"]}],
    "properties": {"add": {**ENTRIES, "minItems": 1}, "remove": {**ENTRIES, "minItems": 1}},
}
CHANGED: dict[str, Any] = _record(added=WHOLE, removed=WHOLE, entered=WHOLE, left=WHOLE, entries=WHOLE)
FACTS: dict[str, Any] = _record(
    facts=_list(
        _record(
            name=TEXT,
            type=TEXT,
            label=TEXT,
            description=TEXT,
            of={"type": "string", "enum": ["customer", "moment"]},
        )
    )
)
CUSTOMER_FACTS: dict[str, Any] = _record(
    customer_id=TEXT, facts_at={"type": ["string", "null"], "format": "date-time"}, facts=OBJECT
)
CUSTOMER_SEGMENTS: dict[str, Any] = _record(
    customer_id=TEXT, segments=_list(_record(key=TEXT, name=TEXT, entered_at=MOMENT, **WHY))
)
