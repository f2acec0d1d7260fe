"""A path, headers and a body in; status, headers and a body out: what both the WSGI lane and the views call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings

from ..config import clock
from ..customers.tracking import MAX_BATCH
from ..flows.contract import MAX_BODY, Refused
from ..flows.decide import decide
from ..flows.take import take_events, take_outcome
from ..store.ledger import ledger
from ..store.profiles import shared
from ..store.snapshot import holder
from .keys import allow

MAX_READ = max(MAX_BODY, MAX_BATCH)
DECIDE, OUTCOMES = "/v1/decide", "/v1/outcomes"
TRACKING = {f"/v1/{kind}": kind for kind in ("batch", "identify", "track", "page", "screen", "group", "alias")}

Headers = list[tuple[str, str]]
JSON: tuple[str, str] = ("Content-Type", "application/json")
# Answers are personal: no proxy may keep them.
PRIVATE: tuple[str, str] = ("Cache-Control", "private, no-store")


class Reply(NamedTuple):
    """What goes back."""

    status: int
    headers: Headers
    body: bytes


def is_hot(path: str) -> bool:
    """Whether this path is answered before Django's request stack."""
    return path in (DECIDE, OUTCOMES) or path in TRACKING


def answer(path: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Check the key, call the flow, wrap the answer."""
    holder.start()
    prepared = holder.current
    scope = "decide" if path == DECIDE else "track"
    try:
        limit = MAX_BATCH if path in TRACKING else MAX_BODY
        if len(body) > limit:
            raise Refused(413, "too_large", f"The body is larger than {limit // 1024} KiB.")
        # Without any snapshot there are no keys to check against: decisions fail open (with nothing to show), the rest
        # is refused until there is one.
        if prepared is not None or path != DECIDE:
            allow(headers, prepared, scope, datetime.now(UTC))
    except Refused as refused:
        return _reply(refused.status, refused.body())
    now = clock.now()
    if path == DECIDE:
        return _reply(*decide(body, prepared, shared(), ledger, now, settings.REPLY_CACHE_SECONDS))
    if path == OUTCOMES:
        return _reply(*take_outcome(body, now))
    return _reply(*take_events(body, TRACKING[path], now))


def _reply(status: int, body: bytes) -> Reply:
    extra: Headers = [("Retry-After", "1")] if status == 503 else []
    if status == 401:
        extra = [("WWW-Authenticate", 'Bearer realm="decisioning"')]
    return Reply(status, [JSON, PRIVATE, *extra], body)
