"""A question and where it came from in; the question with that place in its context, where it has none, out."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .contract import DecideRequest


class Origin(NamedTuple):
    """Where a request came from: its place as JSON text, "" when unknown, and what tells the place of an address."""

    place: str = ""
    locate: Callable[[str], str] | None = None


NOWHERE = Origin()


def placed(request: DecideRequest, origin: Origin) -> DecideRequest:
    """The request with `context.location`: from the address in `context.ip` if it gives one, else its origin's."""
    if origin.locate is None or request.context.get("location"):
        return request
    given = request.context.get("ip")
    place = origin.locate(given) if isinstance(given, str) and given else origin.place
    if not place:
        return request
    return msgspec.structs.replace(request, context={**request.context, "location": msgspec.json.decode(place)})
