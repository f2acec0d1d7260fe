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


ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["request_id", "cache", "took_ms", "decision"],
    "properties": {
        "request_id": {"type": "string"},
        "cache": {"type": "string", "enum": ["hit", "miss"]},
        "took_ms": {"type": "number"},
        "decision": described(Core),
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
