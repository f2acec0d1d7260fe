"""`POST /v1/decide` without a framework: key and body in, status and body out; no database on the way.

Read the key from the snapshot, decode, one Redis round trip for customer and cached reply, resolve each placement,
encode, cache, append to the ledger. Whatever is down, the answer is a 200 that names its rung. Only events that come
with the question are stored first, and that asks the database.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from ..customers.intake.strict import refuse_depth, refuse_nul, refuse_twice
from ..engine.eligibility import next_change
from ..engine.prepare import Prepared
from ..engine.resolver import DEFAULT, LADDER, UNKNOWN, instead, resolve
from ..engine.types import Profile, Resolution
from ..engine.work import MOST_WORK
from ..models import Decision
from ..store.ledger import Ledger
from ..store.profiles import Found, Profiles, Showing
from ..store.snapshot import age_seconds
from .asking import (
    Asker,
    Shown,
    asker_of,
    caps_of,
    limits_of,
    longest_cap,
    refuse_too_much,
    seen_too,
    wanted,
)
from .batch import BatchRequest
from .contract import (
    MAX_BODY,
    Answer,
    AsOf,
    Core,
    DecideRequest,
    ErrorItem,
    PlacementAnswer,
    Refused,
    refuse_candidates,
)
from .first import Spend, refuse_stranger, take_first, unlimited
from .origin import NOWHERE, Origin, placed
from .recording import answer_of, row_of
from .timing import Stages

log = logging.getLogger(__name__)

Asking = TypeVar("Asking", bound=Any)
Question = TypeVar("Question", DecideRequest, BatchRequest)

UNKNOWN_PLACEMENT = "unknown_placement"
TRIES = 5  # of a call that meets others of the same customer over contents with a cap
UNEXPLAINED = "This API key may not 'read', so nothing is explained. Ask from a server, with a key that may."
UNREACHABLE, INCOMPLETE = "profiles unreachable", "profiles incomplete"
FAILED = "It could not be decided; the server's log says why."

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
    stages: Stages | None = None,
    may_tell: bool = True,
    may_read: bool = True,
    spend: Spend = unlimited,
) -> tuple[int, bytes]:
    """Answer one request whose key was already accepted. Errors are bodies too; nothing is raised.

    `stages` is told when each ends; `may_tell` is whether the key allows events to come with the question, `may_read`
    whether it may be told what is known of a customer; `spend` counts those events against its limit.
    """
    started, stages = time.perf_counter(), stages or Stages()
    try:
        request = placed(read(body), origin)
        request, untold = explaining(request, may_read)
        if request.events and not may_tell:
            raise Refused(403, "wrong_scope", "This API key may not 'track', so no events may come with the question.")
        if prepared is None:
            ledger.answered("none", now)
            return 200, _nothing(request, started)
        asker = asker_of(request, prepared)
        refuse_too_much(asker, prepared, MOST_WORK)
        refused: list[ErrorItem] = []
        if request.events:
            # What is refused as a whole changes nothing.
            refuse_nowhere(request, prepared)
            refused = take_first(request, asker.names, profiles, now, spend)
        refused += untold
        stages.mark("read")
        found = _find(profiles, request, asker, prepared, now)
        stages.mark("profile")
        if found.reply is not None and not request.dry_run and not request.events and not untold:
            ledger.answered("hit", now)
            return 200, _wrap(request, "hit", started, found.reply)
        core, rows = _core(prepared, request, asker, found, now, refused)
        capped = capped_in(rows, prepared)
        if request.mode == "execute":
            decided = core, rows, capped
            core, rows, capped = _admitted(profiles, prepared, request, asker, found, now, decided, refused)
    except Refused as error:
        return error.status, error.body()
    stages.mark("resolve")
    encoded = _encoder.encode(core)
    if not request.dry_run:
        ledger.answered("miss", now)
        for row in rows:
            ledger.append(row, prepared.slots[row.placement].item.ledger_share)
        # What has a cap counts each time it is shown, so no reply that shows it is given twice; nor is a failure.
        lasting = not capped and not any(row.reason == "ERROR" for row in rows)
        if found.reply_key and not request.events and not untold and lasting:
            profiles.remember(found.reply_key, encoded, _lifetime(prepared, now, cache_seconds))
    return 200, _wrap(request, "miss", started, encoded)


def explaining(request: Question, may_read: bool) -> tuple[Question, list[ErrorItem]]:
    """The question without `explain` where the key may not read, and what is said of that.

    The values that rules were tested on are what is known of the customer; a key in a page is in anybody's hands.
    """
    if may_read or not request.explain:
        return request, []
    return msgspec.structs.replace(request, explain=False), [ErrorItem("wrong_scope", UNEXPLAINED)]


Decided = tuple[Core, list[Decision], list[Showing]]


def _admitted(
    profiles: Profiles,
    prepared: Prepared,
    request: DecideRequest,
    asker: Asker,
    found: Found,
    now: datetime,
    decided: Decided,
    refused: list[ErrorItem],
) -> Decided:
    """The decisions once what they show of contents with a cap is noted.

    Calls of one customer at one moment read the same; where another was first, the content is seen as often as it may
    be, and the question is decided once more without it.
    """
    core, rows, capped = decided
    limits, seen = limits_of(prepared), found
    for _ in range(TRIES):
        full = profiles.note_shown(found, capped, limits, now)
        if not full:
            return core, rows, capped
        seen = replace(seen, shown={**seen.shown, **{key: [now] * limits[key][0] for key in full}})
        core, rows = _core(prepared, request, asker, seen, now, refused)
        capped = capped_in(rows, prepared)
    # Each try has at least one content less; whoever meets so many others at once is shown nothing with a cap.
    seen = replace(seen, shown={**seen.shown, **{key: [now] * most for key, (most, _) in limits.items()}})
    core, rows = _core(prepared, request, asker, seen, now, refused)
    return core, rows, capped_in(rows, prepared)


def read(body: bytes) -> DecideRequest:
    """Decode and check a body; raises Refused with the field at fault."""
    return decoded(_decoder, body, MAX_BODY)


def decoded(decoder: msgspec.json.Decoder[Asking], body: bytes, longest: int) -> Asking:
    """A question as its type says; raises Refused with the field at fault."""
    if len(body) > longest:
        raise Refused(413, "too_large", f"The body is larger than {longest // 1024} KiB.")
    try:
        refuse_nul(body)
        request = decoder.decode(body)
        refuse_depth(request.context, body)
        refuse_depth([one.attributes for one in request.candidates or () if not isinstance(one, str)], body)
        refuse_twice(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "invalid_request", f"The body cannot be read: {error}") from None
    refuse_candidates(request.candidates or ())
    return request


def _find(profiles: Profiles, request: DecideRequest, asker: Asker, prepared: Prepared, now: datetime) -> Found:
    asked = msgspec.structs.replace(request, request_id="")
    digest = blake2b(_canonical.encode((prepared.number, asked)), digest_size=16).hexdigest()
    longest = longest_cap(prepared)
    found = profiles.find_any(asker.names, digest, since=now.timestamp() - longest if longest else None)
    refuse_stranger(found, asker.names)
    return found


def _core(
    prepared: Prepared, request: DecideRequest, asker: Asker, found: Found, now: datetime, refused: list[ErrorItem]
) -> tuple[Core, list[Decision]]:
    """Resolve every placement; one that fails is named in `errors` and spoils no other."""
    answers: list[PlacementAnswer] = []
    rows: list[Decision] = []
    errors = list(refused)
    asker.complaints.clear()
    away = away_of(found.reachable, found.complete)
    degraded = list(away)
    call = call_id()
    taken: frozenset[str] = frozenset()
    caps = caps_of(prepared)
    shown: Shown = found.shown
    for number, (key, count) in enumerate(wanted(request.placements), start=1):
        decision_id = UUID(int=call.int + number)
        if key not in prepared.slots:
            errors.append(unknown(key, prepared))
            answers.append(failed(key, decision_id))
            continue
        ask = asker.ask(key, count, found.profile, shown, taken)
        try:
            resolution = resolve(prepared, ask, now)
        except Exception:
            # A decision is answered whatever happens, and kept; what happened is for the operator.
            log.exception("placement %s could not be decided on snapshot %s", key, prepared.number)
            errors.append(ErrorItem("failed", FAILED, key))
            resolution = instead(prepared, ask, now)
        answers.append(answer_of(ask, resolution, decision_id, asker, now))
        rows.append(row_of(decision_id, prepared, ask, resolution, now, Decision.Source.API, asker.asked))
        shown = seen_too(shown, resolution.items, caps, now) if caps else shown
        if request.no_repeats:
            taken |= {item.content.key for item in resolution.items}
        degraded += missing(resolution, degraded, away)
    errors += asker.complaints
    if not any(answer.key in prepared.slots for answer in answers):
        raise nowhere(errors)
    scorer = prepared.data.scorer if prepared.scorer else None
    core = Core(
        str(call),
        prepared.number,
        round(age_seconds(prepared), 1),
        scorer.version if scorer else None,
        max((answer.rung for answer in answers if answer.key in prepared.slots), key=LADDER.index),
        degraded,
        as_of(found.profile, prepared),
        answers,
        errors,
    )
    return core, rows


def call_id() -> UUID:
    """The id of a call: those of its placements' decisions follow it, one by one."""
    return UUID(int=uuid7().int & ~0xFF)


