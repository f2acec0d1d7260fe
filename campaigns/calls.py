"""Webhooks to be called in; calls to make now, and every step of their way kept in the database, out.

A call moves `pending → calling → done | dead`, or back to pending for another try. It is called at least once: whoever
dies over it is found by the lease, and the next one calls again with the same id. All times are the database's.
docs/webhooks.md tells what a kill does in each state.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from .leases import held, move, told
from .models import Call, Receiver, Webhook
from .posting import SHOWN, Answer
from .webhooks import MOST_ATTEMPTS, Next

State = Call.State

LEASE_SECONDS: Final = 30  # three times what a call may take
# Calls in flight to one webhook: a slow receiver holds no more than these.
AT_ONCE: Final = 8
# Failures in a row after which a webhook is left in peace, and for how long: doubled each time.
FAILURES: Final = 10
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 1800.0
PROBLEM_LENGTH: Final = 500
WAITED_DAYS, DONE_DAYS, DEAD_DAYS = 4, 30, 90
LOCK: Final = 7011980

INSERT: Final = """
INSERT INTO campaigns_call (id, webhook_id, customer_id, type, occasion, data, state, attempts, problem)
SELECT id, webhook_id, customer_id, type, occasion, data::jsonb, 'pending', 0, ''
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[])
     AS owed (id, webhook_id, customer_id, type, occasion, data)
ON CONFLICT (webhook_id, customer_id, occasion) DO NOTHING
"""
# The oldest of every webhook that has room: one whose receiver fails gets one call at a time, to see if it is back.
CLAIM: Final = """
WITH due AS (
    SELECT waiting.id FROM campaigns_webhook w
    LEFT JOIN campaigns_receiver r ON r.webhook_id = w.id
    CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM campaigns_call c WHERE c.webhook_id = w.id AND c.state = 'calling'
    ) AS busy
    CROSS JOIN LATERAL (
        SELECT c.id, c.due_at FROM campaigns_call c
        WHERE c.webhook_id = w.id AND c.state = 'pending' AND c.due_at <= statement_timestamp() ORDER BY c.due_at
        LIMIT greatest(0, CASE WHEN r.failures >= %(failures)s THEN 1 ELSE %(at_once)s END - busy.number)
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE w.active AND (r.paused_until IS NULL OR r.paused_until <= statement_timestamp())
    ORDER BY waiting.due_at, waiting.id LIMIT %(limit)s
)
UPDATE campaigns_call c SET state = 'calling', attempts = c.attempts + 1, tried_at = statement_timestamp(),
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM due WHERE c.id = due.id RETURNING c.id
"""
TAKEN: Final = """
WITH taken AS (
    UPDATE campaigns_call c SET state = 'done', status = v.status, answer = v.answer, problem = '', lease_until = NULL,
        done_at = statement_timestamp()
    FROM unnest(%s::uuid[], %s::smallint[], %s::text[]) AS v(id, status, answer)
    WHERE c.id = v.id AND c.state IN ('calling', 'pending') RETURNING c.webhook_id
), well AS (
    UPDATE campaigns_receiver SET failures = 0, pauses = 0, failing_since = NULL, paused_until = NULL
    WHERE failures > 0 AND webhook_id IN (SELECT webhook_id FROM taken)
)
SELECT count(*) FROM taken
"""
_encode = msgspec.json.Encoder().encode


class Owed(NamedTuple):
    """One webhook to be called about one customer; `occasion` says what about: the same one is owed once."""

    webhook_id: int
    customer_id: int
    occasion: str
    type: str
    data: Mapping[str, Any]


def owe(rows: Iterable[Owed]) -> int:
    """Write obligations; those that exist stay as they are. Returns how many are new.

    Call it in the transaction that handles the cause, so that both are kept or neither.
    """
    # One order for everybody, so that two writers of the same rows wait for each other and never deadlock.
    ordered = sorted({row[:3]: row for row in rows}.values(), key=lambda row: row[:3])
    if not ordered:
        return 0
    columns: list[Any] = [
        [uuid7() for _ in ordered],
        [row.webhook_id for row in ordered],
        [row.customer_id for row in ordered],
        [row.type for row in ordered],
        [row.occasion for row in ordered],
        [_encode(row.data).decode() for row in ordered],
    ]
    with connection.cursor() as cursor:
        cursor.execute(INSERT, columns)
        return int(cursor.rowcount)


def first_id_of_last_hour() -> UUID:
    """The least id that a call of the last hour can have: ids begin with their time (RFC 9562, UUID version 7)."""
    milliseconds = int((time.time() - 3600) * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)


@contextmanager
def alone() -> Iterator[bool]:
    """Whether nobody else makes calls now; nobody will until the context ends, or this process does.

    So slow receivers hold up one process of the workers, and never all of them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        mine: bool = cursor.fetchone()[0]
        try:
            yield mine
        finally:
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def claim(limit: int, lease_seconds: float = LEASE_SECONDS) -> list[Call]:
    """Take up to `limit` due calls, oldest first, at most `AT_ONCE` in flight for each webhook.

    The attempt is counted and committed before anything is returned: work that kills its process counts too.
    Raises RuntimeError inside of a transaction, where nothing would be committed.
    """
    values = {"limit": limit, "lease": lease_seconds, "failures": FAILURES, "at_once": AT_ONCE}
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, values)
            ids = [pk for (pk,) in cursor.fetchall()]
        rows = Call.objects.filter(pk__in=ids).select_related("webhook").order_by("due_at", "pk") if ids else ()
        return list(rows)


