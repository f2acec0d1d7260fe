"""The shapes of a decide call, in and out, and the errors a client may meet; msgspec reads and writes them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

Key = Annotated[str, Meta(min_length=1, max_length=100)]
Id = Annotated[str, Meta(min_length=1, max_length=200)]
Kind = Literal["user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id"]
Mode = Literal["execute", "prefetch", "dry_run"]
MAX_BODY = 256 * 1024
MAX_PLACEMENTS, MAX_CANDIDATES, MAX_EVENTS = 20, 500, 20


class PlacementAsk(Struct, forbid_unknown_fields=True, frozen=True):
    """A placement and how many contents it wants; the placement's own number when not said."""

    key: Key
    n: Annotated[int, Meta(ge=1, le=50)] | None = None


class Candidate(Struct, forbid_unknown_fields=True, frozen=True):
    """A content of the caller's own, or one of ours by its key, with attributes of the moment laid over its own."""

    id: Key
    attributes: dict[str, Any] = field(default_factory=dict)


class FilterAsk(Struct, forbid_unknown_fields=True, frozen=True):
    """A filter by its key, and the values of its parameters."""

    name: Key
    values: dict[str, Any] = field(default_factory=dict)


class DecideRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /v1/decide`. One of `customer_id`, `anonymous_id` and `identifiers` says for whom.

    `candidates` stand in place of the placements' contents; `filter` narrows either. `mode`: "execute" counts as
    shown, "prefetch" when its impression comes, "dry_run" never. `events` are stored first, as `/v1/batch` does; a dry
    run takes none.

    Contents to choose from × slots to fill × the weight of the policy, over all placements: at most 500,000.
    """

    placements: Annotated[list[Key | PlacementAsk], Meta(min_length=1, max_length=MAX_PLACEMENTS)]
    customer_id: Id | None = None
    anonymous_id: Id | None = None
    identifiers: dict[Kind, Id] | None = None
    request_id: Annotated[str, Meta(max_length=100)] = ""
    context: dict[str, Any] = field(default_factory=dict)
    candidates: Annotated[list[Key | Candidate], Meta(max_length=MAX_CANDIDATES)] | None = None
    filter: FilterAsk | None = None
    mode: Mode = "execute"
    explain: bool = False
    render: bool = False
    events: Annotated[list[dict[str, Any]], Meta(max_length=MAX_EVENTS)] = field(default_factory=list)
    exclude: Annotated[list[str], Meta(max_length=500)] = field(default_factory=list)
    no_repeats: bool = False

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be kept, cached or counted."""
        return self.mode == "dry_run"


class ItemAnswer(Struct, omit_defaults=True):
    """One chosen content."""

    id: str
    rank: int
    score: float | None
    propensity: float
    token: str
    content: dict[str, Any]
    reasons: tuple[str, ...] = ()
    propensity_estimated: bool = False


class PlacementAnswer(Struct, omit_defaults=True):
    """One placement's decision. `basis` is what the scores stand on, in words; `rule` the first that changed something;
    `missing_ids` are unknown candidates."""

    key: str
    decision_id: str
    rung: str
    reason: str
    policy: str
    items: list[ItemAnswer]
    basis: str = ""
    rule: str | None = None
    experiment: dict[str, str] | None = None
    rules: tuple[Any, ...] = ()
    start_campaigns: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    missing_ids: tuple[str, ...] = ()


class ErrorItem(Struct):
    """One thing that could not be answered, and what to do about it."""

    code: str
    message: str
    placement: str | None = None


class AsOf(Struct):
    """How old what was used is: the customer's facts, their segments, and when the scorer learned."""

    profile: datetime | None = None
    segments: datetime | None = None
    scorer: datetime | None = None


class Core(Struct):
    """The part of an answer that is the same for an identical request: what the reply cache keeps."""

    decision_id: str
    snapshot: int | None
    snapshot_age_s: float | None
    scorer: int | None
    rung: str
    degraded: list[str]
    as_of: AsOf
    placements: list[PlacementAnswer]
    errors: list[ErrorItem]


class Answer(Struct):
    """The beginning of the body of a 200: what concerns this request; the decision itself follows."""

    request_id: str
    cache: str
    took_ms: float


class Refused(Exception):
    """A request that cannot be answered: status, stable code, and a sentence that says the cure."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self) -> bytes:
        """The error as JSON."""
        return msgspec.json.encode({"error": {"code": self.code, "message": self.message}})


LARGEST: Final = 10**15  # what a decision reckons with; more is no stock and no price


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# Attributes of a candidate that decisions read: what each must be, and whether a value is that.
READ: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "stock": ("a number", lambda value: _number(value) and abs(value) <= LARGEST),
    "value": ("a number from 0 to 10^15", lambda value: _number(value) and 0 <= value <= LARGEST),
    "tags": ("a list of texts", lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value)),
    "name": ("a text", lambda value: isinstance(value, str)),
}


def refuse_candidates(candidates: Sequence[str | Candidate]) -> None:
    """Raise Refused for an attribute that is read and is not what it must be; null is as if it were not there."""
    for one in candidates:
        if not isinstance(one, str):
            for name in one.attributes.keys() & READ.keys():
                _refuse(one.id, name, one.attributes[name])


def _refuse(candidate: str, name: str, value: Any) -> None:
    what, fits = READ[name]
    if value is None or fits(value):
        return
    said = msgspec.json.encode(value).decode()
    found = said if len(said) <= 60 else f"{said[:60]}…"
    text = f"Candidate {candidate!r}: its attribute {name!r} must be {what}, and it is {found}."
    raise Refused(400, "invalid_request", text)
