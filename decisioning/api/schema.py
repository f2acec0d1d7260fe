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
        "attributed": {
            "type": "boolean",
            "description": "Of an outcome: whether it counts: within its window, not before its decision.",
        },
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
_HELD: dict[str, Any] = {**OBJECT, "type": ["object", "null"]}
_PASSED: dict[str, Any] = {"description": "Passed over in this call."}
# Properties, traits and context are kept as they come, so their type says nothing of them.
EVENT: dict[str, Any] = described(Incoming)
EVENT["properties"] |= {"properties": _HELD, "traits": _HELD, "context": _HELD}
EVENT["required"] = ["messageId"]
# What the address itself does not say and cannot be done without, by type.
ALSO: dict[str, list[str]] = {"track": ["event"], "alias": ["previousId"]}
# Which of the two is read; of an alias none is.
READ: dict[str, str] = {"identify": "traits", "group": "traits", "alias": ""}
# Clients send null and "" for who is not known; somebody has to be named all the same.
_ID: dict[str, Any] = {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "integer"}, {"type": "null"}]}
_SAID: dict[str, Any] = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "integer"}]}
_NAMED: dict[str, Any] = {
    "messageId": {"type": "string", "minLength": 1, "maxLength": 300},
    "userId": _ID,
    "anonymousId": _ID,
    "previousId": _ID,
}
_BY_ID: list[dict[str, Any]] = [{"required": [way], "properties": {way: _SAID}} for way in ("userId", "anonymousId")]
# E-mail, phone, loyalty id and device name somebody too; see the page on events.
_BY_CONTEXT: dict[str, Any] = {"required": ["context"], "properties": {"context": {"type": "object"}}}
_BY_TRAITS: dict[str, Any] = {"required": ["traits"], "properties": {"traits": {"type": "object"}}}


def event_of(kind: str) -> dict[str, Any]:
    """The body of a call with one event, whose type is that of the address whatever the body says."""
    required, read = ["messageId", *ALSO.get(kind, [])], READ.get(kind, "properties")
    named: dict[str, Any] = {name: _PASSED for name in ("properties", "traits") if name != read}
    if kind == "track":
        named["event"] = {"type": "string", "minLength": 1, "maxLength": 200}
    if kind == "alias":
        named["previousId"] = _SAID
    whom = [*_BY_ID, _BY_CONTEXT, *([_BY_TRAITS] if kind == "identify" else [])]
    properties = {**EVENT["properties"], **_NAMED, **named}
    return {**EVENT, "required": required, "properties": properties, "anyOf": whom}


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
                "anyOf": [*_BY_ID, _BY_CONTEXT, _BY_TRAITS],
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


def record(**properties: Any) -> dict[str, Any]:
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
SEGMENT: dict[str, Any] = record(
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
SEGMENTS: dict[str, Any] = record(segments=_list(SEGMENT))
MEMBERS: dict[str, Any] = record(members=_list(record(customer_id=TEXT, entered_at=MOMENT, **WHY)), next=NEXT)
HISTORY: dict[str, Any] = record(
    movements=_list(
        record(customer_id=TEXT, what={"type": "string", "enum": ["entered", "left"]}, at=MOMENT, **WHY),
    ),
    next=NEXT,
)
FACTS: dict[str, Any] = record(
    facts=_list(
        record(
            name=TEXT,
            type=TEXT,
            label=TEXT,
            description=TEXT,
            of={"type": "string", "enum": ["customer", "moment"]},
        )
    )
)
CUSTOMER_FACTS: dict[str, Any] = record(
    customer_id=TEXT, facts_at={"type": ["string", "null"], "format": "date-time"}, facts=OBJECT
)
CUSTOMER_SEGMENTS: dict[str, Any] = record(
    customer_id=TEXT, segments=_list(record(key=TEXT, name=TEXT, entered_at=MOMENT, **WHY))
)
