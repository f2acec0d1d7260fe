"""`GET /v1/outcomes/pixel.gif?token=…` in; a transparent image of one pixel out, whatever happens.

For e-mail and pages without scripts: no key, no cookie, the token is signed. Fetching ahead and robots count nothing.
"""

from typing import Any, Final, get_args

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.views import APIView

from ..config import clock
from ..customers.intake.bots import is_bot
from ..flows import pixel
from ..flows.take import BAD_TOKEN, UNKNOWN_TYPE, Kind
from . import doors

# GIF89a, 1 × 1, one transparent colour. https://www.w3.org/Graphics/GIF/spec-gif89a.txt
GIF: Final = bytes.fromhex(
    "474946383961 0100 0100 80 00 00 000000 ffffff 21f90401 0000 00 00 2c 0000 0000 0100 0100 00 02 02 4401 00 3b"
)
# Mail services fetch a letter's images in its reader's place, when it is opened.
READERS: Final = ("GoogleImageProxy", "YahooMailProxy")
HEADERS: Final = {
    "Cache-Control": "no-store, max-age=0",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Outcome",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
NOT_COUNTED, NOT_ALLOWED = "not_counted", "method_not_allowed"
STATUS: Final = {BAD_TOKEN: 400, UNKNOWN_TYPE: 400, NOT_ALLOWED: 405}
SAID = OpenApiParameter(
    "X-Outcome",
    str,
    OpenApiParameter.HEADER,
    response=[200, 400],
    description="`stored`, `not_counted` (a robot, or fetched ahead), `bad_token`, `unknown_type` or `unavailable`.",
)
IMAGE: Any = {(200, "image/gif"): {"type": "string", "format": "binary"}}
FAULTY: Any = {(400, "image/gif"): OpenApiResponse({"type": "string", "format": "binary"}, "X-Outcome says why.")}


class PixelView(APIView):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        said = _said(request)
        allow = {"Allow": "GET, HEAD"} if said == NOT_ALLOWED else {}
        headers = {**HEADERS, **allow, "X-Outcome": said}
        return HttpResponse(GIF, status=STATUS.get(said, 200), content_type="image/gif", headers=headers)

    @extend_schema(
        operation_id="pixel",
        summary="Report an outcome by an image",
        parameters=[
            OpenApiParameter("token", str, required=True, description="An item's token, as the decision gave it."),
            OpenApiParameter("type", str, enum=get_args(Kind), description="`impression` when not said."),
            SAID,
        ],
        responses={**IMAGE, **FAULTY},
        auth=[],
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        """Once a token and type, however often it is fetched. Values come by `POST /v1/outcomes`."""
        raise AssertionError("dispatch answers")


def _said(request: HttpRequest) -> str:
    if request.method not in ("GET", "HEAD"):
        return NOT_ALLOWED
    if request.method == "HEAD" or _ahead(request) or _robot(request.headers.get("user-agent", "")):
        return NOT_COUNTED
    token, kind = request.GET.get("token", ""), request.GET.get("type", "impression")
    return pixel.seen(token, kind, clock.now(), doors.ledger.count)


def _ahead(request: HttpRequest) -> bool:
    """Whether a browser fetches what nobody may ever see (https://wicg.github.io/nav-speculation/prefetch.html)."""
    return "prefetch" in (request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")).lower()


def _robot(user_agent: str) -> bool:
    return not any(name in user_agent for name in READERS) and is_bot(user_agent)
