"""Segments over REST: a key in; what there are, who is in, who came and went, out."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from rules import history, movements, roster
from rules.models import Segment

from ..config import clock
from ..flows.contract import Refused
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
    number_of,
    place_of,
    wrong_cursor,
)
from .schema import HISTORY, MEMBERS, SEGMENT, SEGMENTS
from .views import AWAY, ERRORS, KEY

DAY: Final = timedelta(days=1)
CSV, JSON = "text/csv", "application/json"
SAFE = OpenApiParameter(
    "safe",
    {"type": "integer", "enum": [0, 1]},
    description="CSV: 0 leaves text as it is that a spreadsheet would run; 1 when not said.",
)


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
            SAFE,
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
        segment, safe = segment_of(key), number_of(request.GET, "safe", 1)
        if safe not in (0, 1):
            raise Refused(400, "invalid_parameter", "'safe' is 0 or 1.")
        if request.get_preferred_type([JSON, CSV]) == CSV:
            return _csv(segment, safe=bool(safe))
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
