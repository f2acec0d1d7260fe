"""Rows of the event log in; what a page shows of them, with JSON as text whatever it holds, out.

The log's JSON columns are of the type `json`: they are read as text, so that a page never depends on what clients sent.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Left
from django.urls import reverse
from django.utils.text import Truncator

from ..intake.partitions import moment_of
from ..models import Event, Link, Pending

LONGEST: Final = 120
JSON: Final = ("identifiers", "properties", "context")
# A customer's facts and traits are large, and no row of a list shows them.
UNREAD: Final = (*JSON, "identity__customer__traits", "identity__customer__facts")


def rows() -> QuerySet[Event]:
    """Events with their customer; `said` is the beginning of the properties as text."""
    said = Left(Cast("properties", TextField()), LONGEST + 1)
    return Event.objects.select_related("identity__customer").defer(*UNREAD).annotate(said=said)


def whole() -> QuerySet[Event]:
    """Events with their customer and all their JSON as texts: `identifiers_text`, `properties_text`, `context_text`."""
    texts = {f"{name}_text": Cast(name, TextField()) for name in JSON}
    return Event.objects.select_related("identity__customer").defer(*UNREAD).annotate(**texts)


def real(moment: datetime) -> datetime:
    """The real time at which the product's clock showed this."""
    return moment - timedelta(seconds=settings.CLOCK_OFFSET)


def product(moment: datetime) -> datetime:
    """What the product's clock showed at this real time."""
    return moment + timedelta(seconds=settings.CLOCK_OFFSET)


def first_id(moment: datetime) -> UUID:
    """The smallest UUID of version 7 (RFC 9562) that can be made at this real time."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def arrived(event_id: UUID) -> datetime:
    """When an event came in, by the product's clock."""
    return product(moment_of(event_id))


def pretty(text: str) -> str:
    """JSON for people to read; a text that Python cannot read is shown as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def short(text: str) -> str:
    """The beginning of a JSON text for one line of a table; nothing for an empty object."""
    return "" if text in ("{}", "[]") else Truncator(text).chars(LONGEST)


def event_url(event_id: UUID) -> str:
    """The event's page."""
    return reverse("admin:customers_event_change", args=[event_id])


def customer_url(pk: int) -> str:
    """The customer's page."""
    return reverse("admin:customers_customer_change", args=[pk])


def events_behind(links: Sequence[Link]) -> dict[tuple[str, datetime], UUID]:
    """(message id, moment) -> event, for the links that an event made and that is still in the log."""
    told = [link for link in links if link.message_id]
    if not told:
        return {}
    found = Event.objects.filter(
        identity_id__in={pk for link in told for pk in (link.one_id, link.other_id)},
        timestamp__in={link.at for link in told},
        message_id__in={link.message_id for link in told},
    )
    return {(message, at): pk for pk, message, at in found.values_list("id", "message_id", "timestamp")}


def standing(ids: Iterable[UUID]) -> dict[UUID, Pending]:
    """The events among these whose effects are not committed."""
    return {row.event_id: row for row in Pending.objects.filter(pk__in=list(ids))}


def badge(waiting: Pending | None) -> dict[str, str]:
    """How far an event is, as the text and the colour of a label."""
    if waiting is None:
        return {"text": "handled", "colour": "success"}
    if waiting.problem:
        return {"text": "set aside", "colour": "danger"}
    return {"text": "pending", "colour": "warning"}


def as_row(event: Any, waiting: Pending | None) -> dict[str, Any]:
    """One line of the explorer, for the template and for the live tail alike."""
    customer = event.identity.customer
    return {
        "id": str(event.id),
        "url": event_url(event.id),
        "arrived": arrived(event.id),
        "happened": event.timestamp,
        "name": event.name,
        "type": event.type,
        "who": str(event.identity),
        "customer": customer.key,
        "customer_url": customer_url(customer.pk),
        "said": short(event.said),
        "source": event.source,
        "marks": [word for word, on in (("historical", event.historical), ("bot", event.bot)) if on],
        "state": badge(waiting),
    }
