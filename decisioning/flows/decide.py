"""`POST /v1/decide` without a framework: key and body in, status and body out; no database on the way.

Read the key from the snapshot, decode, one Redis round trip for customer and cached reply, resolve each placement,
encode, cache, append to the ledger. Whatever is down, the answer is a 200 that names its rung.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from hashlib import blake2b
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from ..customers.intake.strict import refuse_depth, refuse_nul
from ..engine.eligibility import next_change
from ..engine.prepare import Prepared
from ..engine.resolver import DEFAULT, LADDER, UNKNOWN, resolve
from ..engine.types import Ask, Profile, Resolution
from ..models import Decision
from ..store import tokens
from ..store.ledger import Ledger
from ..store.profiles import Found, Profiles
from ..store.snapshot import age_seconds
from .contract import (
    MAX_BODY,
    Answer,
    Core,
    DecideRequest,
    ErrorItem,
    ItemAnswer,
    PlacementAnswer,
    PlacementAsk,
    Refused,
)
from .origin import NOWHERE, Origin, placed

log = logging.getLogger(__name__)

UNKNOWN_PLACEMENT = "unknown_placement"

_decoder = msgspec.json.Decoder(DecideRequest)
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")


def decide(
    body: bytes,
    prepared: Prepared | None,
    profiles: Profiles,
    ledger: Ledger,
    now: datetime,
    cache_seconds: float,
    origin: Origin = NOWHERE,
) -> tuple[int, bytes]:
    """Answer one request whose key was already accepted. Errors are bodies too; nothing is raised."""
    started = time.perf_counter()
    try:
        request = placed(read(body), origin)
        if prepared is None:
            return 200, _nothing(request, started)
        found = _find(profiles, request, prepared.number)
        if found.reply is not None and not request.dry_run:
            return 200, _wrap(request, "hit", started, found.reply)
        core, rows = _core(prepared, request, found, now)
    except Refused as refused:
        return refused.status, refused.body()
    encoded = _encoder.encode(core)
    if not request.dry_run:
        for row in rows:
            ledger.append(row)
        if found.reply_key:
            profiles.remember(found.reply_key, encoded, _lifetime(prepared, now, cache_seconds))
    return 200, _wrap(request, "miss", started, encoded)


def read(body: bytes) -> DecideRequest:
    """Decode and check a body; raises Refused with the field at fault."""
    if len(body) > MAX_BODY:
        raise Refused(413, "too_large", f"The body is larger than {MAX_BODY // 1024} KiB.")
    try:
        refuse_nul(body)
        request = _decoder.decode(body)
        refuse_depth(request.context, body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "invalid_request", f"The body cannot be read: {error}") from None
    if (request.customer_id is None) == (request.anonymous_id is None):
        raise Refused(400, "invalid_request", "Say for whom: give either customer_id or anonymous_id.")
    return request


def _find(profiles: Profiles, request: DecideRequest, snapshot: int) -> Found:
    kind = "customer_id" if request.customer_id is not None else "anonymous_id"
    value = request.customer_id or request.anonymous_id or ""
    asked = msgspec.structs.replace(request, request_id="")
    digest = blake2b(_canonical.encode((snapshot, asked)), digest_size=16).hexdigest()
    found = profiles.find(kind, value, digest)
    if found.profile is None and found.reachable and found.complete and kind == "customer_id":
        raise Refused(
            404,
            "unknown_customer",
            f"No customer has the id {value!r}. Send an identify event for them first, or ask with anonymous_id.",
        )
    return found


def _core(prepared: Prepared, request: DecideRequest, found: Found, now: datetime) -> tuple[Core, list[Decision]]:
    """Resolve every placement; one that fails is named in `errors` and spoils no other."""
    answers: list[PlacementAnswer] = []
    rows: list[Decision] = []
    errors: list[ErrorItem] = []
    away = [] if found.reachable else ["profiles unreachable"]
    if not found.complete:
        away.append("profiles incomplete")
    degraded = list(away)
    for wanted in request.placements:
        ask = _ask(wanted, request, found.profile)
        if ask.placement not in prepared.slots:
            errors.append(_unknown(ask.placement, prepared))
            continue
        try:
            resolution = resolve(prepared, ask, now)
        except Exception:
            # A decision is answered whatever happens; what happened is for the operator.
            log.exception("placement %s could not be decided on snapshot %s", ask.placement, prepared.number)
            errors.append(ErrorItem("failed", "It could not be decided; the server's log says why.", ask.placement))
            continue
        decision_id = uuid7()
        answers.append(_answer(ask, resolution, decision_id))
        rows.append(row_of(decision_id, prepared, ask, resolution, now, Decision.Source.API))
        for note in resolution.degraded:
            # Somebody who cannot be looked up is not somebody unknown.
            if note not in degraded and (note != UNKNOWN or not away):
                degraded.append(note)
    if all(error.code == UNKNOWN_PLACEMENT for error in errors) and not answers:
        raise Refused(404, UNKNOWN_PLACEMENT, " ".join(error.message for error in errors))
    core = Core(
        prepared.number,
        round(age_seconds(prepared), 1),
        prepared.data.scorer.version if prepared.scorer and prepared.data.scorer else None,
        max((answer.rung for answer in answers), key=LADDER.index, default=DEFAULT),
        degraded,
        found.profile.facts_at if found.profile else None,
        answers,
        errors,
    )
    return core, rows


def _ask(wanted: str | PlacementAsk, request: DecideRequest, customer: Profile | None) -> Ask:
    key, count = (wanted, None) if isinstance(wanted, str) else (wanted.key, wanted.n)
    person = request.customer_id or f"anonymous:{request.anonymous_id}"
    return Ask(
        key,
        count,
        customer,
        request.context,
        person,
        request.request_id,
        frozenset(request.exclude),
        request.explain,
    )


def _answer(ask: Ask, resolution: Resolution, decision_id: UUID) -> PlacementAnswer:
    items = [
        ItemAnswer(
            item.content.key,
            item.rank,
            item.score,
            item.propensity,
            tokens.issue(decision_id, item.content.key),
            {"name": item.content.name, **item.content.body},
            item.reasons,
        )
        for item in resolution.items
    ]
    return PlacementAnswer(
        ask.placement,
        str(decision_id),
        resolution.rung,
        resolution.reason,
        resolution.policy,
        items,
        resolution.rules,
        resolution.campaigns,
        resolution.dropped if ask.explain else {},
    )


def row_of(
    decision_id: UUID,
    prepared: Prepared,
    ask: Ask,
    resolution: Resolution,
    now: datetime,
    source: str,
) -> Decision:
    """The ledger's row: the answer and all it was decided from, so that it can be explained and trained on."""
    customer = ask.customer
    return Decision(
        id=decision_id,
        at=now,
        customer_id=customer.id if customer else None,
        customer_key=customer.key if customer else ask.person[:200],
        placement=ask.placement,
        source=source,
        request_id=ask.request_id,
        snapshot=prepared.number,
        scorer=prepared.data.scorer.version if prepared.scorer and prepared.data.scorer else None,
        rung=resolution.rung,
        reason=resolution.reason,
        policy=resolution.policy,
        items=[
            {
                "key": item.content.key,
                "rank": item.rank,
                "score": item.score,
                "propensity": item.propensity,
                "reasons": list(item.reasons),
            }
            for item in resolution.items
        ],
        explanation={
            "rules": msgspec.to_builtins(resolution.rules),
            "dropped": resolution.dropped,
            "campaigns": list(resolution.campaigns),
            "segments": list(customer.segments) if customer else [],
        },
        facts=customer.facts if customer else {},
        context=dict(ask.context),
    )


def _unknown(placement: str, prepared: Prepared) -> ErrorItem:
    near: Sequence[str] = get_close_matches(placement, prepared.slots, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "Create it in the admin under Placements, or activate it."
    return ErrorItem(UNKNOWN_PLACEMENT, f"There is no active placement {placement!r}. {hint}", placement)


def _lifetime(prepared: Prepared, now: datetime, cache_seconds: float) -> int:
    """Milliseconds a reply may be served: never past the moment at which a date begins or ends."""
    change = next_change(prepared.turning_points, now)
    until = (change - now).total_seconds() if change else cache_seconds
    return int(min(cache_seconds, until) * 1000)


def _wrap(request: DecideRequest, cache: str, started: float, core: bytes) -> bytes:
    took = round((time.perf_counter() - started) * 1000, 3)
    return _encoder.encode(Answer(request.request_id, cache, took, msgspec.Raw(core)))


def _nothing(request: DecideRequest, started: float) -> bytes:
    """The answer of a process that never had a snapshot: nothing to show, said so."""
    core = Core(None, None, None, DEFAULT, ["no snapshot yet"], None, [], [])
    return _wrap(request, "miss", started, _encoder.encode(core))
