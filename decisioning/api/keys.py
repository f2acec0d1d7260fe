"""Headers and the snapshot's keys in; nothing out when the call is allowed, a Refused that says the cure otherwise."""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ..engine.prepare import Prepared
from ..flows.contract import Refused
from ..store.keyring import Key, find, known, ring
from ..store.keys import ANYWHERE, INCLUDED, PREFIX_LENGTH, digest_of

# Ours have 44 characters; nobody makes us hash a body.
LONGEST = 200
NOBODY = "0" * 64


class _Keyed(msgspec.Struct, rename="camel"):
    write_key: str | None = None


_keyed = msgspec.json.Decoder(_Keyed)


def presented(headers: Mapping[str, str]) -> str:
    """The key a client sent: `Authorization: Bearer …`, `X-API-Key: …`, or the user name of Basic authorization."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return headers.get("x-api-key", "").strip()


def written(body: bytes) -> str:
    """The `writeKey` of a tracking body, where browsers put it that may set no header; "" without one."""
    if b'"writeKey"' not in body:
        return ""
    try:
        return _keyed.decode(body).write_key or ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def allow(headers: Mapping[str, str], prepared: Prepared | None, scope: str, now: datetime) -> Key:
    """The key of a call, found in its headers, `origin` among them. Raises Refused as `admit` does."""
    return admit(presented(headers), prepared, scope, now, headers.get("origin", ""))


def admit(whole: str, prepared: Prepared | None, scope: str, now: datetime, origin: str = "") -> Key:
    """The key itself; raises Refused unless it exists, is in force at `now` (real time), has the scope, and is not
    used by a page of an `origin` that it is not meant for."""
    if not known(prepared):
        raise Refused(503, "unavailable", "This process has no snapshot yet, so it knows no keys. Try again shortly.")
    if not whole:
        raise Refused(401, "no_key", "Send an API key: 'Authorization: Bearer <key>'. Keys are made in the admin.")
    key = find(whole[:PREFIX_LENGTH], prepared)
    # A prefix that nobody has takes the same steps as a wrong secret.
    same = len(whole) <= LONGEST and hmac.compare_digest(key.digest if key else NOBODY, digest_of(whole))
    if key is None or not same:
        raise Refused(401, "wrong_key", "This API key is not known or was switched off. Make a new one in the admin.")
    if key.expires_at is not None and key.expires_at <= now:
        raise Refused(401, "expired_key", "This API key has expired. Make a new one in the admin.")
    if not may(key.scopes, scope):
        raise Refused(403, "wrong_scope", f"This API key may not '{scope}'; it may: {', '.join(key.scopes)}.")
    if not opens(key, origin):
        raise Refused(
            403,
            "wrong_origin",
            f"Pages of {origin[:200]!r} may not use this API key. Add the origin to the key in the admin.",
        )
    ring.use(key.prefix, now.date())
    return key


def may(scopes: Sequence[str], scope: str) -> bool:
    """Whether a key with these scopes may do what `scope` names; some include others."""
    return scope in scopes or any(scope in INCLUDED.get(held, ()) for held in scopes)


def opens(key: Key, origin: str) -> bool:
    """Whether a page of this origin may use the key. Compared whole, as browsers send it; without one, nothing bars."""
    return not origin or not key.origins or origin in key.origins or ANYWHERE in key.origins
