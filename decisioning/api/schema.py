"""msgspec's types in; the JSON schemas that OpenAPI shows, out. Source: https://spec.openapis.org/oas/v3.1.0"""

from typing import Any

import msgspec

from ..customers.intake.incoming import Incoming
from ..flows.contract import Core

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
OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
# Properties, traits and context are kept as they come, so their type says nothing of them.
EVENT: dict[str, Any] = described(Incoming)
EVENT["properties"] |= {"properties": OBJECT, "traits": OBJECT, "context": OBJECT}
TRACKING_BODY: dict[str, Any] = {
    "oneOf": [
        EVENT,
        {
            "type": "object",
            "required": ["batch"],
            "properties": {
                "batch": {"type": "array", "items": EVENT},
                "sentAt": {"type": "string", "format": "date-time"},
                "writeKey": {"type": "string"},
            },
        },
    ]
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
