"""The shapes of a decide call for many customers, in and out, and how large it may be; msgspec reads and writes."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from .contract import (
    MAX_PLACEMENTS,
    AsOf,
    Candidate,
    ErrorItem,
    FilterAsk,
    Id,
    Key,
    Mode,
    PlacementAnswer,
    PlacementAsk,
)

MAX_BODY = 2 * 1024 * 1024
MAX_CUSTOMERS, MAX_DECISIONS = 5_000, 5_000


class BatchRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /v1/decide/batch`: one question for many customers.

    Contents to choose from × slots to fill × the weight of the policy, over all placements and customers: at most
    10,000,000.
    """

    customer_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_CUSTOMERS)]
    placements: Annotated[list[Key | PlacementAsk], Meta(min_length=1, max_length=MAX_PLACEMENTS)]
    request_id: Annotated[str, Meta(max_length=100)] = ""
    context: dict[str, Any] = field(default_factory=dict)
    candidates: Annotated[list[Key | Candidate], Meta(max_length=500)] | None = None
    filter: FilterAsk | None = None
    mode: Mode = "execute"
    explain: bool = False
    exclude: Annotated[list[str], Meta(max_length=500)] = field(default_factory=list)

    @property
    def size(self) -> int:
        """For how many customers; one that is named twice is asked for once."""
        return len(set(self.customer_ids))


class OneAnswer(Struct, omit_defaults=True):
    """The decision for one of the customers."""

    customer_id: str
    decision_id: str
    rung: str
    as_of: AsOf
    placements: list[PlacementAnswer]
    degraded: list[str] = field(default_factory=list)


class BatchAnswer(Struct):
    """The body of a 200. `unknown_ids` are customers nobody has heard of."""

    request_id: str
    took_ms: float
    snapshot: int
    snapshot_age_s: float
    scorer: int | None
    decisions: list[OneAnswer]
    unknown_ids: list[str]
    errors: list[ErrorItem]
