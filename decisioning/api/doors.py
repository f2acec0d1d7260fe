"""A path, headers and a body in; status, headers and a body out: what both the WSGI lane and the views call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from django.conf import settings

from ..config import clock
from ..customers.intake import places
from ..flows.contract import MAX_BODY, Refused
from ..flows.decide import decide
from ..flows.origin import NOWHERE, Origin
from ..flows.take import take_outcome
from ..store.ledger import ledger
from ..store.profiles import shared
from ..store.snapshot import holder
from . import intake
from .encoding import too_large
from .intake import CORS, PREFLIGHT, Call, Wait
from .keys import allow

MAX_READ = max(MAX_BODY, intake.MAX_BATCH)
DECIDE, OUTCOMES = "/v1/decide", "/v1/outcomes"

Headers = list[tuple[str, str]]
JSON: tuple[str, str] = ("Content-Type", "application/json")
# Answers are personal: no proxy may keep them.
PRIVATE: tuple[str, str] = ("Cache-Control", "private, no-store")


class Reply(NamedTuple):
    """What goes back."""

    status: int
    headers: Headers
    body: bytes


def is_hot(method: str, path: str) -> bool:
    """Whether this request is answered before Django's request stack."""
    if method == "POST":
        return path in intake.PATHS or path in (DECIDE, OUTCOMES)
    return (method == "GET" and intake.is_document(path)) or (method == "OPTIONS" and intake.is_tracking(path))


def answer(path: str, headers: Mapping[str, str], body: bytes, query: str = "", method: str = "POST") -> Reply:
    """Check the key, call the flow, wrap the answer. `headers` have their names in lower case."""
    if intake.is_tracking(path):
        return _tracked(Call(path, headers, body, query), method)
    holder.start()
    prepared = holder.current
    try:
        if len(body) > MAX_BODY:
            raise too_large(MAX_BODY)
        # Without any snapshot there are no keys to check against: decisions fail open (with nothing to show), the rest
        # is refused until there is one.
        if prepared is not None or path != DECIDE:
            allow(headers, prepared, "decide" if path == DECIDE else "track", datetime.now(UTC))
    except Refused as refused:
        return _reply(refused.status, refused.body())
    now = clock.now()
    if path == DECIDE:
        origin = origin_of(headers) if places.wanted() else NOWHERE
        return _reply(*decide(body, prepared, shared(), ledger, now, settings.REPLY_CACHE_SECONDS, origin))
    return _reply(*take_outcome(body, now))


def origin_of(headers: Mapping[str, str]) -> Origin:
    """Where a question may come from: the place of the request only where the customer's own browser asks."""
    return Origin(places.of_request(headers) if places.is_own(headers) else "", places.of_address)


def _tracked(call: Call, method: str) -> Reply:
    if method == "OPTIONS":
        return Reply(204, PREFLIGHT, b"")
    holder.start()
    try:
        if intake.is_document(call.path):
            return _reply(200, intake.document(call, holder.current), CORS)
        status, body = intake.taken(call, holder.current)
        return _reply(status, body if status < 400 else _spoken(body), CORS)
    except Wait as wait:
        return _reply(wait.status, _spoken(wait.body()), [*CORS, ("Retry-After", str(wait.seconds))])
    except Refused as refused:
        return _reply(refused.status, _spoken(refused.body()), CORS)


def _spoken(body: bytes) -> bytes:
    """Clients of Segment and RudderStack look for `code` and `message` at the top of an answer that is no 2xx."""
    said = msgspec.json.decode(body)
    return msgspec.json.encode({"success": False, **said["error"], **said})


def _reply(status: int, body: bytes, more: Headers | None = None) -> Reply:
    headers = [JSON, PRIVATE, *(more or ())]
    if status == 503:
        headers.append(("Retry-After", "1"))
    if status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="decisioning"'))
    return Reply(status, headers, body)
