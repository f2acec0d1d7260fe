"""What the outbox owes in; messages sent, held back or given up, each with its reason in its own row, out.

recover → claim → for each: consent and address → contents → text → mark → hand over → mark. Every step
commits by itself: a broken message takes no other with it, and a kill leaves a state that says enough.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from traceback import format_tb
from typing import Any, Protocol
from uuid import UUID

from django.db import InterfaceError, OperationalError

from campaigns import outbox
from campaigns.channels import Answer, EmailChannel, Mail, Outcome, compose, unsubscribe_url
from campaigns.models import Message
from campaigns.rendering import Rendered, RenderingError, render

from ..customers.identity.family import head_of, last_word
from ..customers.models import Identity

log = logging.getLogger(__name__)

# How long nobody tries a mail server that could not be reached.
PAUSE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class ChosenContents:
    """What the resolver chose for one message: the ledger's decision and the contents' fields, best first."""

    decision_id: UUID | None
    contents: list[dict[str, Any]]


class Decide(Protocol):
    """Chooses the contents of one customer's message for a placement."""

    def __call__(self, customer_key: str, placement_key: str, now: datetime) -> ChosenContents: ...


Checkpoint = Callable[[str, Message], None]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one batch came to, in messages.

    `recovered` were left by dead senders. `released` went back untried: the time was up, the campaign paused,
    or the mail server away, as one message (`unavailable`) found out. `lost` somebody else took over.
    """

    recovered: outbox.Recovered
    claimed: int = 0
    sent: int = 0
    suppressed: int = 0
    failed: int = 0
    retried: int = 0
    unknown: int = 0
    released: int = 0
    unavailable: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """A message that lacks only its hand-over."""

    recipient: str
    rendered: Rendered
    mail: Mail


class NotAllowed(Exception):
    """Why this message must not be sent."""


def go_on(step: str, message: Message) -> None:
    """The checkpoint of every day: nothing happens between two steps."""


def deliver(
    now: datetime,
    decide: Decide,
    limit: int,
    lease_seconds: float = outbox.LEASE_SECONDS,
    checkpoint: Checkpoint = go_on,
) -> Delivered:
    """Send up to `limit` due messages, for half of `lease_seconds` at most; what is left goes back.

    `now` is the product's clock, for contents and templates; leases run by the database's. `checkpoint` is
    told each step. Raises RuntimeError inside a transaction, and OperationalError when the database is gone.
    """
    counts: Counter[str] = Counter()
    recovered = outbox.recover()
    stop_at = time.monotonic() + lease_seconds / 2
    with EmailChannel() as channel:
        work = partial(_deliver_one, now=now, decide=decide, channel=channel, checkpoint=checkpoint)
        while (room := limit - counts["claimed"]) > 0 and not _must_stop(counts, stop_at):
            waiting = deque(outbox.claim(room, lease_seconds))
            if not waiting:
                break
            counts["claimed"] += len(waiting)
            _work_off(waiting, work, counts, stop_at)
    if counts["claimed"] or any(recovered):
        log.info("delivered: %s, recovered: %s", dict(+counts), recovered._asdict())
    return Delivered(recovered, **counts)


def _work_off(waiting: deque[Message], work: Callable[[Message], str], counts: Counter[str], stop_at: float) -> None:
    """One message after the other; what is left when the time is up, or on an error, goes back."""
    try:
        while waiting and not _must_stop(counts, stop_at):
            counts[work(waiting.popleft())] += 1
    finally:
        pause = PAUSE_SECONDS if counts["unavailable"] else 0
        counts["released"] += outbox.release(waiting, wait_seconds=pause)


def _must_stop(counts: Counter[str], stop_at: float) -> bool:
    return bool(counts["unavailable"]) or time.monotonic() >= stop_at


def _deliver_one(message: Message, now: datetime, decide: Decide, channel: EmailChannel, checkpoint: Checkpoint) -> str:
    """Bring one message to its end; returns the name of its count."""
    checkpoint("claimed", message)
    if trouble := channel.open():
        return _settle(message, trouble)
    try:
        ready = _prepare(message, now, decide)
        checkpoint("rendered", message)
        subject, html = ready.rendered.subject, ready.rendered.html
        if not outbox.mark_sending(message, ready.recipient, subject, html, message.decision_id):
            # Paused, or too slow. Where it still is ours it goes back; else somebody else has it.
            return "released" if outbox.release([message]) else "lost"
    except NotAllowed as reason:
        return _noted(outbox.suppress(message, str(reason)), "suppressed")
    except RenderingError as reason:
        return _noted(outbox.mark_failed(message, str(reason)), "failed")
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # Where, but not what: the error's own words may hold a customer's data, and stay in the row.
        trace = "".join(format_tb(error.__traceback__))
        log.error("message %s cannot be prepared: %s\n%s", message.pk, type(error).__name__, trace)
        return _noted(outbox.retry_later(message, f"{type(error).__name__}: {error}"), "retried")
    checkpoint("sending", message)
    answer = channel.send(ready.mail)
    checkpoint("handed", message)
    count = _settle(message, answer)
    checkpoint("settled", message)
    return count


def _prepare(message: Message, now: datetime, decide: Decide) -> Ready:
    """Everything that can go wrong before the mail server is involved."""
    recipient = _allowed_recipient(message)
    campaign = message.campaign
    contents: list[dict[str, Any]] = []
    if campaign.placement is not None:
        chosen = decide(message.customer.key, campaign.placement.key, now)
        message.decision_id, contents = chosen.decision_id, chosen.contents
    rendered = render(campaign.subject, campaign.body, _variables(message, contents, now))
    try:
        return Ready(recipient, rendered, compose(message, recipient, rendered))
    except ValueError as error:
        raise RenderingError(str(error)) from error


def _allowed_recipient(message: Message) -> str:
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


def _settle(message: Message, answer: Answer) -> str:
    """Write down what the mail server said."""
    outcome, reason = answer
    if outcome is Outcome.ACCEPTED:
        return _noted(outbox.mark_sent(message), "sent")
    if outcome is Outcome.REFUSED:
        return _noted(outbox.mark_failed(message, reason), "failed")
    if outcome is Outcome.LATER:
        return _noted(outbox.retry_later(message, reason), "retried")
    if outcome is Outcome.UNAVAILABLE:
        return _noted(bool(outbox.release([message], reason, PAUSE_SECONDS)), "unavailable")
    return _noted(outbox.mark_unknown(message, reason), "unknown")


def _noted(ours: bool, count: str) -> str:
    return count if ours else "lost"
