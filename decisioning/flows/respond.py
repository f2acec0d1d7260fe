"""What followed decisions, and messages that were sent, in; events of the log, so that facts know of them, out.

An outcome does not name its customer, the ledger's row does; that row is written a little later. An outcome becomes
an event and is marked as told in one transaction, and an event's message id is its outcome's: whatever is killed when,
and however many tell at once, each becomes one event. A sent message is told when no event has its message id.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction

from ..customers.identity.known import PREFIXES
from ..customers.intake import identifiers
from ..customers.intake.incoming import Checked
from ..customers.intake.ingest import Stored, store
from ..customers.models import Identity
from ..customers.plan import planning
from ..models import Outcome
from .take import introduce

log = logging.getLogger(__name__)

VIEWED, CLICKED, CONVERTED, SENT = "Content Viewed", "Content Clicked", "Content Converted", "Message Sent"
NAMES: Final = {
    str(Outcome.Kind.IMPRESSION): VIEWED,
    str(Outcome.Kind.CLICK): CLICKED,
    str(Outcome.Kind.CONVERSION): CONVERTED,
}
SOURCE: Final = "responses"
AT_ONCE: Final = 500
# An outcome waits so long for its decision; the decision's own age counts too, since clients may date outcomes back.
PATIENCE: Final = timedelta(minutes=10)
# How far back a process looks for messages when it starts, and how far behind the present afterwards.
LOOK_BACK, MARGIN = timedelta(hours=48), timedelta(minutes=10)
ANONYMOUS: Final = PREFIXES[str(Identity.Kind.ANONYMOUS)]
LONGEST_KEY: Final = 200

# A customer's own identifiers before those that came with a merge: when that is undone, the events stay with them.
STRONGEST: Final = """
    SELECT i.kind, i.value FROM customers_customer c
    JOIN customers_identity i ON i.customer_id = coalesce(c.merged_into_id, c.id) WHERE c.id = {customer}
    ORDER BY i.home_id IS NOT NULL AND i.home_id <> c.id, array_position(%s::text[], i.kind::text), i.id LIMIT 1
"""
OUTCOMES: Final = f"""
WITH waiting AS MATERIALIZED (
    SELECT o.* FROM decisioning_outcome o
    WHERE NOT o.told AND EXISTS (SELECT FROM decisioning_decision d WHERE d.id = o.decision_id)
    ORDER BY o.id LIMIT %s FOR UPDATE OF o SKIP LOCKED
)
SELECT w.id, w.decision_id, w.content, w.kind, w.value, w.at, w.message_id, d.placement, d.customer_id, d.customer_key,
       who.kind, who.value
