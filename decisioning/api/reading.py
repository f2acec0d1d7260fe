"""A request that reads, or changes a little, in; its key checked, its parameters read, its answer with a tag, out."""

import hashlib
import math
import re
from base64 import b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import QueryDict
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.views import APIView

from ..flows.contract import Refused
from ..store.snapshot import holder
from .keys import allow

METHODS: Final = ("get", "post", "put", "patch")
SAFE: Final = ("GET", "HEAD")
MOST: Final = 1000
NUL: Final = "\0"  # in no text that PostgreSQL holds: who asks for a name with it asks for nothing there is
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)
# RFC 8259, section 6: what Python's float() takes beside it, such as "1_0", " 5 " or "nan", is no number here.
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": MOST}, description="How many at most; 100 when not said."
)
HELD = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of the last answer.")
TAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Names this answer.")
TAGS = [HELD, TAG]
UNCHANGED = {304: OpenApiResponse(description="What the tag names is still the answer.")}
AFTER = OpenApiParameter("after", str, description="`next` of the page before.")


class Reading(APIView):
    """Answers by the method of the request's name; what is refused is answered in the API's own words."""

    scopes: ClassVar[dict[str, str]] = {}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        method = (request.method or "").lower().replace("head", "get")
        known = [name for name in METHODS if hasattr(self, name)]
        try:
            if method not in known:
                raise Refused(405, "method_not_allowed", f"Use {' or '.join(map(str.upper, known))}.")
            allow_(request, self.scopes.get(method, "read"))
            answer: HttpResponseBase = getattr(self, method)(request, **kwargs)
            return answer
        except Refused as error:
            return refused(error, known)
        except (OperationalError, InterfaceError):
            away = Refused(503, "unavailable", "The database is away. Send the same request again later.")
            return refused(away, known)


def allow_(request: HttpRequest, scope: str) -> None:
    """Raise Refused unless the key may do this."""
    holder.start()
    headers = {name: request.headers.get(name, "") for name in ("authorization", "x-api-key")}
    allow(headers, holder.current, scope, datetime.now(UTC))


def refused(error: Refused, methods: list[str]) -> HttpResponse:
    """The error as an answer, with the header that its status asks for."""
    headers = {
        401: {"WWW-Authenticate": 'Bearer realm="decisioning"'},
        405: {"Allow": ", ".join(methods).upper()},
        503: {"Retry-After": "1"},
    }.get(error.status, {})
    return HttpResponse(error.body(), status=error.status, content_type="application/json", headers=headers)


def answered(request: HttpRequest, body: Any) -> HttpResponse:
    """The body as JSON, or 304 where a client that only reads has the same already (RFC 9110, 13.1.2)."""
    raw = msgspec.json.encode(body)
    tag = f'"{hashlib.blake2b(raw, digest_size=12).hexdigest()}"'
    held = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, X-API-Key"}
    if request.method in SAFE and (tag in held or "*" in held):
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(raw, content_type="application/json", headers=headers)


def limit_of(query: QueryDict, usual: int = 100) -> int:
    """How many the client wants."""
    found = number_of(query, "limit", usual)
    if not (1 <= found <= MOST and found.is_integer()):
        raise Refused(400, "invalid_parameter", f"'limit' is a whole number from 1 to {MOST}.")
    return int(found)


def number_of(query: QueryDict, name: str, usual: float) -> float:
    """A number of the query, written as JSON writes numbers; what is none is not a number, so in no range."""
    if name not in query:
        return float(usual)
    text = query.get(name, "")
    return float(text) if NUMBER.fullmatch(text) else math.nan


def moment_of(query: QueryDict, name: str, usual: datetime) -> datetime:
    """A moment of the query, in RFC 3339 with its zone. One before 1970, when nothing happened yet, is 1970."""
    text = query.get(name, "")
    if not text:
        return usual
    try:
        # An unescaped plus of "+02:00" arrives as a space.
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise Refused(400, "invalid_parameter", f"'{name}' is a moment with its zone, such as 2026-05-01T12:00:00Z.")
    try:
        # In UTC, since PostgreSQL knows no zone that is more than 16 hours away.
        return max(found.astimezone(UTC), EARLIEST)
    except OverflowError:
        return EARLIEST if found.year < EARLIEST.year else LATEST


def cursor_of(text: str) -> str:
    """What a page ends with, as the client is given it: opaque, so that nobody builds on what is in it."""
    return urlsafe_b64encode(text.encode()).decode().rstrip("=") if text else ""


def place_of(query: QueryDict) -> str:
    """What the client's `after` stands for; "" without one."""
    text = query.get("after", "")
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True).decode()
    except ValueError:
        raise wrong_cursor() from None


def wrong_cursor() -> Refused:
    """The refusal of an `after` that no page gave."""
    return Refused(400, "invalid_cursor", "'after' is no cursor of ours; send back 'next' as the page before gave it.")
