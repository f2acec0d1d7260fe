"""Customers' facts, segments and scores: published to Redis by workers, read there by requests in one round trip."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import redis

from ..customers.identity.known import Newcomer, key_of
from ..customers.intake import arrays
from ..customers.intake.arrays import among
from ..customers.models import Customer, Identity
from ..engine.types import Profile
from ..models import Score
from . import frames, notes
from .connection import Breaker, hot, patient

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

# KEYS: some profiles. ARGV: of each the blob and its version. A slower writer never puts an older one over a newer one.
WRITE = """
for at, key in ipairs(KEYS) do
    local version = ARGV[2 * at]
    local held = redis.call('HGET', key, 'version')
    if not held or tonumber(held) <= tonumber(version) then
        redis.call('HSET', key, 'blob', ARGV[2 * at - 1], 'version', version)
    end
end
"""
TOGETHER = 100  # profiles a script call: more would keep requests waiting

ROWS = """
SELECT id, key, facts_version, facts::text, facts_at, unit FROM customers_customer WHERE id = ANY(%b::bigint[])
"""
STAYS = """
SELECT m.customer_id, array_agg(s.key ORDER BY s.key COLLATE "C")
FROM rules_membership m JOIN rules_segment s ON s.id = m.segment_id
WHERE m.customer_id = ANY(%b::bigint[]) AND m.left_at IS NULL AND s.active GROUP BY m.customer_id
"""
NAMES = "SELECT kind, value, customer_id FROM customers_identity WHERE customer_id = ANY(%b::bigint[])"

LONGEST_CAP = 366 * 86_400  # seconds

_encoder = msgspec.msgpack.Encoder()
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


def compose(ids: Sequence[int]) -> list[Profile]:
    """Profiles as the hot path wants them, from the database: few queries for any number."""
    asked = arrays.bigints(ids)
    with arrays.direct() as raw:
        segments = dict(raw.execute(STAYS, [asked], prepare=True).fetchall())
        rows = raw.execute(ROWS, [asked], prepare=True).fetchall()
    return with_scores(
        [
            Profile(
                id=pk,
                key=key,
                version=version,
                facts=msgspec.json.decode(facts),
                segments=tuple(segments.get(pk, ())),
                facts_at=facts_at,
                unit=unit,
            )
            for pk, key, version, facts, facts_at, unit in rows
        ]
    )


def with_scores(found: Sequence[Profile]) -> list[Profile]:
    """The same with the scores that are stored."""
    scores = {
        score.customer_id: score for score in Score.objects.filter(customer_id__in=among(one.id for one in found))
    }
    return [
        msgspec.structs.replace(one, scores=scores[one.id].values, scorer=scores[one.id].artefact_id)
        if one.id in scores
        else one
        for one in found
    ]


def publish(ids: Sequence[int], *, noted: bool = True) -> None:
    """Write these customers and all their names to Redis; raises redis.RedisError when it is away."""
    with arrays.direct() as raw:
        names = raw.execute(NAMES, [arrays.bigints(ids)], prepare=True).fetchall()
    merged = Customer.objects.filter(pk__in=among(ids), merged_into__isnull=False)
    gone = set(merged.values_list("pk", flat=True))
    _write(compose([pk for pk in ids if pk not in gone]), names, keyed=True, noted=noted)
    forget(gone)


def put(found: Sequence[Profile], names: Iterable[tuple[str, str, int]], *, scored: bool) -> None:
    """Write profiles that are at hand, with only those names (kind, value, customer id) that are new."""
    _write(with_scores(found) if scored else found, names, keyed=False)


def introduce(newcomers: Sequence[Newcomer]) -> None:
    """Let decisions know customers who have only just come into being; nothing is known of them yet."""
    if newcomers and shared().breaker.closed():
        found = [Profile(one.customer, key_of(one.kind, one.value), 0, {}) for one in newcomers]
        names = [(one.kind, one.value, one.customer) for one in newcomers]
        try:
            # A sender waits: one short try.
            _write(found, names, keyed=True, noted=False, client=shared().client)
        except redis.RedisError:
            shared().breaker.trip()
            raise


def _write(
    found: Sequence[Profile],
    names: Iterable[tuple[str, str, int]],
    *,
    keyed: bool,
    noted: bool = True,
    client: redis.Redis | None = None,
) -> None:
    """`keyed`: their keys too; `noted`: the frame of everybody takes them in."""
    client = client or patient()
    write = client.register_script(WRITE)
    pipe = client.pipeline(transaction=False)
    for start in range(0, len(found), TOGETHER):
        some = found[start : start + TOGETHER]
        told = [value for one in some for value in (_encoder.encode(one), one.version)]
        write(keys=[PROFILE.format(one.id) for one in some], args=told, client=pipe)
    if noted:
        frames.note_changed(pipe, [(profile.id, profile.version) for profile in found])
    known = {WHO.format(CUSTOMER, one.key): one.id for one in found if keyed or one.version <= 1}
    for kind, value, customer_id in names:
        known[WHO.format(kind, value)] = customer_id
        if kind == Identity.Kind.USER:
            known[WHO.format(CUSTOMER, key_of(kind, value))] = customer_id
    if known:
        pipe.mset(known)
    pipe.execute()


def forget(ids: Collection[int]) -> None:
    """Customers who became part of others: their profiles go, their keys lead to whom they are part of."""
    if not ids:
        return
    pipe = patient().pipeline(transaction=False)
    frames.note_gone(pipe, ids)
    for pk, key, into in Customer.objects.filter(pk__in=among(ids)).values_list("pk", "key", "merged_into"):
        pipe.delete(PROFILE.format(pk))
        if into is not None:
            pipe.set(WHO.format(CUSTOMER, key), into)
    pipe.execute()


def publish_all(batch: int = 1000) -> int:
    """Fill Redis with everybody, then say it is complete; used at start and after Redis came back empty."""
    ids = list(Customer.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), batch):
        publish(ids[start : start + batch], noted=False)
    # Cheaper than as many notes: the frame compares everybody's version once.
    patient().delete(notes.MARKER)
    mark_complete()
    return len(ids)


def mark_complete() -> None:
    """Redis holds everybody; it stays so until it loses its memory."""
    patient().set(READY, 1)


def is_complete() -> bool:
    """Whether Redis holds everybody; false after it lost its memory."""
    return bool(patient().exists(READY))
