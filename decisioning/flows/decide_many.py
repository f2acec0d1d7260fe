"""`POST /v1/decide/batch` without a framework: many customers in, each one's decision as a single call gives it, out.

Profiles come from Redis in two round trips for each thousand, waited for longer than a single call does, and the scorer
is asked once for all. The ledger gets a row for each decision, so a call is bounded by what the ledger's buffer takes.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, field

from ..engine.batch import resolve_many
from ..engine.prepare import Prepared
from ..engine.resolver import LADDER
from ..engine.types import Ask, Profile
from ..models import Decision
from ..store import contacts
from ..store.ledger import Ledger
from ..store.profiles import Many, Profiles
from ..store.snapshot import age_seconds
from .asking import Asker, Shown, asker_of, caps_of, longest_cap
from .contract import (
    MAX_PLACEMENTS,
    AsOf,
    Candidate,
    DecideRequest,
    ErrorItem,
    FilterAsk,
    Id,
    Key,
    Mode,
    PlacementAnswer,
    PlacementAsk,
    Refused,
)
from .decide import as_of, away_of, call_id, decoded, missing, unknown
from .recording import answer_of, row_of
from .timing import Stages

MAX_BODY = 2 * 1024 * 1024
MAX_CUSTOMERS, MAX_DECISIONS = 5_000, 5_000


class BatchRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /v1/decide/batch`: one question for many customers."""

    customer_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_CUSTOMERS)]
    placements: Annotated[list[Key | PlacementAsk], Meta(min_length=1, max_length=MAX_PLACEMENTS)]
    request_id: Annotated[str, Meta(max_length=100)] = ""
    context: dict[str, Any] = field(default_factory=dict)
    candidates: Annotated[list[Key | Candidate], Meta(max_length=500)] | None = None
    filter: FilterAsk | None = None
    mode: Mode = "execute"
    explain: bool = False
    exclude: Annotated[list[str], Meta(max_length=500)] = field(default_factory=list)


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


_decoder = msgspec.json.Decoder(BatchRequest)
_encoder = msgspec.json.Encoder()


def decide_many(
    body: bytes,
    prepared: Prepared | None,
    profiles: Profiles,
    ledger: Ledger,
    now: datetime,
    stages: Stages | None = None,
) -> tuple[int, bytes]:
    """Answer one request whose key was already accepted. Errors are bodies too; nothing is raised."""
    started, stages = time.perf_counter(), stages or Stages()
    try:
        request = read(body)
        if prepared is None:
            raise Refused(503, "unavailable", "This process has no snapshot yet. Try again shortly.")
        answer, rows = _answered(prepared, request, profiles, now)
    except Refused as error:
        return error.status, error.body()
    stages.mark("resolve")
    if request.mode != "dry_run":
        for row in rows:
            ledger.append(row, prepared.slots[row.placement].item.ledger_share)
    if request.mode == "execute":
        contacts.note_many(profiles, _capped(rows, prepared), now)
    answer.took_ms = round((time.perf_counter() - started) * 1000, 3)
    return 200, _encoder.encode(answer)


def read(body: bytes) -> BatchRequest:
    """Decode and check a body; raises Refused with the field at fault."""
    request = decoded(_decoder, body, MAX_BODY)
    number = len(request.customer_ids) * len(request.placements)
    if number > MAX_DECISIONS:
        text = f"These are {number:,} decisions; ask for at most {MAX_DECISIONS:,} at once."
        raise Refused(400, "too_many", text)
    return request


