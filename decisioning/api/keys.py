"""Headers and the snapshot's keys in; nothing out when the call is allowed, a Refused that says the cure otherwise."""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime

import msgspec

from ..engine.prepare import Prepared
from ..engine.types import KeyItem
from ..flows.contract import Refused
from ..store.keys import PREFIX_LENGTH, digest_of


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


def allow(headers: Mapping[str, str], prepared: Prepared | None, scope: str, now: datetime) -> KeyItem:
    """The key of a call, found in its headers. Raises Refused as `admit` does."""
    return admit(presented(headers), prepared, scope, now)


def admit(whole: str, prepared: Prepared | None, scope: str, now: datetime) -> KeyItem:
    """The key itself; raises Refused unless it exists, is in force at `now` (real time) and has the scope."""
    if prepared is None:
        raise Refused(503, "unavailable", "This process has no snapshot yet, so it knows no keys. Try again shortly.")
    if not whole:
        raise Refused(401, "no_key", "Send an API key: 'Authorization: Bearer <key>'. Keys are made in the admin.")
    key = prepared.keys.get(whole[:PREFIX_LENGTH])
    if key is None or not hmac.compare_digest(key.digest, digest_of(whole)):
        raise Refused(401, "wrong_key", "This API key is not known or was switched off. Make a new one in the admin.")
    if key.expires_at is not None and key.expires_at <= now:
        raise Refused(401, "expired_key", "This API key has expired. Make a new one in the admin.")
    if scope not in key.scopes:
        raise Refused(403, "wrong_scope", f"This API key may not '{scope}'; it may: {', '.join(key.scopes)}.")
    return key
