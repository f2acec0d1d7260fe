"""A path, headers and a body in; status, headers and a body out: what both the WSGI lane and the views call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import msgspec
from django.conf import settings

from ..config import clock
from ..customers.intake import places
from ..engine.prepare import Prepared
from ..flows.batch import MAX_BODY as MAX_MANY
from ..flows.batch import BatchRequest
from ..flows.contract import MAX_BODY, Refused
from ..flows.decide import decide
from ..flows.decide_many import decide_many
from ..flows.decide_many import read as read_many
from ..flows.first import unlimited
from ..flows.origin import NOWHERE, Origin
from ..flows.take import take_outcome
from ..flows.timing import Stages
from ..store.keyring import Key, find_all, known
from ..store.ledger import ledger
from ..store.profiles import of_batches, shared
from ..store.snapshot import holder
from . import cors, intake, limits
from .encoding import too_large
from .intake import CORS, PREFLIGHT, Call
from .keys import allow, may

MAX_READ = max(MAX_BODY, intake.MAX_BATCH)
DECIDE, MANY, OUTCOMES = "/v1/decide", "/v1/decide/batch", "/v1/outcomes"
# The scope that each of them asks for.
ASKED = {DECIDE: "decide", MANY: "decide", OUTCOMES: "track"}

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
        return path in intake.PATHS or path in ASKED
    if method == "OPTIONS":
        return intake.is_tracking(path) or path in ASKED
    return method == "GET" and intake.is_document(path)


def answer(path: str, headers: Mapping[str, str], body: bytes, query: str = "", method: str = "POST") -> Reply:
    """Check the key, call the flow, wrap the answer. `headers` have their names in lower case."""
    if intake.is_tracking(path):
        return _tracked(Call(path, headers, body, query), method)
    stages, now = Stages(), datetime.now(UTC)
    holder.start()
    prepared = holder.current
    if method == "OPTIONS":
        return Reply(204, cors.preflight(find_all(prepared), ASKED[path], headers, now), b"")
    more: Headers = [cors.VARY]
    many: BatchRequest | None = None
    try:
        longest = MAX_MANY if path == MANY else MAX_BODY
        if len(body) > longest:
            raise too_large(longest)
        # Without any snapshot there are no keys to check against: decisions fail open (with nothing to show), the rest
        # is refused until there is one.
        key = None
        if known(prepared) or path != DECIDE:
            key = allow(headers, prepared, ASKED[path], now)
            more += cors.opened(key, headers)
            quota = _counted(path, key)
            if path == MANY:
                many = read_many(body)
                quota = _counted_again(many, key)
            more += quota
    except Refused as refused:
        return _reply(refused.status, refused.body(), [*more, *headers_of(refused)])
    stages.mark("key")
    status, raw = _asked(path, headers, many or body, prepared, key, stages)
    stages.mark("outcome" if path == OUTCOMES else "encode")
    return _reply(status, raw, [*more, ("Server-Timing", stages.header())])


def _asked(
    path: str,
    headers: Mapping[str, str],
    body: bytes | BatchRequest,
    prepared: Prepared | None,
    key: Key | None,
    stages: Stages,
) -> tuple[int, bytes]:
    """What the flow behind a path answers."""
    now = clock.now()
    reads = key is not None and may(key.scopes, "read")
    if isinstance(body, BatchRequest):
        return decide_many(body, prepared, of_batches(), ledger, now, stages, reads)
    if path == OUTCOMES:
        return take_outcome(body, now, ledger.count, key.prefix if key else "")
    origin = origin_of(headers) if places.wanted() else NOWHERE
    tells = key is not None and may(key.scopes, "track")
    spend = partial(limits.spend_events, key.prefix, intake.rate_of(key), limits.limiter) if key else unlimited
    seconds = settings.REPLY_CACHE_SECONDS
    return decide(body, prepared, shared(), ledger, now, seconds, origin, stages, tells, reads, spend)


def _counted(path: str, key: Key) -> Headers:
    """The headers of what the key's limit leaves. Raises Wait when nothing is left."""
    kind, rate = ("outcomes", key.outcome_rate) if path == OUTCOMES else ("decisions", key.decide_rate)
    return limits.spent(kind, key.prefix, rate, limits.limiter)


def _counted_again(many: BatchRequest, key: Key) -> Headers:
    """A batch costs a decision for each customer. It is taken whole: what it overdraws the next call waits for."""
    return limits.charged("decisions", key.prefix, key.decide_rate, many.size - 1, limits.limiter)


def headers_of(refused: Refused) -> Headers:
    """The headers that a refusal brings along: how long to wait."""
    return refused.headers if isinstance(refused, limits.Wait) else []


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
    except Refused as refused:
        # Pages that a key is not meant for may not even read why.
        open_to = [cors.VARY] if refused.code == "wrong_origin" else CORS
        return _reply(refused.status, _spoken(refused.body()), [*open_to, *headers_of(refused)])


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