def settle_taken(taken: Sequence[tuple[Call, Answer]]) -> int:
    """Write down calls that were taken, whoever thinks of trying them again; how many nobody had written down yet.

    The receivers work: whatever they failed before is forgotten.
    """
    if not taken:
        return 0
    columns: list[Any] = [
        [call.pk for call, _ in taken],
        [answer.status for _, answer in taken],
        [told(answer.text, SHOWN) for _, answer in taken],
    ]
    with connection.cursor() as cursor:
        cursor.execute(TAKEN, columns)
        return int(cursor.fetchone()[0])


def settle(call: Call, answer: Answer, then: Next) -> bool:
    """Write down what came of an attempt that failed; False where somebody else has taken the call over meanwhile."""
    due = {"due_at": Now() + timedelta(seconds=then.wait_seconds)} if then.state == State.PENDING else {}
    return move(
        call,
        held(call, State.CALLING),
        state=then.state,
        status=answer.status,
        answer=told(answer.text, SHOWN),
        problem=told(then.problem, PROBLEM_LENGTH),
        lease_until=None,
        **due,
    )


def recover() -> int:
    """Give back what dead callers left, to be called again with the same id; how many."""
    late = Call.objects.filter(state=State.CALLING, lease_until__lt=Now())
    given_up = f"Given up: its caller stopped {MOST_ATTEMPTS} times."
    dead = late.filter(attempts__gte=MOST_ATTEMPTS).update(state=State.DEAD, lease_until=None, problem=given_up)
    stopped = "Its caller stopped before the answer."
    return dead + late.update(state=State.PENDING, lease_until=None, problem=stopped)


def note_taken(webhook_id: int) -> None:
    """The receiver takes calls: whatever it failed before is forgotten."""
    failing = Receiver.objects.filter(webhook_id=webhook_id, failures__gt=0)
    failing.update(failures=0, pauses=0, failing_since=None, paused_until=None)


def note_failed(webhook_id: int) -> timedelta | None:
    """One more failure in a row; for how long the webhook is left in peace because of it, if it is."""
    with transaction.atomic():
        Receiver.objects.get_or_create(webhook_id=webhook_id)
        row = Receiver.objects.select_for_update().annotate(now=Now()).get(webhook_id=webhook_id)
        row.failures += 1
        row.failing_since = row.failing_since or row.now
        pause = None
        # Calls that were in flight already when a pause began are no reason for a longer one.
        if row.failures >= FAILURES and (row.paused_until is None or row.paused_until <= row.now):
            pause = timedelta(seconds=min(FIRST_PAUSE * 2 ** min(row.pauses, 20), LONGEST_PAUSE))
            row.pauses, row.paused_until = row.pauses + 1, row.now + pause
        row.save()
    return pause


def switch_off(webhook_id: int, notice: str) -> None:
    """No more calls to this webhook until a person switches it on again; what is owed waits."""
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook_id).update(active=False)
        Receiver.objects.update_or_create(webhook_id=webhook_id, defaults={"notice": notice})


def call_again(rows: QuerySet[Call]) -> int:
    """Owe dead calls again, due now, with all their attempts; how many. One that is not dead is left alone."""
    dead = Call.objects.filter(pk__in=rows.values("pk"), state=State.DEAD)
    return dead.update(state=State.PENDING, attempts=0, due_at=Now(), problem="", status=None)


def age_out() -> int:
    """Give up what waited for days uncalled, and forget what was settled long ago; how many are forgotten."""
    waited = Call.objects.filter(state=State.PENDING, due_at__lt=Now() - timedelta(days=WAITED_DAYS))
    waited.update(state=State.DEAD, problem=f"Given up: not called within {WAITED_DAYS} days.")
    done = Call.objects.filter(state=State.DONE, done_at__lt=Now() - timedelta(days=DONE_DAYS))
    dead = Call.objects.filter(state=State.DEAD, due_at__lt=Now() - timedelta(days=DEAD_DAYS))
    return sum(rows._raw_delete(rows.db) for rows in (done, dead))
