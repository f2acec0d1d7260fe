"""`POST /v1/decide/batch` without a framework: many customers in, each one's decision as a single call gives it, out.

Profiles come from Redis in two round trips for each thousand, waited for longer than a single call does, and the scorer
is asked once for all. The ledger gets a row for each decision, so a call is bounded by what the ledger's buffer takes.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from ..engine.batch import resolve_many
from ..engine.prepare import Prepared
from ..engine.resolver import LADDER, instead, resolve
from ..engine.types import Ask, Profile, Resolution
from ..engine.work import MOST_WORK_OF_MANY
from ..models import Decision
from ..store import contacts
from ..store.ledger import Ledger
from ..store.profiles import Many, Profiles, Showing
from ..store.snapshot import age_seconds
from .asking import Asker, Shown, asker_of, caps_of, longest_cap, refuse_too_much, seen_too, wanted
from .batch import MAX_BODY, MAX_DECISIONS, BatchAnswer, BatchRequest, OneAnswer
from .contract import DecideRequest, ErrorItem, PlacementAnswer, Refused
from .decide import (
    FAILED,
    UNKNOWN_PLACEMENT,
    as_of,
    away_of,
    call_id,
    capped_in,
    decoded,
    explaining,
    failed,
    missing,
    nowhere,
    unknown,
)
from .recording import answer_of, row_of
from .timing import Stages

log = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder(BatchRequest)
_encoder = msgspec.json.Encoder()


def decide_many(
    request: BatchRequest,
    prepared: Prepared | None,
    profiles: Profiles,
    ledger: Ledger,
    now: datetime,
    stages: Stages | None = None,
    may_read: bool = True,
) -> tuple[int, bytes]:
    """Answer one request whose key was already accepted. Errors are bodies too; nothing is raised."""
    started, stages = time.perf_counter(), stages or Stages()
    try:
        if prepared is None:
            raise Refused(503, "unavailable", "This process has no snapshot yet. Try again shortly.")
        request, untold = explaining(request, may_read)
        answer, rows = _answered(prepared, request, profiles, now)
        answer.errors += untold
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


@dataclass(slots=True)
class _Person:
    """One of the customers while their placements are decided, one after the other; `away` is said of Redis."""

    asker: Asker
    customer: Profile | None
    shown: Shown
    away: list[str]
    answer: OneAnswer

    def add(self, placement: PlacementAnswer) -> None:
        """One more placement of theirs."""
        self.answer.placements.append(placement)


def _answered(
    prepared: Prepared, request: BatchRequest, profiles: Profiles, now: datetime
) -> tuple[BatchAnswer, list[Decision]]:
    first = asker_of(_single(request), prepared)
    keys = list(dict.fromkeys(request.customer_ids))
    refuse_too_much(first, prepared, MOST_WORK_OF_MANY, len(keys))
    found = profiles.find_many(keys)
    known = _people(keys, found)
    seen = _seen(prepared, profiles, list(found.known.values()), now)
    people = [_person(first.for_another(key), customer, seen, found, prepared) for key, customer in known.items()]
    rows: list[Decision] = []
    errors: list[ErrorItem] = []
    latest: dict[int, Shown] = {}
    for number, (key, count) in enumerate(wanted(request.placements), start=1):
        if key in prepared.slots:
            for some in _rounds(people, prepared, latest):
                rows += _placed(prepared, some, key, count, number, now, errors)
            continue
        errors.append(unknown(key, prepared))
        for person in people:
            person.add(failed(key, _id(person, number)))
    if len([error for error in errors if error.code == UNKNOWN_PLACEMENT]) == len(request.placements):
        raise nowhere(errors)
    answer = BatchAnswer(
        request_id=request.request_id,
        took_ms=0.0,
        snapshot=prepared.number,
        snapshot_age_s=round(age_seconds(prepared), 1),
        scorer=prepared.data.scorer.version if prepared.scorer and prepared.data.scorer else None,
        decisions=[person.answer for person in people],
        unknown_ids=[key for key in keys if key not in known],
        errors=errors,
    )
    return answer, rows


def _rounds(people: list[_Person], prepared: Prepared, latest: dict[int, Shown]) -> Iterator[list[_Person]]:
    """All at once; where there are caps, ids of one customer one after the other.

    Each knows what was shown to the one before: `latest`, by the customer's id.
    """
    if not caps_of(prepared):
        yield people
        return
    left = people
    while left:
        now, later, met = list[_Person](), list[_Person](), set[int]()
        for person in left:
            pk = person.customer.id if person.customer else None
            if pk is not None and pk in met:
                later.append(person)
                continue
            if pk is not None:
                met.add(pk)
                person.shown = latest.get(pk, person.shown)
            now.append(person)
        yield now
        latest |= {person.customer.id: person.shown for person in now if person.customer}
        left = later


def _person(
    asker: Asker, customer: Profile | None, seen: Mapping[int, Shown], found: Many, prepared: Prepared
) -> _Person:
    away = away_of(asker.person not in found.unread, found.complete)
    answer = OneAnswer(asker.person, str(call_id()), LADDER[0], as_of(customer, prepared), [], away[:])
    return _Person(asker, customer, seen.get(customer.id, {}) if customer else {}, away, answer)


def _placed(
    prepared: Prepared,
    people: Sequence[_Person],
    key: str,
    count: int | None,
    number: int,
    now: datetime,
    errors: list[ErrorItem],
) -> list[Decision]:
    """Decide one placement for everybody: the ledger's rows. The scorer is asked once."""
    asks = [one.asker.ask(key, count, one.customer, one.shown, frozenset()) for one in people]
    caps, rows = caps_of(prepared), []
    for person, ask, resolution in zip(people, asks, _resolved(prepared, asks, now), strict=True):
        decision_id = _id(person, number)
        if resolution.reason == "ERROR" and not any(error.placement == key for error in errors):
            errors.append(ErrorItem("failed", FAILED, key))
        answer = person.answer
        person.add(answer_of(ask, resolution, decision_id, person.asker, now))
        person.shown = seen_too(person.shown, resolution.items, caps, now)
        answer.rung = max(answer.rung, resolution.rung, key=LADDER.index)
        answer.degraded += missing(resolution, answer.degraded, person.away)
        rows.append(row_of(decision_id, prepared, ask, resolution, now, Decision.Source.API, person.asker.asked))
    return rows


def _resolved(prepared: Prepared, asks: Sequence[Ask], now: datetime) -> Sequence[Resolution]:
    """An answer a question; where all at once fail, each is tried alone, and something stands in for one that fails."""
    try:
        return resolve_many(prepared, asks, now)
    except Exception:
        log.exception("a batch of %s could not be decided at once on snapshot %s", len(asks), prepared.number)
    return [_alone(prepared, ask, now) for ask in asks]


def _alone(prepared: Prepared, ask: Ask, now: datetime) -> Resolution:
    try:
        return resolve(prepared, ask, now)
    except Exception:
        log.exception("placement %s could not be decided on snapshot %s", ask.placement, prepared.number)
        return instead(prepared, ask, now)


def _id(person: _Person, number: int) -> UUID:
    return UUID(int=UUID(person.answer.decision_id).int + number)


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


def _capped(rows: list[Decision], prepared: Prepared) -> dict[int, list[Showing]]:
    """Of what is capped, what each customer is shown, by which decision."""
    caps, found = caps_of(prepared), dict[int, list[Showing]]()
    for row in rows if caps else ():
        if row.customer_id is not None:
            found.setdefault(row.customer_id, []).extend(capped_in([row], prepared))
    return {pk: showings for pk, showings in found.items() if showings}


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
