"""Events and outcomes in from a door, a file or a topic: committed before the answer, or refused with a reason."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import redis
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from msgspec import Meta, Struct

from ..customers.intake import letters, places
from ..customers.intake.ingest import Stored, store
from ..customers.intake.strict import refuse_nul
from ..customers.intake.tracking import SOMEBODY, Bad, Checked, Sender, Unreadable, check_body, check_items, corrected
from ..customers.plan import planning
from ..models import Outcome
from ..store import publishing, tokens
from ..store.connection import Breaker
from ..store.deadline import bounded
from .contract import Refused

log = logging.getLogger(__name__)

# A body that cannot be read at all is kept for a look when it is at most this long.
LONGEST_KEPT = 32 * 1024
# One round trip: it is stored, and the decision, where it is there already, says whether it came in time. A message id
# that is known already leaves the row as it is, and the row says whether it is the same outcome, whenever it is told.
KEEP = """
WITH kept AS (
    INSERT INTO decisioning_outcome (decision_id, content, kind, value, at, message_id)
    VALUES (%(decision)s, %(content)s, %(kind)s, %(value)s, %(at)s, %(message)s) ON CONFLICT DO NOTHING
    RETURNING true
)
SELECT coalesce((SELECT * FROM kept), k.same), (
    SELECT decisioning_in_time(d.windows, %(kind)s, d.at, coalesce(k.at, %(at)s)) FROM decisioning_decision d
    WHERE d.id = %(decision)s)
FROM (VALUES (1)) AS one LEFT JOIN (
    SELECT o.at, (o.decision_id, o.content, o.kind, o.value) = (%(decision)s, %(content)s, %(kind)s, %(value)s) AS same
    FROM decisioning_outcome o WHERE o.message_id = %(message)s
) AS k ON true
"""
BAD_TOKEN, UNKNOWN_TYPE, DUPLICATE = "bad_token", "unknown_type", "duplicate"  # the names they are counted under
TAKEN = "This message_id is another outcome's already, so nothing was stored. Give each outcome an id of its own."
# What is refused, each by whom it came: "forged pixel", "unreadable dk_1a2b3c4d".
TOKENS = "tokens"

Kind = Literal["impression", "click", "conversion"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What was done with some items: events added, events known already, items refused."""

    added: int
    duplicates: int
    bad: list[Bad]


class Duplicate(Exception):
    """A message id that another outcome has."""


class OutcomeRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /v1/outcomes`. `message_id` makes a retry count once; each outcome has its own."""

    token: Annotated[str, Meta(max_length=400)]
    type: Kind
    message_id: Annotated[str, Meta(min_length=1, max_length=100)]
    value: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    timestamp: datetime | None = None


# What is counted, the name it is counted under, and when.
Count = Callable[[str, str, datetime], None]


def ignored(what: str, name: str, now: datetime) -> None:
    """Counts nothing."""


_outcome = msgspec.json.Decoder(OutcomeRequest)
_told = Breaker()


def take_events(
    body: bytes, kind: str, now: datetime, source: str = "api", sender: Sender = SOMEBODY
) -> tuple[int, bytes]:
    """Answer one tracking call. 200 means every event not listed in `errors` is committed."""
    try:
        with bounded(settings.INTAKE_DEADLINE_SECONDS):
            return _answer(*_checked(body, kind, now, source, sender), now, source)
    except Refused as refused:
        return refused.status, refused.body()
    except (OperationalError, InterfaceError) as error:
        return _away(error)


def _checked(body: bytes, kind: str, now: datetime, source: str, sender: Sender) -> tuple[list[Checked], list[Bad]]:
    try:
        good, bad = check_body(body, kind, now, sender)
    except Unreadable as error:
        if len(body) <= LONGEST_KEPT:
            letters.keep([(error.code, error.message, body)], source, now)
        raise Refused(400, error.code, error.message) from None
    if not good and not bad:
        raise Refused(400, "empty_batch", "The batch is empty.")
    return good, bad


def _answer(good: list[Checked], bad: list[Bad], now: datetime, source: str) -> tuple[int, bytes]:
    taken = take(good, bad, source, now)
    answer: dict[str, Any] = {
        "success": not taken.bad,
        "added": taken.added,
        "duplicates": taken.duplicates,
        "errors": [{"index": one.index, "code": one.code, "message": one.message} for one in taken.bad],
    }
    if len(taken.bad) < len(good) + len(bad):
        return 200, msgspec.json.encode(answer)
    error = {"code": taken.bad[0].code, "message": taken.bad[0].message}
    return 400, msgspec.json.encode({"error": error, **answer})


def take_items(items: Sequence[bytes], source: str, now: datetime) -> Taken:
    """The same for single events of a file, a topic or a dead letter; raises OperationalError when nothing was kept."""
    # Their senders may name the customer's address; that of the file or the topic says nothing.
    sender = Sender(locate=places.of_address) if places.wanted() else SOMEBODY
    good, bad = check_items(items, now, sender=sender)
    return take(good, bad, source, now)


def take(good: list[Checked], bad: list[Bad], source: str, now: datetime) -> Taken:
    """Commit what is good and fits the tracking plan; what is refused becomes dead letters."""
    good, bad = planning.sift(good, bad, now)
    stored = store(good, now, source, planning.keeps())
    letters.keep([(one.code, one.message, one.raw) for one in bad], source, now)
    introduce(stored)
    return Taken(stored.added, stored.duplicates, bad)


def introduce(stored: Stored) -> None:
    """Let decisions know the newcomers at once; the consumer repeats it, so a failure here only delays."""
    if stored.newcomers:
        try:
            publishing.introduce(stored.newcomers)
        except redis.RedisError as error:
            log.warning("customers wait for Redis: %s", error)


def count_refused(error: Exception, by: str, now: datetime, count: Count) -> None:
    """Count a token that is none, under why and by whom it came."""
    why = error.why if isinstance(error, tokens.BadToken) else tokens.UNREADABLE
    count("outcomes", BAD_TOKEN, now)
    count(TOKENS, f"{why} {by}", now)


def take_outcome(body: bytes, now: datetime, count: Count = ignored, by: str = "") -> tuple[int, bytes]:
    """Answer one outcome call. The same again, by its `message_id`, is answered the same and counted once.

    `count` is told of tokens that are none and of unknown types; `by` is the prefix of the key that sent them.
    """
    try:
        refuse_nul(body)
        request = _outcome.decode(body)
        at = corrected(request.timestamp, None, now)
        row = row_of(request.token, request.type, request.message_id, at, request.value)
        attributed = keep_outcome(row)
    except Duplicate:
        count(TOKENS, f"{DUPLICATE} {by}", now)
        refused = Refused(409, DUPLICATE, TAKEN)
        return refused.status, refused.body()
    except tokens.BadToken as error:
        count_refused(error, by, now, count)
        refused = Refused(400, "invalid_token", str(error))
        return refused.status, refused.body()
    except (ValueError, RecursionError) as error:
        if str(error).endswith("`$.type`"):
            count(TOKENS, f"{UNKNOWN_TYPE} {by}", now)
        refused = Refused(400, "invalid_request", f"The body cannot be read: {error}")
        return refused.status, refused.body()
    except (OperationalError, InterfaceError) as error:
        return _away(error)
    return 200, msgspec.json.encode({"success": True, "attributed": attributed})


def row_of(token: str, kind: str, message_id: str, at: datetime, value: float = 0.0) -> Outcome:
    """The outcome that a token tells of; raises BadToken for one not issued by us."""
    decision_id, content = tokens.read(token)
    return Outcome(decision_id=decision_id, content=content, kind=kind, value=value, at=at, message_id=message_id)


def keep_outcomes(rows: Sequence[Outcome]) -> None:
    """Store outcomes; those whose `message_id` is known already are left as they were."""
    with bounded(settings.INTAKE_DEADLINE_SECONDS):
        Outcome.objects.bulk_create(rows, ignore_conflicts=True)


def keep_outcome(row: Outcome) -> bool:
    """Store one outcome; whether it came in time, which it did where its decision is not in the ledger yet.

    Raises Duplicate where its `message_id` is another outcome's: another decision's, content's, kind or value.
    """
    words: dict[str, Any] = {
        "decision": row.decision_id,
        "content": row.content,
        "kind": row.kind,
        "value": row.value,
        "at": row.at,
        "message": row.message_id,
    }
    with bounded(settings.INTAKE_DEADLINE_SECONDS), connection.cursor() as cursor:
        same, in_time = None, None
        while same is None:  # what another call stored at this very moment is seen when it is looked for again
            cursor.execute(KEEP, words)
            same, in_time = cursor.fetchone()
    if not same:
        raise Duplicate
    return in_time is not False


def _away(error: Exception) -> tuple[int, bytes]:
    # Thousands of requests a second may meet it; one line a second says as much.
    if _told.closed():
        _told.trip()
        log.error("the database is away: %s", error)
    refused = Refused(503, "unavailable", "Nothing was stored: the database is away. Send the same body again later.")
    return refused.status, refused.body()