def as_of(profile: Profile | None, prepared: Prepared) -> AsOf:
    """How old what was used is."""
    at = profile.facts_at if profile else None
    return AsOf(at, at, prepared.data.scorer.trained_at if prepared.scorer and prepared.data.scorer else None)


def failed(placement: str, decision_id: UUID) -> PlacementAnswer:
    """What is told of a placement that is not there; `errors` says so."""
    return PlacementAnswer(placement, str(decision_id), DEFAULT, "ERROR", "", [])


def nowhere(errors: Sequence[ErrorItem]) -> Refused:
    """The refusal of a call that names no placement there is."""
    told = [error.message for error in errors if error.code == UNKNOWN_PLACEMENT]
    return Refused(404, UNKNOWN_PLACEMENT, " ".join(told))


def refuse_nowhere(request: DecideRequest, prepared: Prepared) -> None:
    """Raise Refused where none of the placements is there."""
    keys = [key for key, _ in wanted(request.placements)]
    if not any(key in prepared.slots for key in keys):
        raise nowhere([unknown(key, prepared) for key in keys])


def capped_in(rows: Sequence[Decision], prepared: Prepared) -> list[Showing]:
    """What these decisions show of the contents that may be seen only so often, each with its decision."""
    caps = caps_of(prepared)
    return [(item["key"], row.id) for row in rows for item in row.items if item["key"] in caps] if caps else []


def away_of(reachable: bool, complete: bool) -> list[str]:
    """What is to be said of Redis where it did not answer, or was filled only in part."""
    return [note for note, well in ((UNREACHABLE, reachable), (INCOMPLETE, complete)) if not well]


def missing(resolution: Resolution, degraded: Sequence[str], away: Sequence[str]) -> list[str]:
    """What was missing and is not said yet. Somebody who cannot be looked up is not somebody unknown."""
    return [note for note in resolution.degraded if note not in degraded and (note != UNKNOWN or not away)]


def unknown(placement: str, prepared: Prepared) -> ErrorItem:
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
    # Two objects become one: what is cached is not decoded for it.
    return _encoder.encode(Answer(request.request_id, cache, took))[:-1] + b"," + core[1:]


def _nothing(request: DecideRequest, started: float) -> bytes:
    """The answer of a process that never had a snapshot: nothing to show, said so."""
    core = Core(str(call_id()), None, None, None, DEFAULT, ["no snapshot yet"], AsOf(), [], [])
    return _wrap(request, "miss", started, _encoder.encode(core))
