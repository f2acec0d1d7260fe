"""The door of OpenFeature's clients: a flag's address, headers and a body in; its value, or why there is none, out.

Source: OpenFeature Remote Evaluation Protocol (OFREP) 0.3, https://github.com/open-feature/protocol.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from ..config import clock
from ..customers.intake import places
from ..flows.contract import MAX_BODY, Refused
from ..flows.decide import decide
from ..flows.flag_questions import Failed, Question
from ..flows.flag_state import state_of
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
from .reading import TAGS
from .views import KEY

SCOPE: Final = "decide"
FLAGS_PATH: Final = "/ofrep/v1/evaluate/flags"
# Answers are personal, and only who was given one may ask whether it still holds.
PERSONAL: Final[Headers] = [("Cache-Control", "private, no-cache"), ("Vary", "Origin, Authorization, X-API-Key")]
# Beside what pages may send and read of any decision.
ALSO: Final = {"Access-Control-Allow-Headers": "If-None-Match", "Access-Control-Expose-Headers": "ETag"}


def is_flags(method: str, path: str) -> bool:
    """Whether this request is answered before Django's request stack; `path` as it is in WSGI, bytes as Latin-1."""
    return path.startswith(FLAGS_PATH) and method in ("POST", "OPTIONS") and key_of(path) is not None


def key_of(path: str) -> str | None:
    """The flag that a path of WSGI names, "" for all of them; None where it is another path, or no UTF-8."""
    rest = path[len(FLAGS_PATH) :]
    if not rest:
        return ""
    try:
        return rest[1:].encode("latin-1").decode() if rest[0] == "/" and len(rest) > 1 else None
    except UnicodeError:
        return None


def answer_path(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """The answer to a request of which `is_flags` says that it is one of these."""
    return preflight(headers) if method == "OPTIONS" else answer(headers, body, key_of(path) or None)


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

        def state(question: Question) -> str:
            return state_of(prepared, question, origin.place, shared(), now) if prepared else ""

        status, raw, tag = evaluate_all(flags, body, held, lifetime_of(prepared), now, ask, state)
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
ALL_FLAGS: dict[str, Any] = {
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
                "targetingKey": _text(
                    description="A customer id, or anonymous:<id>; an id has 1 to 200 characters.",
                    minLength=1,
                    anyOf=[{"maxLength": 200}, {"pattern": "^anonymous:", "maxLength": 210}],
                ),
                "anonymous": {"type": ["boolean", "null"], "description": "The targetingKey is an anonymous id."},
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
        given = HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))
        if JSON not in reply.headers:
            del given.headers["Content-Type"]  # of nothing there is no type, whatever Django thinks
        return given


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


@extend_schema(exclude=True)
class OddFlagView(Door):
    """A key with a line break in it, which Django's own converters leave out."""

    def post(self, request: Request, key: str) -> HttpResponse:
        """As any other key."""
        raise AssertionError("dispatch answers")


class FlagsView(Door):
    @extend_schema(
        operation_id="evaluate_flags",
        summary="Evaluate all flags (OFREP)",
        parameters=TAGS,
        request={"application/json": QUESTION},
        responses={
            200: OpenApiResponse(ALL_FLAGS, "Every active placement as a flag; one that failed has an errorCode."),
            304: OpenApiResponse(description="Nothing changed, and nothing new was decided."),
            **FAILURES,
        },
        auth=KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        """Fetched ahead: each counts when an impression with its token is reported."""
        raise AssertionError("dispatch answers")
