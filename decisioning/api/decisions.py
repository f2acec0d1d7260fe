"""A decision's id in; why it was made as it was, or what it would be now, out."""

from typing import Any, ClassVar
from uuid import UUID

import msgspec
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema

from ..flows.contract import Refused
from ..flows.explain import explained
from ..flows.rerun import ReplayRequest, replayed
from .doors import PRIVATE
from .reading import TAGS, UNCHANGED, Reading, answered
from .schema import ERROR, OBJECT, described
from .views import AWAY, ERRORS, KEY

MOST = 10_000  # bytes of a replay's body, which holds one word
GONE = {409: OpenApiResponse(ERROR, "The snapshot it was made with is gone; the message says the cure.")}
_decoder = msgspec.json.Decoder(ReplayRequest)


class DecisionView(Reading):
    @extend_schema(
        operation_id="explain_decision",
        summary="Everything one decision was made from",
        parameters=TAGS,
        responses={200: OpenApiResponse(OBJECT, "The ledger's row, explained."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest, decision_id: UUID) -> HttpResponse:
        """Facts, candidates and where each fell, rules with each test's value, scores with their shares, outcomes."""
        found = explained(decision_id)
        if found is None:
            raise Refused(404, "unknown_decision", "No decision has this id; it may take a second to appear.")
        return answered(request, found)


class ReplayView(Reading):
    scopes: ClassVar[dict[str, str]] = {"post": "read"}

    @extend_schema(
        operation_id="replay_decision",
        summary="Decide it once more",
        request={"application/json": described(ReplayRequest)},
        responses={200: OpenApiResponse(OBJECT, "Then, now, the difference and its causes."), **ERRORS, **AWAY, **GONE},
        auth=KEY,
    )
    def post(self, request: HttpRequest, decision_id: UUID) -> HttpResponse:
        """On the same snapshot (bit-equal), or on the current one with what changed and why. Nothing is stored."""
        told = msgspec.json.encode(replayed(decision_id, _wanted(request)))
        return HttpResponse(told, content_type="application/json", headers=dict([PRIVATE]))


def _wanted(request: HttpRequest) -> str:
    """Which snapshot the body asks for; an empty body asks for the same."""
    body = request.read(MOST + 1)
    if len(body) > MOST:
        raise Refused(413, "too_large", f"The body is larger than {MOST} bytes; it holds one word.")
    try:
        asked: Any = _decoder.decode(body) if body.strip() else ReplayRequest()
    except (ValueError, RecursionError) as error:
        raise Refused(400, "invalid_request", f"The body cannot be read: {error}") from None
    wanted: str = asked.snapshot
    return wanted
