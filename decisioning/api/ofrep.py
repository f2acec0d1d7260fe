"""The door of OpenFeature's clients: a flag's address, headers and a body in; its value, or why there is none, out.

Source: OpenFeature Remote Evaluation Protocol (OFREP) 0.3, https://github.com/open-feature/protocol.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from ..config import clock
from ..customers.intake import places
from ..flows.contract import MAX_BODY, Refused
from ..flows.decide import decide
from ..flows.flag_questions import Failed
from ..flows.flags import evaluate, evaluate_all, lifetime_of
from ..flows.origin import NOWHERE
from ..flows.timing import Stages
from ..store.keyring import find_all, known
from ..store.ledger import ledger
from ..store.profiles import shared
from ..store.snapshot import holder
from . import cors, limits
from .doors import JSON, Headers, Reply, headers_of, origin_of
from .keys import allow
from .views import KEY

SCOPE: Final = "decide"
# Answers are personal, and only who was given one may ask whether it still holds.
PERSONAL: Final[Headers] = [("Cache-Control", "private, no-cache"), ("Vary", "Origin, Authorization, X-API-Key")]
# Beside what pages may send and read of any decision.
ALSO: Final = {"Access-Control-Allow-Headers": "If-None-Match", "Access-Control-Expose-Headers": "ETag"}


def answer(headers: Mapping[str, str], body: bytes, key: str | None = None) -> Reply:
    """One flag, or all of them where `key` is None. `headers` have their names in lower case."""
    stages, more = Stages(), list(PERSONAL)
    holder.start()
    prepared = holder.current
    try:
        # As for decisions: where no keys are known nobody can be refused, and without a snapshot nothing is shown.
        if known(prepared):
            owner = allow(headers, prepared, SCOPE, datetime.now(UTC))
            more += _with_tags(cors.opened(owner, headers))
            more += limits.spent("decisions", owner.prefix, owner.decide_rate, limits.limiter)
    except Refused as refused:
        return refusal(refused, key, more)
    stages.mark("key")
    now, origin = clock.now(), origin_of(headers) if places.wanted() else NOWHERE

    def ask(asked: bytes) -> tuple[int, bytes]:
        return decide(asked, prepared, shared(), ledger, now, settings.REPLY_CACHE_SECONDS, origin)

    if key is None:
        flags, held = sorted(prepared.slots) if prepared else [], headers.get("if-none-match", "")
        status, raw, tag = evaluate_all(flags, body, held, lifetime_of(prepared), now, ask)
        more += [("ETag", tag)] if tag and prepared else []
    else:
        status, raw = evaluate(key, body, ask)
    stages.mark("decide")
    return _reply(status, raw, [*more, ("Server-Timing", stages.header())])


def preflight(headers: Mapping[str, str]) -> Reply:
    """The answer to a browser that asks whether a page may send."""
    holder.start()
    given = cors.preflight(find_all(holder.current), SCOPE, headers, datetime.now(UTC))
    return Reply(204, _with_tags(given), b"")


def refusal(refused: Refused, key: str | None, more: Headers) -> Reply:
    """A key's refusal in OFREP's words, with the headers that go with it.

    `Retry-After` is in seconds (RFC 9110, 10.2.3): of the protocol's own form some providers make nonsense.
    """
    if refused.status == 401:
        more = [*more, ("WWW-Authenticate", 'Bearer realm="decisioning"')]
    body = Failed(refused.status, "GENERAL", refused.message).body(key)
    return _reply(refused.status, body, more + headers_of(refused))


def _with_tags(given: Headers) -> Headers:
    return [(name, f"{value}, {ALSO[name]}" if name in ALSO else value) for name, value in given]


def _reply(status: int, body: bytes, more: Headers) -> Reply:
    return Reply(status, more if status == 304 else [JSON, *more], body)


def _text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


VALUE: dict[str, Any] = {
    "type": ["boolean", "string", "number", "object"],
    "description": "Absent: the code's default.",
}
METADATA: dict[str, Any] = {"type": "object", "additionalProperties": {"type": ["boolean", "string", "number"]}}
CODES = ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"]
FLAG: dict[str, Any] = {
    "type": "object",
    "required": ["key", "reason", "variant", "metadata"],
    "properties": {
        "key": _text(),
        "value": VALUE,
        "reason": _text(enum=["TARGETING_MATCH", "SPLIT", "STATIC", "DEFAULT", "UNKNOWN"]),
        "variant": _text(description="The content's key."),
        "metadata": METADATA,
    },
}
FAILURE: dict[str, Any] = {
    "type": "object",
    "required": ["errorCode", "errorDetails"],
    "properties": {"key": _text(), "errorCode": _text(enum=[*CODES, "FLAG_NOT_FOUND"]), "errorDetails": _text()},
}
FLAGS: dict[str, Any] = {
    "type": "object",
    "required": ["flags", "metadata"],
    "properties": {"flags": {"type": "array", "items": {"anyOf": [FLAG, FAILURE]}}, "metadata": METADATA},
}
QUESTION: dict[str, Any] = {
    "type": "object",
    "required": ["context"],
    "properties": {
        "context": {
            "type": "object",
            "required": ["targetingKey"],
            "properties": {
                "targetingKey": _text(description="A customer id, or anonymous:<id>.", minLength=1, maxLength=200),
                "anonymous": {"type": "boolean", "description": "The targetingKey is an anonymous id."},
                "request_id": _text(maxLength=100, description="Seeds the dice together with the customer."),
            },
            "additionalProperties": True,
        }
    },
}
FAILURES = {
    400: OpenApiResponse(FAILURE, "The body or the context cannot be used; errorDetails says the cure."),
    401: OpenApiResponse(FAILURE, "The API key is missing, unknown or expired."),
    403: OpenApiResponse(FAILURE, "The API key may not decide."),
    429: OpenApiResponse(FAILURE, "This key asks more than it may; Retry-After has the seconds."),
    500: OpenApiResponse(FAILURE, "It could not be decided; the server's log says why."),
}
HELD = OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of the last answer.")
TAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Names this answer.")


class Door(APIView):
    """A POST whose raw body goes to the function above; DRF never parses it."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers[places.PEER] = request.META.get("REMOTE_ADDR", "")
        if request.method == "OPTIONS":
            reply = preflight(headers)
        elif request.method == "POST":
            reply = answer(headers, request.read(MAX_BODY + 1), kwargs.get("key"))
        else:
            body = Failed(405, "GENERAL", "Use POST.").body(kwargs.get("key"))
            reply = Reply(405, [JSON, ("Allow", "POST, OPTIONS")], body)
        return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


class FlagView(Door):
    @extend_schema(
        operation_id="evaluate_flag",
        summary="Evaluate one flag (OFREP)",
        request={"application/json": QUESTION},
        responses={
            200: OpenApiResponse(FLAG, "The flag; without a value the code's default holds."),
            404: OpenApiResponse(FAILURE, "No active placement has this key."),
            **FAILURES,
        },
        auth=KEY,
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        """A placement as a flag: the value is its first content's `value`, or the whole content. It is a decision."""
        raise AssertionError("dispatch answers")


class FlagsView(Door):
    @extend_schema(
        operation_id="evaluate_flags",
        summary="Evaluate all flags (OFREP)",
        parameters=[HELD, TAG],
        request={"application/json": QUESTION},
        responses={
            200: OpenApiResponse(FLAGS, "Every active placement as a flag; one that failed has an errorCode."),
            304: OpenApiResponse(description="Nothing changed, and nothing new was decided."),
            **FAILURES,
        },
        auth=KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        """Fetched ahead: each counts when an impression with its token is reported."""
        raise AssertionError("dispatch answers")
