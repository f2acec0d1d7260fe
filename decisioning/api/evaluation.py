"""A policy or a rule's draft in; what it would have earned by the ledger, out. For keys that may manage."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema

from ..config import clock
from ..flows.contract import Refused
from ..flows.evaluate import CURRENT, FIXED, Asked, evaluate
from .doors import PRIVATE
from .reading import NUL, Reading
from .schema import OBJECT, described
from .views import AWAY, ERRORS, KEY

MOST: Final = 10_000  # bytes of the body
SAMPLE: Final = 2_000  # decisions; the command takes ten times as many


class EvaluateRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is to be judged, `policy` ("current" or "constant:KEY") or the `draft` of a rule, and on which decisions."""

    placement: str
    policy: str | None = None
    draft: str | None = None
    objective: Literal["click", "conversion", "value"] | None = None
    since: datetime | None = None
    until: datetime | None = None


_decoder = msgspec.json.Decoder(EvaluateRequest)


class EvaluateView(Reading):
    scopes: ClassVar[dict[str, str]] = {"post": "manage"}

    @extend_schema(
        operation_id="evaluate",
        summary="What a policy or a rule's draft would have earned",
        request={"application/json": described(EvaluateRequest)},
        responses={200: OpenApiResponse(OBJECT, "Figures with intervals, and what to know."), **ERRORS, **AWAY},
        auth=KEY,
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """IPS, SNIPS and doubly robust estimates from an even sample of the ledger's decisions. Nothing is stored."""
        try:
            found = evaluate(clock.now(), _asked(request))
        except ValueError as error:
            raise Refused(400, "invalid_request", str(error)) from None
        told = msgspec.json.encode(found.to_dict())
        return HttpResponse(told, content_type="application/json", headers=dict([PRIVATE]))


def _asked(request: HttpRequest) -> Asked:
    body = request.read(MOST + 1)
    if len(body) > MOST:
        raise Refused(413, "too_large", f"The body is larger than {MOST} bytes; it holds a few words.")
    try:
        found = _decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "invalid_request", f"The body cannot be read: {error}") from None
    if (found.policy is None) == (found.draft is None):
        raise Refused(400, "invalid_request", "Say what is to be judged: either 'policy' or 'draft'.")
    # Anything else names a file, which only who may run commands may read.
    if found.policy is not None and found.policy != CURRENT and not found.policy.startswith(FIXED):
        raise Refused(400, "invalid_request", f"'policy' is {CURRENT!r} or '{FIXED}KEY' with a content's key.")
    words: dict[str, Any] = {name: _text(getattr(found, name)) for name in ("placement", "policy", "draft")}
    since, until = (_moment(moment) for moment in (found.since, found.until))
    return Asked(**words, objective=found.objective, since=since, until=until, most=SAMPLE)


def _text(word: str | None) -> str | None:
    return None if word is None else word.replace(NUL, "")


def _moment(moment: datetime | None) -> datetime | None:
    """Without a zone it is UTC."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