FROM waiting w JOIN decisioning_decision d ON d.id = w.decision_id
LEFT JOIN LATERAL ({
    STRONGEST.format(
        customer="coalesce(d.customer_id, (SELECT k.id FROM customers_customer k WHERE k.key = d.customer_key))"
    )
}) AS who ON true ORDER BY w.id
"""  # noqa: S608
TOLD: Final = "UPDATE decisioning_outcome SET told = true WHERE id = ANY(%s)"
GIVE_UP: Final = """
UPDATE decisioning_outcome SET told = true WHERE id IN (
    SELECT o.id FROM decisioning_outcome o WHERE NOT o.told AND o.at < %s AND o.decision_id < %s
    AND NOT EXISTS (SELECT FROM decisioning_decision d WHERE d.id = o.decision_id)
    ORDER BY o.id LIMIT %s FOR UPDATE SKIP LOCKED
)
"""
# A receipt is the first half of the SHA-256 of a message id: `intake.ingest.digest_of`.
MESSAGES: Final = f"""
SELECT m.id, m.sent_at, c.key, c.channel, who.kind, who.value
FROM campaigns_message m JOIN campaigns_campaign c ON c.id = m.campaign_id
JOIN LATERAL ({STRONGEST.format(customer="m.customer_id")}) AS who ON true
WHERE m.state = 'sent' AND m.sent_at >= %s AND NOT EXISTS (
    SELECT FROM customers_receipt r
    WHERE r.digest = encode(substring(sha256(convert_to('message:' || m.id, 'UTF8')) FOR 16), 'hex')::uuid
) ORDER BY m.sent_at, m.id LIMIT %s FOR NO KEY UPDATE OF m SKIP LOCKED
"""  # noqa: S608

_encode = msgspec.json.Encoder().encode


class Followed(NamedTuple):
    """An outcome with its decision, and the identity it belongs to where the customer has one."""

    id: int
    decision_id: UUID
    content: str
    outcome: str
    worth: float
    at: datetime
    message_id: str
    placement: str
    customer_id: int | None
    customer_key: str
    kind: str | None
    value: str | None


class Sendings:
    """From when on this process looks for sent messages: everything before was told."""

    def __init__(self) -> None:
        self.since: datetime | None = None

    def begin(self, real: datetime) -> datetime:
        """The moment to look from; `real` is real time, as `sent_at` is."""
        return self.since or real - LOOK_BACK

    def end(self, real: datetime) -> None:
        """Everything up to `real` was told; what commits late is within the margin."""
        self.since = real - MARGIN


sendings = Sendings()


def forget() -> None:
    """Look for sent messages as far back as a new process does."""
    sendings.since = None


def tell(now: datetime, limit: int = AT_ONCE) -> int:
    """Write up to `limit` outcomes and as many sent messages into the log; how many were dealt with.

    Fewer than `limit` means that nothing is left for the moment. Raises OperationalError when nothing was written.
    """
    offset = timedelta(seconds=settings.CLOCK_OFFSET)
    outcomes, first = _tell_outcomes(now, limit)
    messages, second = _tell_messages(now - offset, offset, now, limit)
    introduce(first)
    introduce(second)
    return outcomes + _give_up(now, now - offset, limit) + messages


def _tell_outcomes(now: datetime, limit: int) -> tuple[int, Stored]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(OUTCOMES, [limit, list(identifiers.KINDS)])
            rows = [Followed(*row) for row in cursor.fetchall()]
        events = [event for event in map(_event, rows) if event is not None]
        stored = store(events, now, SOURCE, planning.keeps())
        if rows:
            with connection.cursor() as cursor:
                cursor.execute(TOLD, [[row.id for row in rows]])
    return len(rows), stored


def _event(row: Followed) -> Checked | None:
    """The outcome as an event of whom the decision was for; None where that is nobody any more, or never was."""
    whose = _whose(row)
    if not whose:
        return None
    said: dict[str, Any] = {"content": row.content, "placement": row.placement, "decision_id": str(row.decision_id)}
    if row.worth or row.outcome == Outcome.Kind.CONVERSION:
        said["value"] = row.worth
    return _checked(f"outcome:{row.message_id}", NAMES[row.outcome], whose, said, row.at)


def _whose(row: Followed) -> tuple[tuple[str, str], ...]:
    if row.kind and row.value:
        return ((row.kind, row.value),)
    # A visitor whom nobody knew when it was decided; an id cut to the ledger's length would be somebody else's.
    if row.customer_id is None and row.customer_key.startswith(ANONYMOUS) and len(row.customer_key) < LONGEST_KEY:
        return identifiers.found("", row.customer_key.removeprefix(ANONYMOUS), None, None)
    return ()


def _give_up(now: datetime, real: datetime, limit: int) -> int:
    """Outcomes whose decision will never be there: it was a dry run, or its process was killed before it wrote."""
    oldest = UUID(int=max(0, int((real - PATIENCE).timestamp() * 1000)) << 80)
    with connection.cursor() as cursor:
        cursor.execute(GIVE_UP, [now - PATIENCE, oldest, limit])
        lost = int(cursor.rowcount)
    if lost:
        log.warning("%s outcomes belong to decisions that the ledger does not have; they are in no fact", lost)
    return lost


def _tell_messages(real: datetime, offset: timedelta, now: datetime, limit: int) -> tuple[int, Stored]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(MESSAGES, [list(identifiers.KINDS), sendings.begin(real), limit])
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
        stored = store([_sending(row, offset) for row in rows], now, SOURCE, planning.keeps())
    if len(rows) < limit:
        sendings.end(real)
    return len(rows), stored


def _sending(row: Sequence[Any], offset: timedelta) -> Checked:
    """A sent message as an event, when the product's clock showed that moment."""
    pk, sent_at, campaign, channel, kind, value = row
    said = {"campaign": campaign, "channel": channel, "message": pk}
    return _checked(f"message:{pk}", SENT, ((kind, value),), said, sent_at + offset)


def _checked(
    message_id: str, name: str, whose: tuple[tuple[str, str], ...], said: dict[str, Any], at: datetime
) -> Checked:
    return Checked(message_id, "track", name, whose, _encode(said).decode(), "{}", at)
