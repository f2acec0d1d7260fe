"""Webhooks that are owed calls in; calls made, many at once, each with its answer in its own row, out.

recover → claim → post → settle, and again while there is anything to do. A slow receiver holds its own few places
and no others; whoever is killed in between leaves rows that are called again, with the same id.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from uuid_utils.compat import uuid7

from campaigns import addresses, calls
from campaigns.models import Call, Webhook
from campaigns.posting import Answer, Bounds, Poster
from campaigns.webhooks import TEST, Next, event_of, judge, request_of, signed

log = logging.getLogger(__name__)

AT_ONCE: Final = 64
# How long one run takes new calls; those it began are waited for.
RUN_SECONDS: Final = 20.0
# How long nothing may come in before it is looked for calls that became due.
LOOK_SECONDS: Final = 0.2
# How long others may join the first that is answered, to be written down with it.
GATHER_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Called:
    """What one run came to, in calls. `lost`: somebody else had taken them over when they were answered."""

    recovered: int = 0
    claimed: int = 0
    done: int = 0
    retried: int = 0
    dead: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Run:
    """One run at work: its calls in flight and what came of the others."""

    poster: Poster
    dice: Callable[[], float]
    flying: dict[Future[Answer], Call] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self) -> int:
        """Claim what there is room for and start it; how many."""
        room = AT_ONCE - len(self.flying)
        claimed = calls.claim(room) if room else []
        for call in claimed:
            assert call.tried_at is not None  # set by the claim
            request = request_of(call, settings.PUBLIC_URL, call.tried_at)
            self.flying[self.poster.post(request)] = call
        self.counts["claimed"] += len(claimed)
        return len(claimed)

    def settle(self) -> None:
        """Wait a moment for answers and write down those that came, in one commit."""
        wait(self.flying, LOOK_SECONDS, FIRST_COMPLETED)
        finished, _ = wait(self.flying, GATHER_SECONDS)
        answered = [(self.flying.pop(future), future.result()) for future in finished]
        now = datetime.now(UTC)
        judged = [(call, answer, judge(call.attempts, answer, now, self.dice)) for call, answer in answered]
        taken = [(call, answer) for call, answer, then in judged if then.state == Call.State.DONE]
        with transaction.atomic():
            done = calls.settle_taken(taken)
            self.counts.update({"done": done, "lost": len(taken) - done})
            for call, answer, then in judged:
                if then.state != Call.State.DONE:
                    self.counts[self._failed(call, answer, then)] += 1

    def _failed(self, call: Call, answer: Answer, then: Next) -> str:
        """Write down what follows; the name of its count."""
        ours = calls.settle(call, answer, then)
        if then.gone:
            self._switch_off(call.webhook)
        elif ours:
            self._note_failed(call.webhook, then.problem)
        if not ours:
            return "lost"
        return "retried" if then.state == Call.State.PENDING else "dead"

    def _switch_off(self, webhook: Webhook) -> None:
        calls.switch_off(webhook.pk, "Switched off: the receiver answered 410 Gone, which asks for no more calls.")
        log.warning("webhook %s was switched off: its receiver answered 410 Gone", webhook.key)

    def _note_failed(self, webhook: Webhook, problem: str) -> None:
        if pause := calls.note_failed(webhook.pk):
            log.warning("webhook %s fails; no calls for %s s: %s", webhook.key, int(pause.total_seconds()), problem)


def call_due(
    seconds: float = RUN_SECONDS, bounds: Bounds | None = None, dice: Callable[[], float] = random.random
) -> Called:
    """Make the calls that are due, for up to `seconds`; with nothing to do, or another at it, return at once.

    By real time and the database's clock alone: receivers compare the signature's time with theirs.
    Raises RuntimeError inside of a transaction, and OperationalError when the database is gone.
    """
    with Poster(addresses.limits(), bounds or Bounds()) as poster:
        run = _Run(poster, dice)
        with calls.alone() as mine:
            if not mine:
                return Called()
            run.counts["recovered"] = calls.recover()
            stop_at = time.monotonic() + seconds
            while (run.take() or run.flying) and time.monotonic() < stop_at:
                run.settle()
        # The next run may begin: what is still in flight is claimed, and holds up nobody.
        while run.flying:
            run.settle()
    if run.counts["claimed"] or run.counts["recovered"]:
        log.info("called: %s", dict(+run.counts))
    return Called(**run.counts)


def try_out(webhook: Webhook, now: datetime) -> Answer:
    """One call at once to see whether it works, about nobody; `now` is real time. It is kept nowhere.

    A success ends a pause: whoever mended the receiver need not wait.
    """
    call_id = str(uuid7())
    data = {"at": now.isoformat().replace("+00:00", "Z"), "text": "A test call: nothing happened."}
    body = event_of(call_id, TEST, settings.PUBLIC_URL, data)
    with Poster(addresses.limits()) as poster:
        answer = poster.post(signed(webhook, call_id, body, now)).result()
    if answer.status is not None and 200 <= answer.status < 300:
        calls.note_taken(webhook.pk)
    return answer
