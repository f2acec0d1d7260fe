"""A tracking call as any client sends it in; the reply out: its key, its encoding, its form, its rate.

| path | what |
|---|---|
| `/v1/batch`, `/v1/b`, `/v1/import`, `/beacon/v1/batch` | a batch (all clients, old and new) |
| `/v1/identify`, … and `/v1/i`, `/v1/t`, `/v1/p`, `/v1/g`, `/v1/a`, `/v1/s` | one event |
| `/v1/events` | CloudEvents, in any of their three HTTP forms |
| `/v1/m` | the browser bundle's counters about itself: answered, not kept |
| `/v1/projects/<key>/settings`, `/sourceConfig/` | what clients load first |
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec
from django.conf import settings
from msgspec.structs import replace

from ..config import clock
from ..customers.intake import cloudevents, places
from ..customers.intake.incoming import MAX_BATCH, SINGLE, Sender
from ..customers.intake.strict import Unfit
from ..engine.prepare import Prepared
from ..flows.contract import Refused
from ..flows.take import take_events
from ..store.keyring import Key
from . import sources
from .encoding import too_large, unpacked
from .keys import admit, presented, written
from .limits import Wait, limiter

EVENTS, METRICS = "/v1/events", "/v1/m"
MAIN = {f"/v1/{kind}": kind for kind in ("batch", *SINGLE)}
PATHS = {
    **MAIN,
    **{f"/v1/{kind[0]}": kind for kind in ("batch", *SINGLE)},
    "/beacon/v1/batch": "batch",
    "/v1/import": "batch",
    EVENTS: "events",
    METRICS: "metrics",
}
# Where only browsers send: the short paths and the beacon.
BROWSER = frozenset(PATHS) - frozenset(MAIN) - {EVENTS, "/v1/import"}
FORMS = {"application/cloudevents+json": "cloudevent", "application/cloudevents-batch+json": "cloudevents"}
# Browsers send from other origins. No cookie is read here, so any origin may; `*` alone would not cover Authorization.
CORS: list[tuple[str, str]] = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After, RateLimit, RateLimit-Policy"),
]
PREFLIGHT: list[tuple[str, str]] = [
    *CORS,
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Encoding, X-API-Key, AnonymousId, *"),
    ("Access-Control-Max-Age", "86400"),
]


class Call(NamedTuple):
    """A request: header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""


def is_tracking(path: str) -> bool:
    """Whether this path takes events, or tells a client where to send them."""
    return path in PATHS or is_document(path)


def is_document(path: str) -> bool:
    """Whether this path is a settings document, asked for with GET."""
    return path in sources.RUDDER or bool(sources.settings_key(path))


def document(call: Call, prepared: Prepared | None) -> bytes:
    """The settings that the client of a key needs. Raises Refused for a key that may not track."""
    now, origin = datetime.now(UTC), call.headers.get("origin", "")
    if whole := sources.settings_key(call.path):
        admit(whole, prepared, "track", now, origin)
        return sources.segment(whole, settings.PUBLIC_URL)
    key = admit(presented(call.headers) or _asked(call.query), prepared, "track", now, origin)
    return sources.rudder(key.prefix, prepared.built_at if prepared else now)


def taken(call: Call, prepared: Prepared | None) -> tuple[int, bytes]:
    """The status and the JSON for a call with events. Raises Refused for what is refused as a whole."""
    if len(call.body) > MAX_BATCH:
        raise too_large(MAX_BATCH)
    kind = PATHS[call.path]
    if kind == "metrics":
        return 200, msgspec.json.encode({"success": True})
    body = unpacked(call.body, call.headers.get("content-encoding", ""), MAX_BATCH)
    whole = presented(call.headers) or _asked(call.query) or written(body)
    key = admit(whole, prepared, "track", datetime.now(UTC), call.headers.get("origin", ""))
    if rate := rate_of(key):
        _pass(key.prefix, body, rate)
    kind, body = _form(kind, call.headers, body)
    # The header is the customer's own where a browser sends; elsewhere it is that of a server's library.
    agent = call.headers.get("user-agent", "") if call.path in BROWSER else ""
    sender = Sender(agent, _plain(call.headers.get("anonymousid", "")))
    if places.wanted():
        sender = _placed(sender, call)
    return take_events(body, kind, clock.now(), call.path, sender)


def rate_of(key: Key) -> int:
    """How many events a second the key may send; 0 is no limit."""
    return settings.INTAKE_EVENTS_PER_SECOND if key.event_rate is None else key.event_rate


def _placed(sender: Sender, call: Call) -> Sender:
    own = call.path in BROWSER or places.is_own(call.headers)
    return replace(sender, own=own, place=places.of_request(call.headers), locate=places.of_address)


def _pass(key: str, body: bytes, rate: int) -> None:
    """Events are counted by their ids, which is cheap and needs no parsing."""
    events = max(1, body.count(b'"messageId"'), body.count(b'"specversion"'))
    if seconds := limiter.wait(key, events, rate):
        raise Wait(seconds, "events", rate)


def _form(kind: str, headers: Mapping[str, str], body: bytes) -> tuple[str, bytes]:
    """What the check shall read: CloudEvents are told by their content type or their headers, not by the path."""
    form = FORMS.get(headers.get("content-type", "").partition(";")[0].strip().lower())
    if form is not None:
        return form, body
    if cloudevents.is_binary(headers):
        try:
            return "cloudevent", cloudevents.joined(headers, body)
        except Unfit as error:
            raise Refused(400, error.code, error.message) from None
    if kind == "events":
        return ("cloudevents" if body.lstrip()[:1] == b"[" else "cloudevent"), body
    return kind, body


def _asked(query: str) -> str:
    """The `writeKey` of a query, which RudderStack's browser client sends with a beacon."""
    return parse_qs(query).get("writeKey", [""])[0] if "writeKey=" in query else ""


def _plain(anonymous_id: str) -> str:
    """RudderStack's header in Base64, or the plain text of others; "" where it is too long to be an id."""
    with suppress(binascii.Error, ValueError):
        decoded = b64decode(anonymous_id, validate=True).decode()
        anonymous_id = decoded if decoded.isprintable() else anonymous_id
    return anonymous_id if len(anonymous_id) <= 200 else ""
