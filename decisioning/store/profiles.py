"""An identity comes in; what Redis knows of that customer comes out, in one round trip: the request's way to people."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import redis

from ..engine.types import Profile
from . import scores
from .connection import Breaker, bulk, hot

PROFILE, WHO, READY, REPLY = "profile:{}", "who:{}:{}", "profiles:ready", "reply:"
CUSTOMER = "customer_id"
# A customer's contacts, and of what their members are made: kind, channel, what, and what it came with.
CONTACTS, SEPARATOR, CONTENT, WEB = "contacts:{}", "\x1f", "c", "web"

# KEYS: identities, the first that is somebody's counts. ARGV: what the reply depends on beside the customer, and
# since when any cap looks at what was shown, if there is one. A reply's key holds the customer, the version of their
# profile, what of the capped they saw when and everything the request asked, so nothing ever needs invalidating.
# Answers: is the store filled, the profile, the reply and its key, what was seen and when, by whom, stored scores.
READ = """
local ready = redis.call('EXISTS', 'profiles:ready')
local id = false
for _, key in ipairs(KEYS) do
    id = redis.call('GET', key)
    if id then break end
end
local who = 'contacts:' .. (id or KEYS[1])
local shown, seen = {}, ''
if ARGV[2] ~= '' then
    local rows = redis.call('ZRANGEBYSCORE', who, ARGV[2], '+inf', 'WITHSCORES')
    for at = 1, #rows, 2 do
        -- Contents alone: of messages no reply depends.
        if string.byte(rows[at]) == 99 then
            shown[#shown + 1] = rows[at]
            shown[#shown + 1] = rows[at + 1]
        end
    end
    if #shown > 0 then seen = redis.sha1hex(table.concat(shown, ' ')) end
end
if not id then return {ready, false, false, false, shown, who, false} end
local profile = redis.call('HMGET', 'profile:' .. id, 'blob', 'version')
if not profile[1] then return {ready, false, false, false, shown, who, false} end
local key = 'reply:' .. id .. ':' .. profile[2] .. ':' .. seen .. ':' .. ARGV[1]
return {ready, profile[1], redis.call('GET', key), key, shown, who, redis.call('GET', 'scores:' .. id)}
"""

# KEYS: a customer's contacts. ARGV: now, how long contacts are kept, then for each content its name, how often it may
# be seen, since when that counts, and how many members follow, which show it. Others may have shown it since it was
# read: then nothing is noted, and the answer is which of them were seen as often as they may be.
ADMIT = """
local full, news, at = {}, {}, 3
while at <= #ARGV do
    local what, most, since, count = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], tonumber(ARGV[at + 3])
    local seen, mine = 0, {}
    for n = 1, count do mine[ARGV[at + 3 + n]] = true end
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], since, '+inf')) do
        local kind, _, shown = string.match(member, '^([^\\31]*)\\31([^\\31]*)\\31([^\\31]*)')
        if kind == 'c' and shown == what and not mine[member] then seen = seen + 1 end
    end
    if seen + count > most then full[#full + 1] = what end
    for member in pairs(mine) do news[#news + 1] = member end
    at = at + 4 + count
end
if #full > 0 then return full end
for _, member in ipairs(news) do redis.call('ZADD', KEYS[1], ARGV[1], member) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return full
"""

LONGEST_CAP = 366 * 86_400  # seconds
Showing = tuple[str, UUID]  # a content, and the decision that showed it
Cap = tuple[int, float]  # how often a content may be seen, in how many hours
AT_ONCE = 1_000  # customers of a batch that are read in one go, each with the client's whole patience

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


@dataclass(slots=True)
class Many:
    """What Redis knows of many: who is known, who could not be read in time, and whether its word is final."""

    known: dict[str, Profile] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    complete: bool = True


class Profiles:
    """The request's way to customers: one script call, one try, a breaker; never an exception."""

    def __init__(self, client: redis.Redis, *, lenient: bool = True) -> None:
        self.client = client
        self.breaker = Breaker(lenient=lenient)
        self._read, self._admit = client.register_script(READ), client.register_script(ADMIT)

    def find(self, kind: str, value: str, digest: str) -> Found:
        """The customer behind an identity, and the reply to an identical request if one is cached."""
        return self.find_any([(kind, value)], digest)

    def find_any(self, names: Sequence[tuple[str, str]], digest: str, *, since: float | None = None) -> Found:
        """The same for the first of several identities that is anybody's, with what of the capped they saw `since`."""
        if not self.breaker.closed():
            return Found(None, reachable=False)
        try:
            keys = [WHO.format(kind, value) for kind, value in names]
            told = self._read(keys=keys, args=[digest, "" if since is None else since])
            ready, blob, reply, key, shown, who, scored = told
        except redis.RedisError:
            self.breaker.trip()
            return Found(None, reachable=False)
        self.breaker.well()
        profile = scores.scored(_decoder.decode(blob), scored, self.client) if blob else None
        seen = moments_of(list(zip(shown[::2], map(float, shown[1::2]), strict=True))) if shown else {}
        return Found(profile, reply, key.decode() if key else None, True, bool(ready), seen, who.decode())

    def note_shown(
        self, found: Found, showings: Collection[Showing], caps: Mapping[str, Cap], now: datetime
    ) -> frozenset[str]:
        """Note that these contents with a cap are shown by these decisions; what no cap looks at any more is forgotten.

        Those which others have shown meanwhile as often as they may be come back, and then nothing was noted.
        """
        if not showings or not found.shown_key or not self.breaker.closed():
            return frozenset()
        members: dict[str, list[str]] = {}
        for content, decision in showings:
            members.setdefault(content, []).append(member_of(WEB, content, decision))
        words: list[str | float] = [now.timestamp(), LONGEST_CAP]
        for content, mine in members.items():
            most, hours = caps[content]
            words += [content, most, f"({now.timestamp() - 3600 * hours}", len(mine), *mine]
        try:
            return frozenset(one.decode() for one in self._admit(keys=[found.shown_key], args=words))
        except redis.RedisError:
            self.breaker.trip()
            return frozenset()

    def find_many(self, keys: Sequence[str]) -> Many:
        """Customers by their keys. Once Redis has not answered in time, nobody waits for the rest of them."""
        found, well = Many(), self.breaker.closed()
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            well = well and self._read_many(some, found)
            if not well:
                found.unread.update(some)
        return found

    def _read_many(self, keys: Sequence[str], found: Many) -> bool:
        """Add what is known of some customers; whether Redis answered in time."""
        try:
            *ids, ready = self.client.mget([*(WHO.format(CUSTOMER, key) for key in keys), READY])
            pipe = self.client.pipeline(transaction=False)
            for pk in ids:
                pipe.hget(PROFILE.format(int(pk) if pk else 0), "blob")
            pipe.mget([scores.SCORES.format(int(pk) if pk else 0) for pk in ids])
            *blobs, stored = pipe.execute()
        except redis.RedisError:
            self.breaker.trip()
            return False
        self.breaker.well()
        for key, blob, scored in zip(keys, blobs, stored, strict=True):
            if blob:
                found.known[key] = scores.scored(_decoder.decode(blob), scored, self.client)
        found.complete &= ready is not None
        return True

    def remember(self, key: str, reply: bytes, milliseconds: int) -> None:
        """Cache a reply; losing it costs a computation, so a failure is only noted by the breaker."""
        if milliseconds <= 0 or not self.breaker.closed():
            return
        try:
            self.client.set(key, reply, px=milliseconds)
        except redis.RedisError:
            self.breaker.trip()


def member_of(channel: str, content: str, decision: UUID | str) -> str:
    """A content shown on a channel; by the same decision it is shown once."""
    return SEPARATOR.join((CONTENT, channel, content, str(decision)))


def moments_of(rows: Sequence[tuple[bytes, float]]) -> dict[str, list[datetime]]:
    """When which content was seen, on whatever channel."""
    found: dict[str, list[datetime]] = {}
    for member, at in rows:
        kind, _, what, _ = member.decode().split(SEPARATOR)
        if kind == CONTENT:
            found.setdefault(what, []).append(datetime.fromtimestamp(at, UTC))
    return found


_shared: list[Profiles] = []
_of_batches: list[Profiles] = []


def shared() -> Profiles:
    """This process's reader, made on first use so that no connection crosses a fork."""
    if not _shared:
        _shared.append(Profiles(hot()))
    return _shared[0]


def of_batches() -> Profiles:
    """The same for callers who ask for many: it waits longer, and neither's breaker is the other's."""
    if not _of_batches:
        _of_batches.append(Profiles(bulk(), lenient=False))
    return _of_batches[0]
