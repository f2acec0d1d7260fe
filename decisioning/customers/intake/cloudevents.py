"""A CloudEvent's members in; the same event in the Segment Spec's shape out. Pure.

Source: CloudEvents 1.0.2, https://github.com/cloudevents/spec (JSON format, HTTP protocol binding).

| CloudEvent | event |
|---|---|
| `source` and `id` | `messageId`, since the two together are unique |
| `type` | the event's name, or identify, page, screen, group, alias where it is one of these words |
| `subject` | `userId` |
| `time` | `timestamp` |
| `data` | properties; of identify and group the traits |
| extension `anonymousid`, `historical` | `anonymousId`, `context.historical` |
"""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from .strict import Unfit, read

VERSIONS = ("1.0",)
OTHER_TYPES = ("identify", "page", "screen", "group", "alias")
JSON_TYPES = ("application/json", "text/json")


def translated(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event in our shape. Raises Unfit where a required attribute is missing or the data is no JSON object."""
    if event.get("specversion") not in VERSIONS:
        raise Unfit("specversion", f"This CloudEvents version is not known; use {VERSIONS[-1]}.")
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise Unfit("cloudevent", f"The CloudEvent has no '{name}', which is required.")
    message_id = f"{event['source']} {event['id']}"
    if len(message_id) > 300:
        raise Unfit("cloudevent", "source and id are longer than 300 characters together.")
    data = _data(event)
    made: dict[str, Any] = {
        "messageId": message_id,
        "userId": event.get("subject"),
        "anonymousId": event.get("anonymousid"),
        "timestamp": event.get("time"),
        "context": {"cloudevent": {name: event[name] for name in ("source", "dataschema") if name in event}},
    }
    # In a header it is text, and some clients write it as Python does.
    if str(event.get("historical", "")).lower() == "true":
        made["context"]["historical"] = True
    if event["type"] not in OTHER_TYPES:
        return {**made, "type": "track", "event": event["type"], "properties": data}
    named: dict[str, Any] = {name: data[name] for name in ("groupId", "previousId", "name") if name in data}
    return {**made, **named, "type": event["type"], "properties": data, "traits": data}


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    """`data`, or what `data_base64` holds, as an object."""
    data = event.get("data")
    if "data_base64" in event:
        try:
            data = read(b64decode(event["data_base64"], validate=True))[0]
        except (TypeError, ValueError) as error:
            raise Unfit("cloudevent", f"'data_base64' holds no JSON in Base64: {error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Unfit("cloudevent", "The CloudEvent's data is no JSON object; send {…} as application/json.")
    return data


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether a request carries a CloudEvent's attributes in its headers (lower-case names)."""
    return "ce-specversion" in headers


def joined(headers: Mapping[str, str], body: bytes) -> bytes:
    """The structured form of a request in binary mode. Raises Unfit when its body is no JSON."""
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower() or "application/json"
    if body and kind not in JSON_TYPES and not kind.endswith("+json"):
        raise Unfit("cloudevent", f"The CloudEvent's data is {kind[:100]}; send application/json.")
    names = {name[3:]: unquote(text) for name, text in headers.items() if name.startswith("ce-")}
    event: dict[str, Any] = dict(names)
    if body:
        read(body)
        event["data"] = msgspec.Raw(body)
    return msgspec.json.encode(event)
