"""Committed events in; identities, facts, segments, campaign triggers and published profiles out, customer by customer.

A batch of customers is held (their rows locked, those of others skipped), handled and committed as one, together with
the deletion of its events from the list of what is pending. Profiles go to Redis before the commit: a kill in between
repeats the batch, and a repeat changes nothing.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

import msgspec
import redis
from django.db import InterfaceError, OperationalError, transaction

from rules.lists import lists_of
from rules.models import How
from rules.segments import Because, Moves

from ..customers import profile
from ..customers.facts import dues, streams
from ..customers.facts.deriving import derive
from ..customers.facts.expiring import next_change
from ..customers.facts.folding import traits_of
from ..customers.facts.streams import Stream
from ..customers.identity import family, meeting, merging
from ..customers.intake import letters, pending
from ..customers.intake.incoming import FUTURE
from ..customers.intake.pending import Batch, Row
from ..customers.plan import planning
from ..customers.plan.checking import name_of
from ..engine.types import Profile
from ..store import publishing
from . import trigger
from .follow import follow_events
from .placing import Facts, Settled, Told, place_few
from .standing import Standing, standing

log = logging.getLogger(__name__)

BATCH = 500
# What another try may cure by itself.
PASSING = (redis.RedisError, OperationalError, InterfaceError)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reacted:
    """What one batch did."""

    customers: int = 0
    events: int = 0
    entered: int = 0
    left: int = 0
    messages: int = 0


def react(now: datetime, limit: int = BATCH) -> Reacted:
    """Handle one batch of customers with pending events; nothing pending gives zeros."""
    batch = Batch()
    try:
        with transaction.atomic():
            batch = pending.take(limit)
            return handle(batch, now) if batch.rows else Reacted()
    except PASSING:
        raise
    except Exception:
        if not batch.rows:
            raise
        log.exception("a batch of %s customers failed; taking them one by one", len(batch.customers))
    with transaction.atomic():
        return _one_by_one(pending.hold(batch.customers, limit), now)


def _one_by_one(batch: Batch, now: datetime) -> Reacted:
    """Handle who can be handled; of the others, event by event, what fails is set aside with its reason."""
    done: list[Reacted] = []
    for customer in batch.customers:
        rows = tuple(row for row in batch.rows if row.customer == customer)
        try:
            with transaction.atomic():
                done.append(handle(Batch((customer,), rows), now))
        except PASSING:
            raise
        except Exception:
            log.exception("customer %s cannot be handled; taking %s events one by one", customer, len(rows))
            done += [_alone(customer, row, now) for row in rows]
    return summed(done)


def _alone(customer: int, row: Row, now: datetime) -> Reacted:
    """One event by itself; set aside where it fails, so that its neighbours go on."""
    try:
        with transaction.atomic():
            return handle(Batch((customer,), (row,)), now)
    except PASSING:
        raise
    except Exception as error:
        log.exception("event %s cannot be handled", row.id)
        pending.set_aside(row.id, repr(error))
        letters.set_aside(row.id, repr(error), now)
        return Reacted()


def summed(parts: Iterable[Reacted]) -> Reacted:
    """All of them as one."""
    values = [astuple(part) for part in parts]
    return Reacted(*(sum(column) for column in zip(*values, strict=True))) if values else Reacted()


def handle_suspects(now: datetime) -> int:
    """Events that were the oldest whenever a consumer died: each alone, its attempt committed before the work."""
    found = pending.suspects(BATCH)
    for event_id, identity, attempts in found:
        if attempts >= pending.HOPELESS:
            with transaction.atomic():
                pending.set_aside(event_id, f"A consumer died {attempts} times while this was the oldest event.")
                letters.set_aside(event_id, "The consumer died over it again and again.", now)
            continue
        with transaction.atomic():
            if not pending.only(event_id, identity).rows:
                continue  # somebody else has them
        pending.count_attempt(event_id)
        with transaction.atomic():
            batch = pending.only(event_id, identity)
            if batch.rows:
                _one_by_one(batch, now)
    return len(found)


def handle(batch: Batch, now: datetime) -> Reacted:
    """Everything that follows from these events, for customers whose rows the caller holds."""
    known = standing()
    changed = meeting.observe(batch.rows)
    changed |= meeting.note_earlier(batch.rows)
    united = merging.apply(changed, now, held=batch.customers) if changed else merging.Changed()
    touched = united.customers
    reached = sorted({*batch.customers, *touched})
    found = streams.load(reached, known.histories)
    owner = {stream.identity: customer for customer, mine in found.items() for stream in mine}
    rows = [row if owner[row.identity] == row.customer else _moved(row, owner[row.identity]) for row in batch.rows]
    # Made anew from the log: among them who was only ever met beside somebody, and is not announced yet.
    renamed = {stream.identity for mine in found.values() for stream in mine if stream.changed}
    renamed |= changed | _fold(found, rows, now, known)
    renamed |= {stream.identity for customer in touched for stream in found.get(customer, ())}
    reacted = settle(found, rows, _moment(rows, now), known, renamed, Because(How.MERGE), told_by(rows))
    publishing.forget(set(reached) - found.keys())
    publishing.part(united.undone)
    pending.done(batch.rows)
    follow_events(batch.rows)
    seen = [(name_of(row.type, row.name), row.timestamp, row.properties) for row in batch.rows if not row.bot]
    transaction.on_commit(lambda: planning.learn(seen, now), robust=True)
    return reacted


def told_by(rows: Sequence[Row]) -> dict[int, list[Told]]:
    """Why customers may move because of these events, which come in the order they happened."""
    found: dict[int, list[Told]] = {}
    for row in rows:
        why = Because(How.EVENT, f"{name_of(row.type, row.name)} ({row.message_id})")
        found.setdefault(row.customer, []).append(Told(row.name or row.type, why))
    return found


def settle_merges(now: datetime) -> int:
    """Apply evidence that had to wait for customers held by somebody else; how many customers changed."""
    waiting = merging.unjudged()
    if not waiting:
        return 0
    with transaction.atomic():
        united = merging.apply(waiting, now)
        count = resettle(united.customers, now)
        publishing.part(united.undone)
        return count


def resettle(touched: Collection[int], now: datetime, *, quiet: bool = False) -> int:
    """Facts, segments and profiles of customers (held by the caller) whose identities came or went.

    With `quiet` nobody is told of their moves: who is two again did nothing.
    """
    if touched:
        known = standing()
        found = streams.load(sorted(touched), known.histories)
        names = {stream.identity for mine in found.values() for stream in mine}
        settle(found, (), now, known, names, Because(How.MERGE), quiet=quiet)
        publishing.forget(set(touched) - found.keys())
    return len(touched)


def _moment(rows: Sequence[Row], now: datetime) -> datetime:
    """When facts are taken: at once after what arrived between the reading of the clock and that of the events."""
    newest = max((row.timestamp for row in rows), default=now)
    return max(now, min(newest, now + FUTURE))


def _moved(row: Row, customer: int) -> Row:
    return msgspec.structs.replace(row, customer=customer)


def _fold(found: dict[int, list[Stream]], rows: Sequence[Row], now: datetime, known: Standing) -> set[int]:
    """Take the events into their identities' states; the identities that are new."""
    mine: dict[int, list[Row]] = {}
    for row in rows:
        if not row.bot:
            mine.setdefault(row.identity, []).append(row)
    fresh: set[int] = set()
    earliest: dict[int, datetime] = {}
    for all_of_one in found.values():
        for stream in all_of_one:
            events = mine.get(stream.identity)
            if not events:
                continue
            streams.take_in(stream, events, now, known.histories)
            # Rows come in the order they happened.
            if stream.first_at is None or events[0].timestamp < stream.first_at:
                earliest[stream.identity] = events[0].timestamp
                if stream.first_at is None:
                    fresh.add(stream.identity)
    meeting.note_first(earliest)
    return fresh


