"""Obligations to send in; messages to work on, and every step of their way kept in the database, out.

A message moves `pending → claimed → sending → sent`, each move one guarded UPDATE that commits by itself. All
times are the database's. docs/campaigns.md tells what a kill does in each state.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from .leases import held, move, told
from .models import Campaign, Message

State = Message.State

# For a batch, and on top of that for one hand-over: several times the mail server's time limit.
LEASE_SECONDS = 60
SENDING_SECONDS = 120
MOST_ATTEMPTS, ALONE_FROM = 5, 2
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 60, 6 * 3600
REASON_LENGTH = 300

DUE = Q(state=State.PENDING, due_at__lte=Now(), campaign__active=True)

INSERT = """
INSERT INTO campaigns_message (campaign_id, customer_id, trigger_key, step, due_at,
                               state, reason, attempts, recipient, subject, body)
SELECT campaign_id, customer_id, trigger_key, step, now() + make_interval(secs => wait_seconds),
       'pending', '', 0, '', '', ''
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::smallint[], %s::float8[])
     AS owed (campaign_id, customer_id, trigger_key, step, wait_seconds)
ON CONFLICT (campaign_id, customer_id, trigger_key, step) DO NOTHING
"""


class Owed(NamedTuple):
    """One message to be sent once, at the earliest after `wait_seconds`.

    `trigger_key` names the occasion: the event's message id, or the segment and time of entry.
    """

    campaign_id: int
    customer_id: int
    trigger_key: str
    step: int = 1
    wait_seconds: float = 0


class Recovered(NamedTuple):
    """How many messages of dead senders went where."""

    pending: int = 0
    failed: int = 0
    unknown: int = 0


def owe(rows: Iterable[Owed]) -> int:
    """Write obligations; those that exist stay as they are. Returns how many are new.

    Call it in the transaction that handles the cause, so that both are kept or neither.
    """
    # One order for everybody, so that two writers of the same rows wait for each other and never deadlock.
    ordered = sorted(set(rows))
    if not ordered:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [list(column) for column in zip(*ordered, strict=True)])
        return int(cursor.rowcount)


def claim(limit: int, lease_seconds: float = LEASE_SECONDS, but: Q | None = None) -> list[Message]:
    """Take up to `limit` due messages of active campaigns, oldest first, for `lease_seconds`; none of those in `but`.

    The attempt is counted and committed before anything is returned: work that kills its process counts too.
    Raises RuntimeError inside of a transaction, where nothing would be committed.
    """
    with transaction.atomic(durable=True):
        due = Message.objects.filter(DUE)
        found = (
            (due.exclude(but) if but else due)
            .select_related("campaign__placement", "customer")
            .annotate(lease=Now() + timedelta(seconds=lease_seconds))
            .order_by("due_at", "id")
            .select_for_update(skip_locked=True, of=("self",))[:limit]
        )
        messages = _one_batch(found)
        if not messages:
            return []
        lease_until = messages[0].lease
        ids = [message.pk for message in messages]
        Message.objects.filter(pk__in=ids).update(
            state=State.CLAIMED, attempts=F("attempts") + 1, lease_until=lease_until, reason=""
        )
    for message in messages:
        message.state, message.lease_until = State.CLAIMED, lease_until
        message.attempts += 1
    return messages


def _one_batch(found: Iterable[Any]) -> list[Any]:
    """The first messages that may be taken together; one that keeps failing, or killing its sender, goes alone.

    Otherwise the attempts of its neighbours would run out with its own.
    """
    messages = list(found)
    return list(takewhile(lambda message: message.attempts < ALONE_FROM, messages)) or messages[:1]


def put_off(which: Q, limit: int, reason: str, wait_seconds: float) -> int:
    """Let up to `limit` due messages of those in `which` wait, untouched but for the reason; how many."""
    due = Message.objects.filter(DUE & which).order_by("due_at", "id").select_for_update(skip_locked=True, of=("self",))
    with transaction.atomic(durable=True):
        ids = list(due.values_list("pk", flat=True)[:limit])
        return Message.objects.filter(pk__in=ids).update(reason=reason, due_at=Now() + timedelta(seconds=wait_seconds))


def mark_sending(
    message: Message, recipient: str, subject: str, body: str, now: datetime, decision_id: UUID | None = None
) -> bool:
    """Note, before the mail server gets it, what is handed over, and that it is a contact; False means: do not send.

    It is False when the lease ran out, somebody else has the message, or its campaign was paused meanwhile.
    """
    active = Campaign.objects.filter(pk=OuterRef("campaign_id"), active=True)
    still = held(message, State.CLAIMED).filter(Exists(active), lease_until__gt=Now())
    lease_until = (message.lease_until or message.created_at) + timedelta(seconds=SENDING_SECONDS)
    handed = {"recipient": recipient, "subject": subject, "body": body, "decision_id": decision_id}
    return move(message, still, state=State.SENDING, lease_until=lease_until, contacted_at=now, **handed)


def mark_sent(message: Message, uncounted: bool = False) -> bool:
    """The mail server took it; `uncounted`: the ledger of contacts has not heard of it."""
    return _settle(message, State.SENT, sent_at=Now(), uncounted=uncounted)


def mark_failed(message: Message, reason: str) -> bool:
    """It will never be sent: the template is broken, or the mail server refused it for good."""
    return _settle(message, State.FAILED, reason)


def mark_unknown(message: Message, reason: str, uncounted: bool = False) -> bool:
    """The mail server may have it; nobody sends it again but a person who decides to."""
    return _settle(message, State.UNKNOWN, reason, uncounted=uncounted)


def suppress(message: Message, reason: str) -> bool:
    """It is not sent, on purpose: no consent, no address, or enough was sent."""
    return _settle(message, State.SUPPRESSED, reason)


def retry_later(message: Message, reason: str, seconds: float = RETRY_SECONDS) -> bool:
    """Try again after `seconds`, doubled with each attempt; the last attempt's failure is final."""
    if message.attempts >= MOST_ATTEMPTS:
        return mark_failed(message, f"Given up after {message.attempts} attempts: {reason}")
    wait = min(seconds * 2 ** (message.attempts - 1), LONGEST_RETRY_SECONDS)
    return _settle(message, State.PENDING, reason, due_at=Now() + timedelta(seconds=wait))


