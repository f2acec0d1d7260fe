"""The question of a report in the address in; the report as JSON out. For keys that may manage."""

from datetime import timedelta
from difflib import get_close_matches
from typing import Any, ClassVar, cast, get_args

from django.http import HttpRequest, HttpResponse
from django.http.request import QueryDict
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from campaigns.models import Placement

from ..config import clock
from ..flows.contract import Refused
from ..flows.credit import LONGEST, SECONDS, TooLong, report_of
from ..learning.attribution import HALF_LIFE_HOURS, MODELS
from ..store.attributing import Asked, By, Seen, known
from .reading import NUL, TAGS, UNCHANGED, Reading, answered, moment_of, number_of
from .schema import MOMENT, TEXT, WHOLE, _list, record
from .views import AWAY, ERRORS, KEY

USUAL = timedelta(days=30)
LISTED = 10
LEAST, HOURS = 0.01, 24 * 366
SPAN: dict[str, Any] = {"type": "number", "minimum": LEAST, "maximum": HOURS}
NUMBER: dict[str, Any] = {"type": "number"}
_CREDIT = record(conversions=NUMBER, value=NUMBER)
ATTRIBUTION: dict[str, Any] = record(
    since=MOMENT,
    until=MOMENT,
    by=TEXT,
    touches=TEXT,
    lookback_hours={"type": ["number", "null"]},
    half_life_hours=NUMBER,
    customers=WHOLE,
    converted=WHOLE,
    attributed=_CREDIT,
    unattributed=_CREDIT,
    channels=_list(record(channel=TEXT, touches=WHOLE, models=record(**dict.fromkeys(MODELS, _CREDIT)))),
)
ASKED = [
    OpenApiParameter("by", str, enum=get_args(By), description="What is credited; `content` when not said."),
    OpenApiParameter("touches", str, enum=get_args(Seen), description="`shown` (the default) or `clicked` alone."),
    OpenApiParameter("since", str, description="Conversions from this moment on; 30 days before `until`."),
    OpenApiParameter("until", str, description="Conversions before this moment; now when not said."),
    OpenApiParameter("placement", str, description="One placement alone; 404 where there is none and never was."),
    OpenApiParameter("lookback_hours", SPAN, description="Instead of each placement's own window."),
    OpenApiParameter("half_life_hours", SPAN, description="Of time decay; 168 when not said."),
]
NAMES = [parameter.name for parameter in ASKED]


class AttributionView(Reading):
    scopes: ClassVar[dict[str, str]] = {"get": "manage"}

    @extend_schema(
        operation_id="attribution",
        summary="Which contents, placements, campaigns or rules conversions are credited to",
        parameters=[*ASKED, *TAGS],
        responses={200: OpenApiResponse(ATTRIBUTION, "Every model side by side."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        """Last and first touch, linear, position-based, time decay and Shapley, from the ledger."""
        try:
            return answered(request, report_of(asked_of(request.GET), SECONDS))
        except TooLong as error:
            raise Refused(400, "takes_too_long", str(error)) from None


def asked_of(query: QueryDict) -> Asked:
    """The question of a query; raises Refused with the parameter at fault."""
    for name in query:
        if name not in NAMES:
            raise Refused(400, "invalid_parameter", f"There is no parameter {name!r}. {_near(name, NAMES)}")
    until = moment_of(query, "until", clock.now())
    since = moment_of(query, "since", until - USUAL)
    if not timedelta(0) < until - since <= LONGEST:
        text = f"'since' lies before 'until', by at most {LONGEST.days} days."
        raise Refused(400, "invalid_parameter", text)
    return Asked(
        since,
        until,
        cast(By, _word(query, "by", get_args(By))),
        cast(Seen, _word(query, "touches", get_args(Seen))),
        _hours(query, "lookback_hours") if "lookback_hours" in query else None,
        _placement(query.get("placement", "")),
        _hours(query, "half_life_hours"),
    )


def _placement(key: str) -> str:
    """A placement there is, or was when something was decided for it; "" for all."""
    if not key or (NUL not in key and known(key)):
        return key
    keys = list(Placement.objects.order_by("key").values_list("key", flat=True))
    raise Refused(404, "unknown_placement", f"There is no placement {key!r}. {_near(key, keys)}")


def _near(name: str, names: list[str]) -> str:
    """The nearest name, or some there are to choose from."""
    near = get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names[:LISTED]) or 'none yet'}."


def _word(query: QueryDict, name: str, known: tuple[str, ...]) -> str:
    found = query.get(name, known[0])
    if found not in known:
        raise Refused(400, "invalid_parameter", f"'{name}' is one of {', '.join(known)}.")
    return found


def _hours(query: QueryDict, name: str) -> float:
    hours = number_of(query, name, HALF_LIFE_HOURS)
    if not LEAST <= hours <= HOURS:
        raise Refused(400, "invalid_parameter", f"'{name}' is a number of hours from {LEAST} to {HOURS}, such as 72.")
    return hours
