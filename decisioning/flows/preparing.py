"""A message that somebody took in; all but its hand-over, or why it must not be sent, out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from campaigns.channels import Mail, compose, unsubscribe_url
from campaigns.models import Message
from campaigns.rendering import Rendered, RenderingError, render

from ..customers.identity.family import head_of, last_word
from ..customers.models import Identity


@dataclass(frozen=True, slots=True)
class ChosenContents:
    """What the resolver chose for one message: the ledger's decision and the contents' fields, best first.

    `capped` are the keys of those that may be seen only so often.
    """

    decision_id: UUID | None
    contents: list[dict[str, Any]]
    capped: tuple[str, ...] = ()


class Decide(Protocol):
    """Chooses the contents of one customer's message for a placement."""

    def __call__(self, customer_key: str, placement_key: str, now: datetime) -> ChosenContents: ...


@dataclass(frozen=True, slots=True)
class Ready:
    """A message that lacks only its hand-over; `capped` are the keys of its contents that may be seen only so often."""

    rendered: Rendered
    mail: Mail
    capped: tuple[str, ...]


class NotAllowed(Exception):
    """Why this message must not be sent."""


def prepare(message: Message, recipient: str, now: datetime, decide: Decide) -> Ready:
    """Everything that can go wrong before the mail server is involved."""
    campaign = message.campaign
    contents: list[dict[str, Any]] = []
    capped: tuple[str, ...] = ()
    if campaign.placement is not None:
        chosen = decide(message.customer.key, campaign.placement.key, now)
        message.decision_id, contents, capped = chosen.decision_id, chosen.contents, chosen.capped
    rendered = render(campaign.subject, campaign.body, _variables(message, contents, now))
    try:
        return Ready(rendered, compose(message, recipient, rendered), capped)
    except ValueError as error:
        raise RenderingError(str(error)) from error


def allowed_recipient(message: Message) -> str:
    """The customer's address, if they said yes to this channel. Read anew: a claim may be seconds old."""
    channel = message.campaign.channel
    consent = last_word(message.customer_id, channel)
    if consent is None:
        raise NotAllowed(f"The customer never consented to {channel}.")
    if not consent.granted:
        raise NotAllowed(f"The customer withdrew consent to {channel}.")
    emails = Identity.objects.filter(customer_id=head_of(message.customer_id), kind=Identity.Kind.EMAIL)
    newest = emails.order_by("-created_at", "-id").values_list("value", flat=True).first()
    if not newest:
        raise NotAllowed("The customer has no e-mail address.")
    return newest


def _variables(message: Message, contents: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """What templates may name; `campaigns.templates.VARIABLES` lists the same for the form."""
    customer, campaign = message.customer, message.campaign
    return {
        "customer": {**customer.traits, **customer.facts, "key": customer.key},
        "contents": contents,
        "campaign": {"key": campaign.key, "name": campaign.name},
        "unsubscribe_url": unsubscribe_url(message.customer_id, campaign.channel),
        "now": now,
        "today": now.date(),
    }
