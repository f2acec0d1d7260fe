"""A page's origin and a key in; the headers that let the page read our answer, or none, out.

No cookie is ever read, so no header allows credentials: whoever has a key may ask, CORS only says which pages may.
Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from ..store.keyring import Key
from ..store.keys import ANYWHERE
from .keys import may

Headers = list[tuple[str, str]]

# Caches must keep the answers for different pages apart.
VARY = ("Vary", "Origin")
EXPOSED = "Server-Timing, RateLimit, RateLimit-Policy, Retry-After"
ALLOWED = "Authorization, Content-Type, X-API-Key"
# How long a browser may send without asking again, in seconds: also how long it goes on after an origin was taken off.
PREFLIGHT_SECONDS = 600


def opened(key: Key, headers: Mapping[str, str]) -> Headers:
    """What the answer to a call with this key carries, where a page of an allowed origin made it."""
    origin = headers.get("origin", "")
    if origin and ANYWHERE in key.origins:
        return _open(ANYWHERE)
    return _open(origin) if origin in key.origins else []


def preflight(keys: Iterable[Key], scope: str, headers: Mapping[str, str], now: datetime) -> Headers:
    """The answer to a browser that asks whether it may send. It names no key: any key of the origin will do."""
    origin = headers.get("origin", "")
    found = {one for key in keys if may(key.scopes, scope) and _in_force(key, now) for one in key.origins}
    if not origin or not found & {origin, ANYWHERE}:
        return [VARY]
    return [
        VARY,
        *_open(ANYWHERE if ANYWHERE in found else origin),
        ("Access-Control-Allow-Methods", "POST"),
        ("Access-Control-Allow-Headers", ALLOWED),
        ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
    ]


def _in_force(key: Key, now: datetime) -> bool:
    return key.expires_at is None or key.expires_at > now


def _open(value: str) -> Headers:
    return [
        ("Access-Control-Allow-Origin", value),
        ("Access-Control-Expose-Headers", EXPOSED),
        ("Timing-Allow-Origin", value),
    ]
