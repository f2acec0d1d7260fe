"""Customers' facts, segments and scores: published to Redis by workers, read there by requests in one round trip."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import redis

from rules.models import Membership

from ..customers.models import Customer, Identity
from ..engine.types import Profile
from ..models import Score
from .connection import Breaker, hot, patient

PROFILE, WHO, READY, REPLY = "profile:{}", "who:{}:{}", "profiles:ready", "reply:"

# KEYS: the identity. ARGV: what the reply depends on beside the customer. A reply's key holds the customer, the version
# of the customer's profile and everything the request asked, so nothing ever needs invalidating.
# Answers: is the store filled, the profile, the reply.
READ = """
local ready = redis.call('EXISTS', 'profiles:ready')
local id = redis.call('GET', KEYS[1])
if not id then return {ready, false, false, false} end
local profile = redis.call('HMGET', 'profile:' .. id, 'blob', 'version')
if not profile[1] then return {ready, false, false, false} end
local key = 'reply:' .. id .. ':' .. profile[2] .. ':' .. ARGV[1]
return {ready, profile[1], redis.call('GET', key), key}
"""

# A slower writer never puts an older profile over a newer one.
WRITE = """
local held = redis.call('HGET', KEYS[1], 'version')
if held and tonumber(held) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'blob', ARGV[1], 'version', ARGV[2])
return 1
"""

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


class Profiles:
    """The request's way to customers: one script call, one try, a breaker; never an exception."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.breaker = Breaker()
        self._read = client.register_script(READ)

    def find(self, kind: str, value: str, digest: str) -> Found:
        """The customer behind an identity, and the reply to an identical request if one is cached."""
        if not self.breaker.closed():
            return Found(None, reachable=False)
        try:
            ready, blob, reply, key = self._read(keys=[WHO.format(kind, value)], args=[digest])
        except redis.RedisError:
            self.breaker.trip()
            return Found(None, reachable=False)
        profile = _decoder.decode(blob) if blob else None
        return Found(profile, reply, key.decode() if key else None, complete=bool(ready))

    def remember(self, key: str, reply: bytes, milliseconds: int) -> None:
        """Cache a reply; losing it costs a computation, so a failure is only noted by the breaker."""
        if milliseconds <= 0 or not self.breaker.closed():
            return
        try:
            self.client.set(key, reply, px=milliseconds)
        except redis.RedisError:
            self.breaker.trip()


_shared: list[Profiles] = []


def shared() -> Profiles:
    """This process's reader, made on first use so that no connection crosses a fork."""
    if not _shared:
        _shared.append(Profiles(hot()))
    return _shared[0]


def compose(customers: Iterable[Customer]) -> list[Profile]:
    """Profiles as the hot path wants them, from the database: three queries whatever the number."""
    rows = list(customers)
    ids = [row.pk for row in rows]
    segments: dict[int, list[str]] = {}
    stays = Membership.objects.filter(customer_id__in=ids, left_at__isnull=True, segment__active=True)
    for customer_id, key in stays.values_list("customer_id", "segment__key").order_by("segment__key"):
        segments.setdefault(customer_id, []).append(key)
    scores = {score.customer_id: score for score in Score.objects.filter(customer_id__in=ids)}
    return [
        Profile(
            row.pk,
            row.key,
            row.facts_version,
            row.facts,
            tuple(segments.get(row.pk, ())),
            scores[row.pk].values if row.pk in scores else {},
            scores[row.pk].artefact_id if row.pk in scores else None,
            row.facts_at,
        )
        for row in rows
    ]


def publish(ids: Sequence[int]) -> None:
    """Write these customers and their identities to Redis; raises redis.RedisError when it is away."""
    client = patient()
    write = client.register_script(WRITE)
    pipe = client.pipeline(transaction=False)
    for profile in compose(Customer.objects.filter(pk__in=ids)):
        write(keys=[PROFILE.format(profile.id)], args=[_encoder.encode(profile), profile.version], client=pipe)
        pipe.set(WHO.format("customer_id", profile.key), profile.id)
    for kind, value, customer_id in Identity.objects.filter(customer_id__in=ids).values_list(
        "kind", "value", "customer_id"
    ):
        pipe.set(WHO.format(kind, value), customer_id)
    pipe.execute()


def publish_all(batch: int = 1000) -> int:
    """Fill Redis with everybody, then say it is complete; used at start and after Redis came back empty."""
    ids = list(Customer.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), batch):
        publish(ids[start : start + batch])
    patient().set(READY, len(ids))
    return len(ids)


def is_complete() -> bool:
    """Whether Redis holds everybody; false after it lost its memory."""
    return bool(patient().exists(READY))
