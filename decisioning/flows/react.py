"""Committed events in; facts, segments, campaign triggers and published profiles out, customer by customer.

A batch of customers is held (their rows locked, others skipped), handled and committed as one. Profiles go to Redis
before the commit: a kill in between repeats the batch, and a repeat changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

import polars as pl
import redis
from django.db import InterfaceError, OperationalError, connection, transaction

from campaigns import outbox
from campaigns.models import Campaign
from rules import segments
from rules.language import matches, matching_frame, parse
from rules.language.history import needs
from rules.models import Membership, Segment
from rules.segments import Moves

from ..customers import profile
from ..customers.models import Event
from ..store import clusters, profiles

log = logging.getLogger(__name__)

HOLD = """
SELECT id FROM customers_customer
WHERE id IN (SELECT customer_id FROM customers_event WHERE handled_at IS NULL AND problem = ''
             GROUP BY customer_id ORDER BY min(timestamp) LIMIT %s)
ORDER BY id FOR UPDATE SKIP LOCKED
"""
HANDLED = "UPDATE customers_event SET handled_at = %s, problem = '' WHERE id = ANY(%s)"
BATCH = 200
# What another try may cure by itself.
PASSING = (redis.RedisError, OperationalError, InterfaceError)


@dataclass(frozen=True, slots=True)
class Reacted:
    """What one batch did."""

    customers: int = 0
    events: int = 0
    entered: int = 0
    left: int = 0
    messages: int = 0


def react(now: datetime, limit: int = BATCH) -> Reacted:
    """Handle one batch of customers with new events; nothing pending gives zeros."""
    with transaction.atomic():
        ids = _hold(limit)
        if not ids:
            return Reacted()
        try:
            with transaction.atomic():
                return handle(ids, now)
        except PASSING:
            raise
        except Exception:
            log.exception("a batch of %s customers failed; taking them one by one", len(ids))
            return _one_by_one(ids, now)


def _one_by_one(ids: Sequence[int], now: datetime) -> Reacted:
    """Handle who can be handled; the events of the others are set aside with the reason."""
    done = []
    for pk in ids:
        try:
            with transaction.atomic():
                done.append(handle([pk], now))
        except PASSING:
            raise
        except Exception as error:
            # Set aside, so that however many of them there are, nobody else waits behind them.
            log.exception("events of customer %s cannot be handled", pk)
            Event.objects.filter(customer_id=pk, handled_at__isnull=True).update(problem=repr(error)[:300])
    return (
        Reacted(*(sum(values) for values in zip(*(astuple(one) for one in done), strict=True))) if done else Reacted()
    )


def _hold(limit: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(HOLD, [limit])
        return [pk for (pk,) in cursor.fetchall()]


def handle(ids: Sequence[int], now: datetime) -> Reacted:
    """Facts, segments, triggers and profiles of customers whose rows the caller holds."""
    events = list(Event.objects.filter(customer_id__in=ids, handled_at__isnull=True).order_by("timestamp", "id"))
    facts = profile.recompute(ids, now)
    moves = place(facts, ids, now)
    owed = _triggered_by_events(events, facts, now) + triggered_by_entries(moves, facts, now)
    added = outbox.owe(owed)
    profiles.publish(ids)
    with connection.cursor() as cursor:
        cursor.execute(HANDLED, [now, [event.pk for event in events]])
    return Reacted(len(ids), len(events), len(moves.entered), len(moves.left), added)


@dataclass(frozen=True, slots=True)
class Placed(Moves):
    """Who entered and left, and which segments by condition were computed."""

    computed: tuple[int, ...] = ()


def place(facts: pl.DataFrame, ids: Sequence[int], now: datetime, only: Sequence[int] | None = None) -> Placed:
    """Put these customers into the segments their facts say: clusters first, so that conditions may name them.

    Customers found in a segment that was never computed before did not enter it: that is no move.
    """
    moved = segments.move(clusters.assign(facts), ids, now) if only is None else Moves((), ())
    frame = with_segments(facts, ids)
    wanted: dict[int, list[int]] = {}
    first: set[int] = set()
    computed: list[int] = []
    for segment, condition in segments.conditions():
        if only is not None and segment.pk not in only:
            continue
        # Nobody has the facts it asks for yet; everybody will with the next refresh of all.
        if not needs([condition]).keys() <= set(frame.columns):
            continue
        computed.append(segment.pk)
        wanted[segment.pk] = frame.filter(matching_frame(condition, frame, now))["customer_id"].to_list()
        if segment.refreshed_at is None:
            first.add(segment.pk)
    then = segments.move(wanted, ids, now)
    entered = tuple(pair for pair in then.entered if pair[0] not in first)
    return Placed(moved.entered + entered, moved.left + then.left, tuple(computed))


def with_segments(facts: pl.DataFrame, ids: Sequence[int]) -> pl.DataFrame:
    """The facts with the columns `segments` (keys) and `customer_segment` (keys and names) of current stays."""
    stays = Membership.objects.filter(left_at__isnull=True, segment__active=True)
    if len(ids) < 5000:
        stays = stays.filter(customer_id__in=ids)
    keys: dict[int, list[str]] = {}
    names: dict[int, list[str]] = {}
    for customer, key, name in stays.values_list("customer_id", "segment__key", "segment__name").order_by(
        "segment__key"
    ):
        keys.setdefault(customer, []).append(key)
        names.setdefault(customer, []).append(name)
    order = facts["customer_id"].to_list()
    return facts.with_columns(
        pl.Series("segments", [keys.get(pk, []) for pk in order], dtype=pl.List(pl.String)),
        pl.Series("customer_segment", [keys.get(pk, []) + names.get(pk, []) for pk in order], dtype=pl.List(pl.String)),
    )


def _triggered_by_events(events: Sequence[Event], facts: pl.DataFrame, now: datetime) -> list[outbox.Owed]:
    """Messages owed because an event arrived; a historical one (`context.historical`) triggers nothing."""
    campaigns = list(Campaign.objects.filter(active=True, trigger=Campaign.Trigger.EVENT))
    names = {campaign.event_name for campaign in campaigns}
    fresh = [event for event in events if event.name in names and not event.context.get("historical")]
    people = _people(facts, {event.customer_id for event in fresh})
    return [
        outbox.Owed(campaign.pk, event.customer_id, event.message_id)
        for event in fresh
        for campaign in campaigns
        if campaign.event_name == event.name and _wanted(campaign, people.get(event.customer_id, {}), now)
    ]


def triggered_by_entries(moves: Moves, facts: pl.DataFrame, now: datetime) -> list[outbox.Owed]:
    """Messages owed because customers entered a segment."""
    campaigns = list(Campaign.objects.filter(active=True, trigger=Campaign.Trigger.SEGMENT).select_related("segment"))
    people = _people(facts, {customer for _, customer in moves.entered})
    return [
        outbox.Owed(campaign.pk, customer, f"{campaign.segment.key}@{now:%Y-%m-%dT%H:%M:%S.%fZ}")
        for segment, customer in moves.entered
        for campaign in campaigns
        if campaign.segment is not None
        and campaign.segment_id == segment
        and _wanted(campaign, people.get(customer, {}), now)
    ]


def _people(facts: pl.DataFrame, ids: set[int]) -> dict[int, dict[str, Any]]:
    if not ids:
        return {}
    chosen = with_segments(facts.filter(pl.col("customer_id").is_in(list(ids))), list(ids))
    return {row["customer_id"]: row for row in chosen.to_dicts()}


def _wanted(campaign: Campaign, facts: dict[str, Any], now: datetime) -> bool:
    return not campaign.audience.strip() or matches(parse(campaign.audience), facts, now)


def refresh_all(now: datetime) -> Reacted:
    """Everybody's facts, segments and triggers anew: after an import, and hourly because time alone moves facts."""
    # What was set aside gets another try with the next batch.
    Event.objects.filter(handled_at__isnull=True).exclude(problem="").update(problem="")
    with transaction.atomic():
        profile.hold_everybody()
        facts = profile.recompute_all(now)
        ids = facts["customer_id"].to_list()
        moves = place(facts, ids, now)
        added = outbox.owe(triggered_by_entries(moves, facts, now))
        clusters_too = Segment.objects.filter(active=True, kind=Segment.Kind.CLUSTER).values_list("pk", flat=True)
        segments.measure([*moves.computed, *clusters_too], now)
    profiles.publish_all()
    return Reacted(len(ids), 0, len(moves.entered), len(moves.left), added)


def refresh_segments(segment_ids: Sequence[int], now: datetime) -> Placed:
    """Some segments anew for everybody, from the facts as stored."""
    with transaction.atomic():
        profile.hold_everybody()
        facts = profile.stored_frame()
        moves = place(facts, facts["customer_id"].to_list(), now, only=segment_ids)
        outbox.owe(triggered_by_entries(moves, facts, now))
        segments.measure(moves.computed, now)
        moved = sorted({customer for _, customer in moves.entered + moves.left})
        profile.touch(moved)
        profiles.publish(moved)
    return moves
