"""The shapes of a decide call, in and out, and the errors a client may meet; msgspec reads and writes them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

Key = Annotated[str, Meta(min_length=1, max_length=100)]
Id = Annotated[str, Meta(min_length=1, max_length=200)]
MAX_BODY = 256 * 1024
MAX_PLACEMENTS = 20


class PlacementAsk(Struct, forbid_unknown_fields=True, frozen=True):
    """A placement and how many contents it wants; the placement's own number when not said."""

    key: Key
    n: Annotated[int, Meta(ge=1, le=50)] | None = None


class DecideRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /v1/decide`. One of `customer_id` and `anonymous_id` says for whom."""

    placements: Annotated[list[Key | PlacementAsk], Meta(min_length=1, max_length=MAX_PLACEMENTS)]
    customer_id: Id | None = None
    anonymous_id: Id | None = None
    request_id: Annotated[str, Meta(max_length=100)] = ""
    context: dict[str, Any] = field(default_factory=dict)
    exclude: Annotated[list[str], Meta(max_length=500)] = field(default_factory=list)
    explain: bool = False
    dry_run: bool = False


class ItemAnswer(Struct, omit_defaults=True):
    """One chosen content."""

    id: str
    rank: int
    score: float | None
    propensity: float
    token: str
    content: dict[str, Any]
    reasons: tuple[str, ...] = ()


class PlacementAnswer(Struct, omit_defaults=True):
    """One placement's decision."""

    key: str
    decision_id: str
    rung: str
    reason: str
    policy: str
    items: list[ItemAnswer]
    rules: tuple[Any, ...] = ()
    start_campaigns: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)


class ErrorItem(Struct):
    """One thing that could not be answered, and what to do about it."""

    code: str
    message: str
    placement: str | None = None


class Core(Struct):
    """The part of an answer that is the same for an identical request: what the reply cache keeps."""

    snapshot: int | None
    snapshot_age_s: float | None
    scorer: int | None
    rung: str
    degraded: list[str]
    as_of: datetime | None
    placements: list[PlacementAnswer]
    errors: list[ErrorItem]


class Answer(Struct):
    """The body of a 200: what concerns this request, around the decision itself."""

    request_id: str
    cache: str
    took_ms: float
    decision: msgspec.Raw


class Refused(Exception):
    """A request that cannot be answered: status, stable code, and a sentence that says the cure."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self) -> bytes:
        """The error as JSON."""
        return msgspec.json.encode({"error": {"code": self.code, "message": self.message}})