def release(messages: Iterable[Message], reason: str = "", wait_seconds: float = 0) -> int:
    """Give messages back that were not worked on through no fault of theirs; the attempt does not count.

    Returns how many were still ours.
    """
    due = {"due_at": Now() + timedelta(seconds=wait_seconds)} if wait_seconds else {}
    return sum(_settle(m, State.PENDING, reason, attempts=m.attempts - 1, **due) for m in messages)


def recover() -> Recovered:
    """Settle what dead senders left: claimed goes back (or fails, at last), sending becomes unknown."""
    late = Message.objects.filter(lease_until__lt=Now())
    claimed = late.filter(state=State.CLAIMED)
    failed = claimed.filter(attempts__gte=MOST_ATTEMPTS).update(
        state=State.FAILED, lease_until=None, reason=f"Given up: its sender stopped {MOST_ATTEMPTS} times."
    )
    pending = claimed.update(state=State.PENDING, lease_until=None, reason="Its sender stopped before sending.")
    # The lease stays on an unknown message: a sender who is slow, not dead, may still tell what became of it. It may
    # have died before it could note the contact.
    unknown = late.filter(state=State.SENDING).update(
        state=State.UNKNOWN, reason="Its sender stopped while handing it to the mail server.", uncounted=True
    )
    return Recovered(pending, failed, unknown)


def _settle(message: Message, state: str, reason: str = "", **changes: Any) -> bool:
    """End this claim. The row may have become unknown meanwhile: then what we know replaces that."""
    still = held(message, State.CLAIMED, State.SENDING, State.UNKNOWN)
    if message.state == State.SENDING and state not in (State.SENT, State.UNKNOWN):
        changes |= {"contacted_at": None}  # the customer did not get it
    return move(message, still, state=state, reason=told(reason, REASON_LENGTH), lease_until=None, **changes)
