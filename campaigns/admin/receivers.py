"""Webhooks in; how their receivers stand, in words and figures for their pages, out."""

from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.html import format_html

from ..models import Call, Reaction, Receiver, Webhook
from ..webhooks import FORMER_VALID

SHOWN_CALLS = 10
COLOURS = {
    "works": "success",
    "failing": "warning",
    "paused": "danger",
    "off": "primary",
    "gone": "danger",
}


def counted(rows: QuerySet[Call]) -> Coalesce:
    """How many of these calls a webhook has, as a column."""
    mine = rows.filter(webhook=OuterRef("pk")).order_by().values("webhook").annotate(number=Count("pk"))
    return Coalesce(Subquery(mine.values("number"), output_field=IntegerField()), 0)


def uses(webhooks: list[Webhook]) -> QuerySet[Reaction]:
    """The reactions that call one of these, by segment."""
    return Reaction.objects.filter(webhook__in=webhooks).select_related("segment").order_by("segment__name", "moment")


def use(reaction: Reaction) -> str:
    """One line, with a link, that says what stands against a deletion."""
    url = reverse("admin:rules_segment_change", args=[reaction.segment_id])
    link = 'Segment <a class="console-link" href="{}">{}</a> calls it; take it out there first.'
    return format_html(link, url, reaction.segment)


def receiver_of(webhook: Webhook) -> Receiver | None:
    """How its receiver answers; None where nothing was ever noted."""
    return getattr(webhook, "receiver", None)


def standing_of(webhook: Webhook) -> tuple[str, str]:
    """How a webhook stands: a word for its colour, and one for people."""
    receiver = receiver_of(webhook)
    if not webhook.active:
        return ("gone", "gone") if receiver and receiver.notice else ("off", "switched off")
    if receiver and receiver.paused_until and receiver.paused_until > datetime.now(UTC):
        return "paused", f"paused until {receiver.paused_until:%H:%M:%S}"
    if receiver and receiver.failures:
        return "failing", f"{receiver.failures} failed in a row"
    return "works", "works"


def told_of(webhook: Webhook) -> dict[str, Any]:
    """What a webhook's page shows beside its form."""
    state, words = standing_of(webhook)
    both_until = webhook.rotated_at + FORMER_VALID if webhook.former_secret and webhook.rotated_at else None
    return {
        "state": state,
        "state_words": words,
        "receiver": receiver_of(webhook),
        "both_until": both_until if both_until and both_until > datetime.now(UTC) else None,
        "newest_calls": webhook.calls.order_by("-pk")[:SHOWN_CALLS],
        "used_by": uses([webhook]),
    }
