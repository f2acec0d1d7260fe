"""Events and entries into segments in; the messages that campaigns owe because of them, out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from campaigns import outbox
from campaigns.models import Campaign
from rules.language import matches
from rules.segments import Moves

from ..customers.intake.pending import Row
from .placing import with_segments
from .standing import Standing

Facts = Mapping[str, Any]


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
    return [
        outbox.Owed(campaign.pk, customer, entry_key(campaign, now))
        for segment, customer in moves.entered
        for campaign, audience in known.by_segment.get(segment, ())
        if audience is None or matches(audience, people.get(customer, {}), now)
    ]


def by_entries_of_all(moves: Moves, facts: pl.DataFrame, now: datetime, known: Standing) -> list[outbox.Owed]:
    """The same where facts are a frame of everybody."""
    entering = {customer for segment, customer in moves.entered if segment in known.by_segment}
    if not entering:
        return []
    chosen = facts.filter(pl.col("customer_id").is_in(list(entering)))
    people = {row["customer_id"]: row for row in with_segments(chosen, list(entering)).to_dicts()}
    return by_entries(moves, people, now, known)


def entry_key(campaign: Campaign, now: datetime) -> str:
    """What names the occasion of an entry: the segment and the moment."""
    assert campaign.segment is not None  # such a campaign is not saved
    return f"{campaign.segment.key}@{now:%Y-%m-%dT%H:%M:%S.%fZ}"
