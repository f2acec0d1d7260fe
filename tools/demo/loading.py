"""The data package and the showcase in; a filled product out. Every step may be repeated: it adds what is missing."""

import json
from datetime import datetime
from typing import Any

import polars as pl
from django.db import transaction

from campaigns.models import Campaign, Content, Placement
from decisioning.customers.intake import bulk
from decisioning.customers.models import Customer, Event
from decisioning.flows.history import import_impressions
from decisioning.models import Artefact, Decision, Score
from decisioning.store import catalogue
from decisioning.tasks import (
    check_quality,
    cluster_customers,
    describe_facts,
    keep_scores,
    refresh_everything,
    refresh_segments,
    train_scorer,
)
from rules import rulebook
from rules.models import Rule, Segment
from tools.demo import showcase
from tools.demo.complete_journey import Journey
from tools.demo.progress import bar, wait

MAIL_DOMAIN = "households.example"


def load_data(journey: Journey, now: datetime) -> None:
    """Customers, consent, events, contents and past impressions, in PostgreSQL."""
    _customers(journey, now)
    with bar("events", journey.events.height) as advance:
        bulk.import_events(journey.events, now, advance)
    _contents(journey.contents)
    if not _with_facts():
        # The worker computes today's facts while this process computes those of last year's impressions.
        refresh_everything.delay()
    if Decision.objects.filter(source=Decision.Source.IMPORT).count() < journey.impressions.height:
        with bar("impressions with the facts of their day", journey.impressions.height) as advance:
            import_impressions(journey.impressions, "mailer", advance)


def _customers(journey: Journey, now: datetime) -> None:
    with bar("customers", journey.customers.height) as advance:
        advance(bulk.import_customers(journey.customers, now))
    keys = journey.customers["key"].to_list()
    bulk.import_addresses("email", ((key, f"{key}@{MAIL_DOMAIN}") for key in keys), now)
    # Households that were sent coupons by post have agreed to be sent coupons; the others were never asked.
    first = journey.impressions.group_by("customer_key").agg(pl.col("shown_at").min()).sort("customer_key")
    bulk.import_consents("email", "coupon programme", first.iter_rows(), now)


def _contents(frame: pl.DataFrame) -> None:
    for row in showcase.PLACEMENTS:
        Placement.objects.update_or_create(key=row["key"], defaults=row)
    default, _ = Content.objects.update_or_create(
        key=showcase.DEFAULT_CONTENT["key"], defaults=showcase.DEFAULT_CONTENT
    )
    default.default_for.set(Placement.objects.all())
    for row in frame.to_dicts():
        Content.objects.update_or_create(key=row["key"], defaults=_content(row))


def _content(row: dict[str, Any]) -> dict[str, Any]:
    """Coupons of 2017 go on being offered: their own dates stay among the attributes."""
    attributes = json.loads(row["attributes"])
    names = [name.title() for name in list(attributes["departments"])[:2]]
    text = f"{attributes['coupon_count']} coupons for {attributes['product_count']:,} products."
    return {
        "name": row["name"],
        "body": {"title": f"Save on {' and '.join(names)}", "text": text, "url": f"/coupons/{row['key']}"},
        "attributes": {**attributes, "first_offered": row["starts"].date().isoformat()},
        "tags": row["tags"],
    }


def learn(now: datetime) -> None:
    """Facts, clusters, segments, scorer and scores: all of it done by the worker, watched from here."""
    people = Customer.objects.count()
    if _with_facts() < people:
        wait("facts (worker)", people, _with_facts, refresh_everything.delay)
    if not _active(Artefact.Kind.CLUSTERING):
        cluster_customers.delay()
        wait("clusters (worker)", 1, lambda: _active(Artefact.Kind.CLUSTERING), cluster_customers.delay)
    _segments()
    if not _active(Artefact.Kind.SCORER):
        train_scorer.delay(**showcase.TRAINING)
        wait(
            "scorer (worker)", 1, lambda: _active(Artefact.Kind.SCORER), lambda: train_scorer.delay(**showcase.TRAINING)
        )
    if _scored() < people:
        keep_scores.delay()
        wait("scores (worker)", people, _scored, keep_scores.delay)
    # Nobody need wait for these; by themselves they come within an hour and a day.
    describe_facts.delay()
    check_quality.delay()


def _segments() -> None:
    """Showcase segments, filled before any campaign listens to them."""
    for row in showcase.SEGMENTS:
        Segment.objects.update_or_create(key=row["key"], defaults=row)
    waiting = Segment.objects.filter(kind=Segment.Kind.CONDITION, refreshed_at__isnull=True)

    def ask() -> None:
        refresh_segments.delay(list(waiting.values_list("pk", flat=True)))

    if waiting.exists():
        ask()
    total = Segment.objects.filter(kind=Segment.Kind.CONDITION).count()
    wait("segments (worker)", total, lambda: total - waiting.count(), ask)


def write_rules() -> None:
    """Showcase rules, published, and campaigns; checked against the catalogue as a marketer's would be."""
    known = catalogue.current()
    for row in showcase.CAMPAIGNS:
        fields = {**row, "placement": Placement.objects.get(key=row["placement"])}
        if "segment" in row:
            fields["segment"] = Segment.objects.get(key=row["segment"])
        Campaign.objects.get_or_create(key=row["key"], defaults=fields)
    for row in showcase.RULES:
        with transaction.atomic():
            fields = {name: value for name, value in row.items() if name != "placements"}
            rule, created = Rule.objects.get_or_create(key=row["key"], defaults=fields)
            if created:
                rule.placements.set(Placement.objects.filter(key__in=row["placements"]))
                rulebook.publish(rule, None, known)


def _with_facts() -> int:
    return Customer.objects.filter(facts_at__isnull=False).count()


def _active(kind: str) -> int:
    return Artefact.objects.filter(kind=kind, active=True).count()


def _scored() -> int:
    return Score.objects.filter(artefact__active=True).count()


def is_loaded(journey_events: int) -> bool:
    """Whether every event of the data is in the log already."""
    return Event.objects.filter(message_id__startswith="cj-").count() >= journey_events
