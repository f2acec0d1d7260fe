"""Events and moves between segments in; what follows from them, once, out: messages, calls of webhooks, traits told.

All of it is written in the caller's transaction, with the move itself: both are kept, or neither. An occasion is named
by the segment and the moment of the move, so whoever handles the same move again owes nothing more.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campaigns import calls, outbox
from campaigns.models import Campaign, Reaction
from campaigns.webhooks import ENTERED, LEFT, data_of
from rules.language import matches
from rules.segments import Because, Moves

from ..customers.intake.pending import Row
from . import tell
from .standing import Standing

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Obligations:
    """Calls to be owed; traits to be told, as events; and how many of these were held back."""

    owed: tuple[calls.Owed, ...] = ()
    traits: tuple[tell.Telling, ...] = ()
    held_back: int = 0


def follow(rows: Sequence[Row], people: Mapping[int, Facts], moves: Moves, now: datetime, known: Standing) -> int:
    """Owe all that follows from these events and moves; how many messages are new. Call it in their transaction."""
    keep(reactions(moves, now, known), now)
    return outbox.owe(
        by_events(rows, people, now, known)
        + by_entries(moves, people, now, known)
        + by_exits(moves, people, now, known)
    )


def by_events(rows: Sequence[Row], people: Mapping[int, Facts], now: datetime, known: Standing) -> list[outbox.Owed]:
    """Owed because an event arrived; a historical one (`context.historical`) or a bot's triggers nothing.

    `people` are facts, with their segments, by the customer whose event it is now: the row's own customer may have
    become part of another in this very batch.
    """
    return [
        outbox.Owed(campaign.pk, row.customer, row.message_id)
        for row in rows
        if row.name in known.by_event and not row.historical and not row.bot
        for campaign, audience in known.by_event[row.name]
        if audience is None or matches(audience, people.get(row.customer, {}), now)
    ]


def by_entries(moves: Moves, people: Mapping[int, Facts], now: datetime, known: Standing) -> list[outbox.Owed]:
    """Owed because customers entered a segment; the same entry is owed once."""
    return _by_moves(moves.entered, known.by_segment, people, now, "")


def by_exits(moves: Moves, people: Mapping[int, Facts], now: datetime, known: Standing) -> list[outbox.Owed]:
    """The same because customers left one; the audience is asked about who they are afterwards."""
    return _by_moves(moves.left, known.by_exit, people, now, " left")


def _by_moves(
    pairs: Iterable[tuple[int, int]],
    waiting: Mapping[int, tuple[tuple[Campaign, Any], ...]],
    people: Mapping[int, Facts],
    now: datetime,
    ending: str,
) -> list[outbox.Owed]:
    found: list[outbox.Owed] = []
    for segment, customer in pairs:
        for campaign, audience in waiting.get(segment, ()):
            if audience is None or matches(audience, people.get(customer, {}), now):
                assert campaign.segment is not None  # such a campaign is not saved
                found.append(outbox.Owed(campaign.pk, customer, tell.occasion_of(campaign.segment, now) + ending))
    return found


def reactions(moves: Moves, now: datetime, known: Standing) -> Obligations:
    """What the reactions of segments ask for because of these moves; reads who the customers are, writes nothing."""
    found = [*_asked(moves.entered, Reaction.Moment.ENTRY, known), *_asked(moves.left, Reaction.Moment.EXIT, known)]
    if not found:
        return Obligations()
    people = tell.named({customer for _, customer in found})
    owed: list[calls.Owed] = []
    telling: list[tell.Asked] = []
    for reaction, customer in found:
        if customer not in people:
            continue
        if reaction.kind == Reaction.Kind.TRAIT:
            telling.append(tell.Asked(reaction, customer, now))
        elif reaction.webhook_id is not None:
            why = moves.because((reaction.segment_id, customer))
            owed.append(_call(reaction, customer, people[customer].key, why, now))
    return Obligations(tuple(owed), *tell.told(telling, people))


def keep(due: Obligations, now: datetime) -> None:
    """Write the calls, and the traits into the log."""
    calls.owe(due.owed)
    tell.store(due.traits, now)
    if due.held_back:
        log.warning("%s traits were not set: their customers moved too often within an hour", due.held_back)


def _asked(
    pairs: Iterable[tuple[int, int]], moment: Reaction.Moment, known: Standing
) -> Iterable[tuple[Reaction, int]]:
    return (
        (reaction, customer)
        for segment, customer in pairs
        for reaction in known.reactions.get(segment, ())
        if reaction.moment == moment
    )


def _call(reaction: Reaction, customer: int, key: str, why: Because, now: datetime) -> calls.Owed:
    assert reaction.webhook_id is not None  # asked before
    entered = reaction.moment == Reaction.Moment.ENTRY
    occasion = tell.occasion_of(reaction.segment, now) + ("" if entered else " left")
    segment = {"key": reaction.segment.key, "name": reaction.segment.name}
    data = data_of(key, segment, now, why.how, why.by)
    return calls.Owed(reaction.webhook_id, customer, occasion, ENTERED if entered else LEFT, data)
