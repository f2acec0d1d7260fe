"""A key of an imported list and entries in; the list changed, and its segment with it, out."""

from typing import Annotated, Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from msgspec import Meta, Struct

from rules import lists

from ..config import clock
from ..customers.intake.identifiers import KINDS
from ..customers.intake.listing import normalised
from ..customers.intake.strict import Unfit, refuse_nul, unreadable
from ..flows import enlist
from ..flows.contract import Refused
from .encoding import too_large
from .reading import Reading, answered
from .schema import ERROR, WHOLE, record
from .segments import segment_of
from .views import AWAY, ERRORS, KEY

MOST_ENTRIES: Final = 10_000
LARGEST: Final = 2 * 1024 * 1024
NO_LIST = {409: OpenApiResponse(ERROR, "The segment is no imported list; the message says the cure.")}
ENTRIES: dict[str, Any] = {
    "type": "array",
    "maxItems": MOST_ENTRIES,
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
    "description": "One of the two; the other is missing, or empty.",
    "oneOf": [
        {"required": [one], "properties": {one: {"minItems": 1}, other: {"maxItems": 0}}}
        for one, other in (("add", "remove"), ("remove", "add"))
    ],
    "properties": {"add": ENTRIES, "remove": ENTRIES},
}
CHANGED: dict[str, Any] = record(added=WHOLE, removed=WHOLE, entered=WHOLE, left=WHOLE, entries=WHOLE)


class Entry(Struct, forbid_unknown_fields=True, frozen=True):
    """One identifier: its kind, or `customer` for a customer's key, and its value."""

    kind: Annotated[str, Meta(max_length=20)]
    value: Annotated[str, Meta(min_length=1, max_length=200)] | int


Entries = Annotated[list[Entry], Meta(max_length=MOST_ENTRIES)]


class Replacement(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `PUT …/list`: all that is on the list from now on."""

    entries: Entries


class Changes(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `PATCH …/list`: what comes onto the list, or what goes from it."""

    add: Entries = []
    remove: Entries = []


_replacement, _changes = msgspec.json.Decoder(Replacement), msgspec.json.Decoder(Changes)


class ListView(Reading):
    scopes = {"put": "lists", "patch": "lists"}

    @extend_schema(
        operation_id="replace_list",
        summary="Replace an imported list",
        request={"application/json": REPLACEMENT},
        responses={
            200: OpenApiResponse(CHANGED, "The list is as sent, and its segment follows it."),
            **NO_LIST,
            **ERRORS,
            **AWAY,
        },
        auth=KEY,
    )
    def put(self, request: HttpRequest, key: str) -> HttpResponse:
        """All or nothing; the same again changes nothing."""
        entries = _body(request, _replacement).entries
        return _changed(request, key, lists.Mode.REPLACE, entries)

    @extend_schema(
        operation_id="change_list",
        summary="Add to an imported list, or take off it",
        request={"application/json": CHANGES},
        responses={
            200: OpenApiResponse(CHANGED, "The list is changed, and its segment follows it."),
            **NO_LIST,
            **ERRORS,
            **AWAY,
        },
        auth=KEY,
    )
    def patch(self, request: HttpRequest, key: str) -> HttpResponse:
        """What is added that is there already, or taken off that is not, changes nothing."""
        return _changed(request, key, *wanted(_body(request, _changes)))


def wanted(asked: Changes) -> tuple[str, list[Entry]]:
    """What is to be done with which entries. Raises Refused unless it is one of the two."""
    if bool(asked.add) == bool(asked.remove):
        raise Refused(400, "invalid_request", "Send entries in 'add' or in 'remove', one of the two.")
    return lists.Mode.ADD if asked.add else lists.Mode.REMOVE, asked.add or asked.remove


def _body(request: HttpRequest, decoder: Any) -> Any:
    raw = request.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise too_large(LARGEST)
    try:
        refuse_nul(raw)
        return decoder.decode(raw)
    except Unfit as error:
        raise Refused(400, "invalid_request", error.message) from None
    except (ValueError, RecursionError) as error:
        raise Refused(400, "invalid_request", unreadable(error, raw).message) from None


def _changed(request: HttpRequest, key: str, mode: str, entries: list[Entry]) -> HttpResponse:
    segment = segment_of(key)
    pairs = [_pair(place, entry) for place, entry in enumerate(entries)]
    try:
        done = enlist.change(segment.pk, mode, pairs, "the API", clock.now())
    except enlist.NotPossible as reason:
        raise Refused(409, "no_list", str(reason)) from None
    counts = {"added": done.changed.added, "removed": done.changed.removed, "entered": done.entered, "left": done.left}
    return answered(request, {**counts, "entries": lists.count(segment.pk)})


def _pair(place: int, entry: Entry) -> lists.Pair:
    try:
        return normalised(entry.kind, entry.value)
    except Unfit as error:
        raise Refused(400, "invalid_identifier", f"Entry {place} (the first is 0): {error.message}") from None
