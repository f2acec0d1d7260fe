"""Segments over REST: what there are, who is in, who came and went, and imported lists changed from outside."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from msgspec import Meta, Struct

from rules import history, lists, movements, roster
from rules.models import Segment

from ..config import clock
from ..customers.intake.listing import normalised
from ..customers.intake.strict import Unfit, refuse_nul, unreadable
from ..flows import enlist
from ..flows.contract import Refused
from .encoding import too_large
from .reading import (
    AFTER,
    LIMIT,
    NUL,
    TAGS,
    UNCHANGED,
    Reading,
    answered,
    cursor_of,
    limit_of,
    moment_of,
    place_of,
    wrong_cursor,
)
from .schema import CHANGED, CHANGES, ERROR, HISTORY, MEMBERS, REPLACEMENT, SEGMENT, SEGMENTS
from .views import AWAY, ERRORS, KEY

DAY: Final = timedelta(days=1)
MOST_ENTRIES: Final = 10_000
LARGEST: Final = 2 * 1024 * 1024
NO_LIST = {409: OpenApiResponse(ERROR, "The segment is no imported list; the message says the cure.")}
CSV, JSON = "text/csv", "application/json"


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


def segment_of(key: str) -> Segment:
    """The segment with this key. Raises Refused."""
    found = None if NUL in key else Segment.objects.filter(key=key).first()
    if found is None:
        raise Refused(404, "unknown_segment", f"There is no segment {key[:100]!r}; GET /v1/segments lists them all.")
    return found


def told(row: Segment) -> dict[str, Any]:
    """A segment as the API shows it."""
    return {
        "key": row.key,
        "name": row.name,
        "kind": row.kind,
        "active": row.active,
        "size": row.size,
        "refreshed_at": row.refreshed_at,
        "description": row.description,
        "story": row.story,
        "condition": row.condition if row.kind == Segment.Kind.CONDITION else None,
    }


class SegmentsView(Reading):
    @extend_schema(
        operation_id="list_segments",
        summary="All segments",
        parameters=TAGS,
        responses={200: OpenApiResponse(SEGMENTS, "By key."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        """With their sizes as last counted, seconds ago; `refreshed_at` is when all members were found anew."""
        return answered(request, {"segments": [told(row) for row in Segment.objects.order_by("key")]})


class SegmentView(Reading):
    @extend_schema(
        operation_id="read_segment",
        summary="One segment",
        parameters=TAGS,
        responses={200: OpenApiResponse(SEGMENT, "The segment."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        """The same as in the list of all."""
        return answered(request, told(segment_of(key)))


class MembersView(Reading):
    @extend_schema(
        operation_id="list_members",
        summary="Who is in a segment",
        parameters=[
            *TAGS,
            AFTER,
            LIMIT,
            OpenApiParameter("safe", int, description="CSV: 0 leaves text as it is that a spreadsheet would run."),
        ],
        responses={
            (200, JSON): OpenApiResponse(MEMBERS, "A page."),
            (200, CSV): OpenApiResponse(OpenApiTypes.STR, "All members, streamed."),
            **UNCHANGED,
            **ERRORS,
            **AWAY,
        },
        auth=KEY,
    )
    def get(self, request: HttpRequest, key: str) -> HttpResponseBase:
        """A page at a time, or with `Accept: text/csv` everybody in one file.

        Whoever stays is on exactly one page, whoever else comes and goes meanwhile.
        """
        segment = segment_of(key)
        if request.get_preferred_type([JSON, CSV]) == CSV:
            return _csv(segment, safe=request.GET.get("safe") != "0")
        try:
            page = history.members(segment.pk, place_of(request.GET), limit_of(request.GET))
        except ValueError:
            raise wrong_cursor() from None
        members = [
            {
                "customer_id": one.customer.key,
                "entered_at": one.entered_at,
                "how": one.entered_how,
                "by": one.entered_by,
            }
            for one in page.stays
        ]
        return answered(request, {"members": members, "next": cursor_of(page.after) or None})


def _csv(segment: Segment, safe: bool) -> StreamingHttpResponse:
    header = ["customer_id", "entered_at", "why"]
    body: Iterator[bytes] = roster.lines(header, roster.rows(segment.pk, roster.BASIC), mark=False, safe=safe)
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept"}
    return StreamingHttpResponse(body, content_type="text/csv; charset=utf-8", headers=headers)


class HistoryView(Reading):
    @extend_schema(
        operation_id="list_movements",
        summary="Who entered and left a segment",
        parameters=[
            *TAGS,
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="The first moment; a day ago when not said."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="The moment behind the last; now when not said."),
            AFTER,
            LIMIT,
        ],
        responses={200: OpenApiResponse(HISTORY, "A page."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        """In the order it happened, with the reasons. `next` is there as long as there is more."""
        segment, now = segment_of(key), clock.now()
        until, limit = moment_of(request.GET, "to", now + timedelta(seconds=1)), limit_of(request.GET)
        since = moment_of(request.GET, "from", min(now, until) - DAY)
        try:
            text = place_of(request.GET)
            after = movements.mark_of(text) if text else None
        except ValueError:
            raise wrong_cursor() from None
        found = movements.between(segment.pk, since, until, limit + 1, after)
        moves = [
            {"customer_id": one.customer, "what": one.what, "at": one.mark.at, "how": one.how, "by": one.by}
            for one in found[:limit]
        ]
        follows = cursor_of(found[limit - 1].mark.text()) if len(found) > limit else None
        return answered(request, {"movements": moves, "next": follows})


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
        wanted = _body(request, _changes)
        if bool(wanted.add) == bool(wanted.remove):
            raise Refused(400, "invalid_request", "Send entries in 'add' or in 'remove', one of the two.")
        mode = lists.Mode.ADD if wanted.add else lists.Mode.REMOVE
        return _changed(request, key, mode, wanted.add or wanted.remove)


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
