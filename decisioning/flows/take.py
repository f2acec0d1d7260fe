"""Events and outcomes in from a door: committed to PostgreSQL before the answer, refused with a reason otherwise."""

import logging
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import redis
from django.db import InterfaceError, OperationalError
from msgspec import Meta, Struct

from ..customers.ingest import Stored, store
from ..customers.strict import refuse_nul
from ..customers.tracking import Bad, Unreadable, check_body, corrected
from ..models import Outcome
from ..store import profiles, tokens
from .contract import Refused

log = logging.getLogger(__name__)


class OutcomeRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of `POST /v1/outcomes`. `message_id` makes a retry count once."""

    token: Annotated[str, Meta(max_length=400)]
    type: Literal["impression", "click", "conversion"]
    message_id: Annotated[str, Meta(min_length=1, max_length=100)]
    value: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    timestamp: datetime | None = None


_outcome = msgspec.json.Decoder(OutcomeRequest)


def take_events(body: bytes, kind: str, now: datetime) -> tuple[int, bytes]:
    """Answer one tracking call. 200 means every event not listed in `errors` is committed."""
    try:
        good, bad = check_body(body, kind, now)
        if not good:
            raise Refused(400, "invalid_event", bad[0].message if bad else "The batch is empty.")
        stored = store(good, now)
    except Unreadable as error:
        refused = Refused(400, "invalid_request", str(error))
        return refused.status, refused.body()
    except Refused as refused:
        return refused.status, refused.body()
    except (OperationalError, InterfaceError) as error:
        return _away(error)
    introduce(stored)
    return 200, _receipt(stored, bad)


def introduce(stored: Stored) -> None:
    """Let decisions know the customers at once; the worker repeats it, so a failure here only delays."""
    if stored.added:
        try:
            profiles.publish(stored.customers)
        except redis.RedisError as error:
            log.warning("customers wait for Redis: %s", error)


def take_outcome(body: bytes, now: datetime) -> tuple[int, bytes]:
    """Answer one outcome call. The same `message_id` again is answered the same and counted once."""
    try:
        refuse_nul(body)
        request = _outcome.decode(body)
        decision_id, content = tokens.read(request.token)
        at = corrected(request.timestamp, None, now)
    except tokens.BadToken as error:
        refused = Refused(400, "invalid_token", str(error))
        return refused.status, refused.body()
    except (ValueError, RecursionError) as error:
        refused = Refused(400, "invalid_request", f"The body cannot be read: {error}")
        return refused.status, refused.body()
    row = Outcome(
        decision_id=decision_id,
        content=content,
        kind=request.type,
        value=request.value,
        at=at,
        message_id=request.message_id,
    )
    try:
        Outcome.objects.bulk_create([row], ignore_conflicts=True)
    except (OperationalError, InterfaceError) as error:
        return _away(error)
    return 200, msgspec.json.encode({"success": True})


def _receipt(stored: Stored, bad: list[Bad]) -> bytes:
    answer: dict[str, Any] = {"success": not bad, "added": stored.added, "duplicates": stored.duplicates, "errors": bad}
    return msgspec.json.encode(answer)


def _away(error: Exception) -> tuple[int, bytes]:
    log.error("the database is away: %s", error)
    refused = Refused(503, "unavailable", "Nothing was stored: the database is away. Send the same body again later.")
    return refused.status, refused.body()