def _answered(
    prepared: Prepared, request: BatchRequest, profiles: Profiles, now: datetime
) -> tuple[BatchAnswer, list[Decision]]:
    keys = list(dict.fromkeys(request.customer_ids))
    found = profiles.find_many(keys)
    people = _people(keys, found)
    asks = _asks(prepared, request, people, _seen(prepared, profiles, list(found.known.values()), now))
    decisions: dict[str, OneAnswer] = {}
    rows: list[Decision] = []
    for (asker, ask), resolution in zip(asks, resolve_many(prepared, [ask for _, ask in asks], now), strict=True):
        away = away_of(asker.person not in found.unread, found.complete)
        one = decisions.get(asker.person)
        if one is None:
            about = as_of(ask.customer, prepared)
            one = OneAnswer(asker.person, str(call_id()), resolution.rung, about, [], away[:])
            decisions[asker.person] = one
        decision_id = UUID(int=UUID(one.decision_id).int + len(one.placements) + 1)
        one.placements.append(answer_of(ask, resolution, decision_id, asker, now))
        one.rung = max(one.rung, resolution.rung, key=LADDER.index)
        one.degraded += missing(resolution, one.degraded, away)
        rows.append(row_of(decision_id, prepared, ask, resolution, now, Decision.Source.API, asker.asked))
    answer = BatchAnswer(
        request_id=request.request_id,
        took_ms=0.0,
        snapshot=prepared.number,
        snapshot_age_s=round(age_seconds(prepared), 1),
        scorer=prepared.data.scorer.version if prepared.scorer and prepared.data.scorer else None,
        decisions=list(decisions.values()),
        unknown_ids=[key for key in keys if key not in people],
        errors=[unknown(key, prepared) for key, _ in _wanted(request) if key not in prepared.slots],
    )
    return answer, rows


def _people(keys: list[str], found: Many) -> dict[str, Profile | None]:
    """For whom to decide; None for a stranger, which somebody is of whom Redis did not say that nobody knows them."""
    unsure = found.unread if found.complete else set(keys)
    return {key: found.known.get(key) for key in keys if key in found.known or key in unsure}


def _seen(prepared: Prepared, profiles: Profiles, customers: list[Profile], now: datetime) -> dict[int, Shown]:
    """When each saw what is capped; nobody is asked about where nothing is."""
    if not caps_of(prepared) or not profiles.breaker.closed():
        return {}
    ids = [customer.id for customer in customers]
    since = now.timestamp() - longest_cap(prepared)
    return dict(zip(ids, contacts.of_many(profiles, ids, since), strict=True))


def _capped(rows: list[Decision], prepared: Prepared) -> dict[int, dict[str, UUID]]:
    """Of what is capped, what each customer is shown, once a call as with a single one."""
    caps, found = caps_of(prepared), dict[int, dict[str, UUID]]()
    for row in rows if caps else ():
        for key in [item["key"] for item in row.items if item["key"] in caps]:
            if row.customer_id is not None:
                found.setdefault(row.customer_id, {})[key] = contacts.call_of(row.id)
    return found


def _asks(
    prepared: Prepared, request: BatchRequest, people: dict[str, Profile | None], seen: Mapping[int, Shown]
) -> list[tuple[Asker, Ask]]:
    """The questions, customer by customer, None for strangers. A filter that does not fit is refused in any case."""
    first = asker_of(_single(request), prepared)
    slots = [(key, count) for key, count in _wanted(request) if key in prepared.slots]
    found: list[tuple[Asker, Ask]] = []
    for key, customer in people.items():
        asker, shown_to = first.for_another(key), seen.get(customer.id, {}) if customer else {}
        found += [(asker, asker.ask(slot, count, customer, shown_to, frozenset())) for slot, count in slots]
    return found


def _wanted(request: BatchRequest) -> list[tuple[str, int | None]]:
    return [(one, None) if isinstance(one, str) else (one.key, one.n) for one in request.placements]


def _single(request: BatchRequest) -> DecideRequest:
    """The question as a call for one customer would put it."""
    return DecideRequest(
        request.placements,
        customer_id=request.customer_ids[0],
        request_id=request.request_id,
        context=request.context,
        candidates=request.candidates,
        filter=request.filter,
        mode=request.mode,
        explain=request.explain,
        exclude=request.exclude,
    )
