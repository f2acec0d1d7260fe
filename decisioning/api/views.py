"""The REST API as Django and OpenAPI know it: each view calls the same function as the WSGI lane."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from ..customers.intake import places
from ..flows.batch import BatchAnswer, BatchRequest
from ..flows.contract import Refused
from ..flows.take import OutcomeRequest
from ..store.ledger import ledger
from ..store.snapshot import age_seconds, holder
from .doors import MAX_READ, answer, is_hot
from .intake import is_document
from .schema import ANSWER, BATCH, CLOUDEVENTS, DECIDE, ERROR, RECEIPT, REFUSED, described, event_of

# What OpenAPI calls a security requirement; the types of drf-spectacular know only names.
KEY: Any = [{"bearer": []}]
ERRORS = {
    code: OpenApiResponse(ERROR, description)
    for code, description in {
        400: "The body cannot be read or is not valid; the message names the field.",
        401: "The API key is missing, unknown or expired.",
        403: "The API key may not do this.",
        404: "What the address or the body names is unknown.",
        413: "The body is too large.",
    }.items()
}
REFUSALS = {
    **ERRORS,
    400: OpenApiResponse(REFUSED, "Nothing was stored; `errors` names every event that was refused, and why."),
    415: OpenApiResponse(ERROR, "The Content-Encoding is unknown; use gzip or none."),
    429: OpenApiResponse(ERROR, "This key sends more than it may; send the same body again after Retry-After."),
}
ASKING = {**ERRORS, 429: OpenApiResponse(ERROR, "This key asks more often than it may; ask again after Retry-After.")}
OTHERS = {409: OpenApiResponse(ERROR, "`duplicate`: another outcome has this message_id, so nothing was stored.")}
AWAY = {503: OpenApiResponse(ERROR, "Nothing was stored; send the same body again after Retry-After.")}


class Door(APIView):
    """A POST that hands its raw body to the function behind it; DRF never parses it."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        method = request.method or ""
        if not is_hot(method, request.path):
            use = "GET" if is_document(request.path) else "POST"
            return JsonResponse(
                {"error": {"code": "method_not_allowed", "message": f"Use {use}."}}, status=405, headers={"Allow": use}
            )
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers[places.PEER] = request.META.get("REMOTE_ADDR", "")
        body = request.read(MAX_READ + 1)
        reply = answer(request.path, headers, body, request.META.get("QUERY_STRING", ""), method)
        return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


class DecideView(Door):
    @extend_schema(
        operation_id="decide",
        summary="Ask which contents to show",
        request={"application/json": DECIDE},
        responses={200: OpenApiResponse(ANSWER, "The decision; always given, `rung` says from what."), **ASKING},
        auth=KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        """For one customer and one or more placements: contents with score, propensity, reasons and outcome token."""
        raise AssertionError("dispatch answers")


class ManyView(Door):
    @extend_schema(
        operation_id="decide_many",
        summary="Ask for many customers at once",
        request={"application/json": described(BatchRequest)},
        responses={
            200: OpenApiResponse(described(BatchAnswer), "A decision for each customer who is known."),
            **ASKING,
            **AWAY,
        },
        auth=KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        """The same question for up to 5,000 customers; each decision is what a single call gives."""
        raise AssertionError("dispatch answers")


class OutcomeView(Door):
    @extend_schema(
        operation_id="outcome",
        summary="Report an impression, click or conversion",
        request={"application/json": described(OutcomeRequest)},
        responses={
            200: OpenApiResponse(RECEIPT, "Stored; the same outcome again, with the same message_id, counts once."),
            **OTHERS,
            **ASKING,
            **AWAY,
        },
        auth=KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        """With the token of the item that was seen, clicked or bought."""
        raise AssertionError("dispatch answers")


def tracking_view(kind: str) -> type[Door]:
    """The view of one address that takes events: a batch of them, or one of this type."""

    class TrackingView(Door):
        @extend_schema(
            operation_id=kind,
            summary="Send events" if kind == "batch" else f"Send one {kind} event",
            request={"application/json": BATCH if kind == "batch" else event_of(kind)},
            responses={200: OpenApiResponse(RECEIPT, "Committed, but for what `errors` lists."), **REFUSALS, **AWAY},
            auth=KEY,
        )
        def post(self, request: Request) -> HttpResponse:
            """In the Segment Spec's shape; `messageId` makes a retry count once."""
            raise AssertionError("dispatch answers")

    return TrackingView


class CloudEventsView(Door):
    @extend_schema(
        operation_id="cloudevents",
        summary="Send CloudEvents",
        request=CLOUDEVENTS,
        responses={200: OpenApiResponse(RECEIPT, "Committed, but for what `errors` lists."), **REFUSALS, **AWAY},
        auth=KEY,
    )
    def post(self, request: Request) -> HttpResponse:
        """CloudEvents 1.0: one, a list, or (binary mode) the attributes in `ce-` headers and the data as the body."""
        raise AssertionError("dispatch answers")


class SettingsView(Door):
    @extend_schema(
        operation_id="client_settings",
        summary="Where a Segment client sends its events",
        responses={200: OpenApiResponse({"type": "object"}, "The settings document."), **ERRORS},
        auth=[],
    )
    def get(self, request: Request, write_key: str) -> HttpResponse:
        """What Segment's clients load before they send; the key in the address is the write key."""
        raise AssertionError("dispatch answers")


@extend_schema(exclude=True)
class AliasView(Door):
    """A second address of a call, as some clients spell it."""

    def post(self, request: Request) -> HttpResponse:
        """As its long form."""
        raise AssertionError("dispatch answers")

    def get(self, request: Request) -> HttpResponse:
        """As its long form."""
        raise AssertionError("dispatch answers")


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """An address of the API that does not exist, in the API's own words."""
    cure = "take the slash off its end" if request.path.endswith("/") else "/v1/schema lists every address"
    found = Refused(404, "unknown_address", f"There is nothing at {request.path}; {cure}.")
    return HttpResponse(found.body(), status=404, content_type="application/json")


def healthz(request: HttpRequest) -> JsonResponse:
    """Whether this process answers at all."""
    return JsonResponse({"ok": True})


def readyz(request: HttpRequest) -> JsonResponse:
    """Whether this process can decide: the snapshot it holds, its age, and what the ledger could not keep."""
    holder.start()
    held = holder.current
    state = {
        "ready": held is not None,
        "snapshot": held.number if held else None,
        "snapshot_age_s": round(age_seconds(held), 1) if held else None,
        "snapshot_source": holder.source,
        "left_out": list(held.problems) if held else [],
        "ledger_waiting": ledger.waiting(),
        "ledger_dropped": ledger.dropped,
        "places": places.state(),
    }
    return JsonResponse(state, status=200 if held else 503)