def settle(
    found: dict[int, list[Stream]],
    rows: Sequence[Row],
    now: datetime,
    known: Standing,
    renamed: set[int],
    reason: Because,
    told: Mapping[int, Sequence[Told]] | None = None,
    quiet: bool = False,
) -> Reacted:
    """Facts, segments, triggers and profiles of customers with these streams; `renamed` identities are announced.

    `told`, their events, or else `reason` say why somebody moves who moves. With `quiet` no move has consequences.
    """
    streams.save((stream for mine in found.values() for stream in mine), now, known.histories)
    states = {customer: streams.together(mine) for customer, mine in found.items()}
    said = family.allowed(list(states))
    facts: dict[int, Facts] = {
        customer: derive(
            state, now, known.vocabulary, known.histories, customs=known.customs, consents=said.get(customer, ())
        )
        for customer, state in states.items()
    }
    texts = {customer: (_encode(facts[customer]), _encode(traits_of(states[customer]))) for customer in states}
    written = {one.id: one for one in profile.write(texts, now)}
    dues.write({pk: next_change(states[pk], now, known.vocabulary, known.histories, known.asked) for pk in written})
    people = {pk: {**facts[pk], "customer_id": one.unit or one.key} for pk, one in written.items()}
    settled = place_few(people, now, known, reason, told, _listed(found, renamed, known))
    added = trigger.follow(rows, people, Moves((), ()) if quiet else settled.moves, now, known)
    publishing.put(
        [_profile(one, facts[pk], settled, now, known) for pk, one in written.items()],
        [
            (stream.kind, stream.value, customer)
            for customer, mine in found.items()
            for stream in mine
            if stream.identity in renamed
        ],
    )
    return Reacted(len(found), len(rows), len(settled.moves.entered), len(settled.moves.left), added)


def _listed(found: dict[int, list[Stream]], renamed: set[int], known: Standing) -> dict[int, frozenset[int]]:
    """The imported lists of customers who came by an identifier or lost one."""
    if not known.lists:
        return {}
    moved = {pk: mine for pk, mine in found.items() if any(stream.identity in renamed for stream in mine)}
    lists = lists_of([(stream.kind, stream.value) for mine in moved.values() for stream in mine])
    return {
        pk: frozenset(segment for stream in mine for segment in lists.get((stream.kind, stream.value), ()))
        for pk, mine in moved.items()
    }


def _profile(one: profile.Written, facts: Facts, settled: Settled, now: datetime, known: Standing) -> Profile:
    keys = sorted(known.segments[pk][0] for pk in settled.stays[one.id] if pk in known.segments)
    return Profile(one.id, one.key, one.version, facts, tuple(keys), facts_at=now, unit=one.unit)
