"""What the outbox owes in; messages sent, held back or given up, each with its reason in its own row, out.

recover → claim → for each: consent, address, limits → contents → text → mark → count → hand over → mark. Every
step commits by itself: a broken message takes no other with it, and a kill leaves a state that says enough.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from traceback import format_tb

from django.db import InterfaceError, OperationalError
from django.db.models import Q

from campaigns import outbox
from campaigns.channels import Answer, EmailChannel, Outcome
from campaigns.models import ContactLimit, Message
from campaigns.models.contacts import limited
from campaigns.rendering import RenderingError

from ..store import remembering
from ..store.admission import Admission, Unknown
from .preparing import Decide, NotAllowed, Ready, allowed_recipient, prepare

log = logging.getLogger(__name__)

# How long nobody tries a mail server that could not be reached.
PAUSE_SECONDS = 15
# Messages that are told in one batch why they wait.
TOLD = 1_000
# The customer has it, or may have it.
REACHED = (Outcome.ACCEPTED, Outcome.UNKNOWN)


Checkpoint = Callable[[str, Message], None]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one batch came to, in messages.

    `recovered` were left by dead senders. `released` went back untried: the time was up, the campaign paused,
    or the mail server away, as one message (`unavailable`) found out. `waiting` are limited, and nobody can say now
    how often their customers were contacted. `lost` somebody else took over.
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
    waiting: int = 0
    lost: int = 0


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
    remembering.note_uncounted()
    admission = Admission(list(ContactLimit.objects.all()))
    stop_at = time.monotonic() + lease_seconds / 2
    with EmailChannel() as channel:
        work = partial(_deliver_one, now=now, decide=decide, channel=channel, admission=admission, after=checkpoint)
        while (room := limit - counts["claimed"]) > 0 and not _must_stop(counts, stop_at):
            waiting = deque(outbox.claim(room, lease_seconds, but=_put_off(admission, counts)))
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


def _put_off(admission: Admission, counts: Counter[str]) -> Q | None:
    """Which messages nobody takes now, because their limits cannot be kept; they are told why."""
    reason = admission.check()
    if not reason:
        return None
    which = limited()
    counts["waiting"] += outbox.put_off(which, TOLD, reason, PAUSE_SECONDS)
    return which


def _must_stop(counts: Counter[str], stop_at: float) -> bool:
    return bool(counts["unavailable"]) or time.monotonic() >= stop_at


def _deliver_one(
    message: Message,
    now: datetime,
    decide: Decide,
    channel: EmailChannel,
    admission: Admission,
    after: Checkpoint,
) -> str:
    """Bring one message to its end; returns the name of its count."""
    after("claimed", message)
    if trouble := channel.open():
        return _settle(message, trouble)
    try:
        recipient = allowed_recipient(message)
        if reason := admission.refusal(message, now):
            raise NotAllowed(reason)
        ready = prepare(message, recipient, now, decide)
        after("rendered", message)
        subject, html = ready.rendered.subject, ready.rendered.html
        if not outbox.mark_sending(message, recipient, subject, html, now, message.decision_id):
            # Paused, or too slow. Where it still is ours it goes back; else somebody else has it.
            return "released" if outbox.release([message]) else "lost"
        counted = _counted(admission, message, ready, now)
    except NotAllowed as reason:
        return _noted(outbox.suppress(message, str(reason)), "suppressed")
    except Unknown as reason:
        return _noted(bool(outbox.release([message], str(reason), PAUSE_SECONDS)), "waiting")
    except RenderingError as reason:
        return _noted(outbox.mark_failed(message, str(reason)), "failed")
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # Where, but not what: the error's own words may hold a customer's data, and stay in the row.
        trace = "".join(format_tb(error.__traceback__))
        log.error("message %s cannot be prepared: %s\n%s", message.pk, type(error).__name__, trace)
        return _noted(outbox.retry_later(message, f"{type(error).__name__}: {error}"), "retried")
    after("sending", message)
    answer = channel.send(ready.mail)
    after("handed", message)
    count = _settle(message, answer, counted)
    if answer[0] not in REACHED:
        admission.withdraw(message, ready.capped)
    after("settled", message)
    return count


def _counted(admission: Admission, message: Message, ready: Ready, now: datetime) -> bool:
    """Take the message's place in the ledger of contacts; whether that was noted, which only a free one can do without.

    It is asked once more after the row says that it is a contact: whatever fills the ledger anew from now on counts it,
    and what filled it before is whole, so that no limit is passed while Redis loses its memory.
    """
    try:
        reason = admission.admit(message, ready.capped, now)
    except Unknown:
        if admission.of(message):
            raise
        return False
    if reason:
        # Whatever filled the ledger since the row was marked may have counted it.
        admission.withdraw(message, ready.capped)
        raise NotAllowed(reason)
    return True


def _settle(message: Message, answer: Answer, counted: bool = True) -> str:
    """Write down what the mail server said."""
    outcome, reason = answer
    if outcome is Outcome.ACCEPTED:
        return _noted(outbox.mark_sent(message, uncounted=not counted), "sent")
    if outcome is Outcome.REFUSED:
        return _noted(outbox.mark_failed(message, reason), "failed")
    if outcome is Outcome.LATER:
        return _noted(outbox.retry_later(message, reason), "retried")
    if outcome is Outcome.UNAVAILABLE:
        return _noted(bool(outbox.release([message], reason, PAUSE_SECONDS)), "unavailable")
    return _noted(outbox.mark_unknown(message, reason, uncounted=not counted), "unknown")


def _noted(ours: bool, count: str) -> str:
    return count if ours else "lost"
