"""An event's context and who sent it in; the context's text with the place it came from out. Pure.

A sender that names the customer's address (`context.ip`) is believed. The address of the request itself is the
customer's only where their own browser or app sends; elsewhere it is that of somebody's server.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from .incoming import Sender

# Segment's and RudderStack's words for where an event was sent from.
OWN: Final = {"browser": True, "web": True, "mobile": True, "server": False}
_encode = msgspec.json.Encoder().encode


def place_of(event: Mapping[str, Any], context: Mapping[str, Any], sender: Sender) -> str:
    """The place of one event as JSON text, "" where it is not known.

    A given `context.ip` decides alone: who sends "0.0.0.0", as privacy settings do, wants no place.
    """
    given = context.get("ip")
    if type(given) is str and given and sender.locate is not None:
        return sender.locate(given)
    channel = event.get("channel") or context.get("channel")
    own = OWN.get(channel, sender.own) if type(channel) is str else sender.own
    return sender.place if own else ""


def located(text: str, context: Mapping[str, Any], place: str) -> str:
    """A context's JSON text with this place as its `location`; as it is where there is none, or it has one already."""
    if not place or context.get("location"):
        return text
    if "location" in context:
        return _encode({**context, "location": msgspec.Raw(place.encode())}).decode()
    return f'{{"location":{place},{text[1:]}' if context else f'{{"location":{place}}}'
