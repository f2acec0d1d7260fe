"""An identity comes in; what Redis knows of that customer comes out, in one round trip: the request's way to people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import redis

from ..engine.types import Profile
from .connection import Breaker, hot

PROFILE, WHO, READY, REPLY = "profile:{}", "who:{}:{}", "profiles:ready", "reply:"
CUSTOMER = "customer_id"

# KEYS: identities, the first that is somebody's counts. ARGV: what the reply depends on beside the customer, and
# whether any content may be shown only so often. A reply's key holds the customer, the version of their profile, how
# much of what is capped they saw and everything the request asked, so nothing ever needs invalidating.
# Answers: is the store filled, the profile, the reply and its key, what was seen and when, by whom.
READ = """
local ready = redis.call('EXISTS', 'profiles:ready')
local id = false
for _, key in ipairs(KEYS) do
    id = redis.call('GET', key)
    if id then break end
end
local who = 'shown:' .. (id or KEYS[1])
local shown = ARGV[2] == '1' and redis.call('ZRANGE', who, 0, -1, 'WITHSCORES') or {}
if not id then return {ready, false, false, false, shown, who} end
local profile = redis.call('HMGET', 'profile:' .. id, 'blob', 'version')
if not profile[1] then return {ready, false, false, false, shown, who} end
local key = 'reply:' .. id .. ':' .. profile[2] .. ':' .. #shown .. ':' .. ARGV[1]
return {ready, profile[1], redis.call('GET', key), key, shown, who}
"""

LONGEST_CAP = 366 * 86_400  # seconds

_decoder = msgspec.msgpack.Decoder(Profile)


@dataclass(frozen=True, slots=True)
class Found:
    """What Redis knows: the profile and a cached reply, where to cache the next one, and whether its word is final."""

    profile: Profile | None
    reply: bytes | None = None
    reply_key: str | None = None
    reachable: bool = True
    complete: bool = True
    shown: Mapping[str, list[datetime]] = field(default_factory=dict)
    shown_key: str = ""


class Profiles:
    """The request's way to customers: one script call, one try, a breaker; never an exception."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.breaker = Breaker()
        self._read = client.register_script(READ)

    def find(self, kind: str, value: str, digest: str) -> Found:
        """The customer behind an identity, and the reply to an identical request if one is cached."""
        return self.find_any([(kind, value)], digest)

    def find_any(self, names: Sequence[tuple[str, str]], digest: str, *, capped: bool = False) -> Found:
        """The same for the first of several identities that is anybody's; `capped`: with what they saw of it."""
        if not self.breaker.closed():
            return Found(None, reachable=False)
        try:
            keys = [WHO.format(kind, value) for kind, value in names]
            ready, blob, reply, key, shown, who = self._read(keys=keys, args=[digest, int(capped)])
        except redis.RedisError:
            self.breaker.trip()
            return Found(None, reachable=False)
        profile = _decoder.decode(blob) if blob else None
        seen = _seen(shown) if shown else {}
        return Found(profile, reply, key.decode() if key else None, True, bool(ready), seen, who.decode())

    def note_shown(self, found: Found, caps: Mapping[str, float], now: datetime) -> None:
        """These contents (with the hours of their caps) were shown; what no cap looks at any more is forgotten."""
        if not caps or not found.shown_key or not self.breaker.closed():
            return
        longest = max(3600 * hours for hours in caps.values())
        pipe = self.client.pipeline(transaction=False)
        pipe.zadd(found.shown_key, {f"{key}\x1f{uuid4().hex[:8]}": now.timestamp() for key in caps})
        pipe.zremrangebyscore(found.shown_key, "-inf", now.timestamp() - LONGEST_CAP)
        pipe.expire(found.shown_key, int(max(longest, LONGEST_CAP)))
        try:
            pipe.execute()
        except redis.RedisError:
            self.breaker.trip()

    def find_many(self, keys: Sequence[str]) -> list[Profile | None] | None:
        """Customers by their keys, in that order; None where somebody is unknown, and None for all with Redis away."""
        if not self.breaker.closed():
            return None
        try:
            ids = self.client.mget([WHO.format(CUSTOMER, key) for key in keys])
            pipe = self.client.pipeline(transaction=False)
            for pk in ids:
                pipe.hget(PROFILE.format(int(pk) if pk else 0), "blob")
            return [_decoder.decode(blob) if blob else None for blob in pipe.execute()]
        except redis.RedisError:
            self.breaker.trip()
            return None

    def remember(self, key: str, reply: bytes, milliseconds: int) -> None:
        """Cache a reply; losing it costs a computation, so a failure is only noted by the breaker."""
        if milliseconds <= 0 or not self.breaker.closed():
            return
        try:
            self.client.set(key, reply, px=milliseconds)
        except redis.RedisError:
            self.breaker.trip()


def _seen(rows: Sequence[tuple[bytes, float] | bytes]) -> dict[str, list[datetime]]:
    """When which content was seen; members and scores take turns."""
    found: dict[str, list[datetime]] = {}
    for member, score in zip(rows[::2], rows[1::2], strict=True):
        key = bytes(member).decode().partition("\x1f")[0]  # type: ignore[arg-type]
        found.setdefault(key, []).append(datetime.fromtimestamp(float(score), UTC))  # type: ignore[arg-type]
    return found


_shared: list[Profiles] = []


def shared() -> Profiles:
    """This process's reader, made on first use so that no connection crosses a fork."""
    if not _shared:
        _shared.append(Profiles(hot()))
    return _shared[0]
