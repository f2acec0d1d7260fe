"""Which customer was contacted by what, on which channel and when: of contents with a cap, and of messages, all in one.

Kept in Redis, one sorted set a customer: `profiles` reads contents from it in the request's round trip, `admission`
messages. A member says kind, channel, what, and what it came with, so that the same contact noted again is no second
one. Losing it lets a content be shown once more (decisions fail open) and holds messages up (sends fail closed) until
`remembering` has filled it again from PostgreSQL.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import redis
from django.db import connection

from ..customers.identity.known import PREFIXES
from .connection import patient
from .profiles import CONTACTS, LONGEST_CAP, SEPARATOR, WEB, WHO, Profiles, Showing, member_of, moments_of

log = logging.getLogger(__name__)

MESSAGE: Final = "m"  # the kind of a message's member; that of a content is `profiles.CONTENT`
# KEYS: places that lead to another customer now. ARGV: that customer of each, then how long contacts are kept.
FOLD: Final = """
for at, from in ipairs(KEYS) do
    local place = 'contacts:' .. ARGV[at]
    if from ~= place and redis.call('EXISTS', from) == 1 then
        redis.call('ZUNIONSTORE', place, 2, place, from, 'AGGREGATE', 'MAX')
        redis.call('DEL', from)
        redis.call('EXPIRE', place, ARGV[#ARGV])
    end
end
"""
# Contents with a cap that were fetched ahead, and whose impression is among these outcomes. Nobody saw them before they
# were decided, whatever the sender's clock says: dated too early they would be in no cap.
PREFETCHED: Final = """
SELECT coalesce(coalesce(m.merged_into_id, d.customer_id)::text, ''), d.customer_key, o.content, d.id,
       min(greatest(o.at, d.at))
FROM decisioning_outcome o
JOIN decisioning_decision d ON d.id = o.decision_id AND d.asked ->> 'mode' = 'prefetch'
JOIN campaigns_content c ON c.key = o.content AND c.cap_count IS NOT NULL
LEFT JOIN customers_customer m ON m.id = d.customer_id
WHERE {which} AND o.kind = 'impression' GROUP BY 1, 2, 3, 4
"""
THESE: Final = PREFETCHED.format(which="o.id = ANY(%s)")


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact, as people read it."""

    at: datetime
    kind: str
    channel: str
    what: str


def of_many(profiles: Profiles, customers: Sequence[int], since: float) -> list[dict[str, list[datetime]]]:
    """For each customer when they saw what is capped; nothing for all of them while Redis is away."""
    try:
        pipe = profiles.client.pipeline(transaction=False)
        for pk in customers:
            pipe.zrangebyscore(CONTACTS.format(pk), since, "+inf", withscores=True)
        return [moments_of(rows) for rows in pipe.execute()]
    except redis.RedisError:
        profiles.breaker.trip()
        return [{} for _ in customers]


def note_many(profiles: Profiles, seen: Mapping[int, Collection[Showing]], now: datetime) -> None:
    """These customers are shown these contents, each by the decision that is given with it."""
    if not seen or not profiles.breaker.closed():
        return
    pipe = profiles.client.pipeline(transaction=False)
    for pk, showings in seen.items():
        note(pipe, CONTACTS.format(pk), {member_of(WEB, *showing): now.timestamp() for showing in showings})
    try:
        pipe.execute()
    except redis.RedisError:
        profiles.breaker.trip()


def note_prefetched(outcomes: Sequence[int]) -> int:
    """Count the first impressions of what was fetched ahead; how many contents. The same again changes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(THESE, [list(outcomes)])
        rows = cursor.fetchall()
    if not rows:
        return 0
    pipe = patient().pipeline(transaction=False)
    for customer, key, content, decision, at in rows:
        # A later impression of the same decision is no second showing: the first one's moment stays.
        note(pipe, place_of(customer, key), {member_of(WEB, content, decision): at.timestamp()}, first=True)
    try:
        pipe.execute()
    except redis.RedisError as error:
        log.warning("%s contents fetched ahead were seen and are in no cap: %s", len(rows), error)
    return len(rows)


def place_of(customer: str, key: str) -> str:
    """Where a customer's contacts are; of somebody unknown, under the identity they were asked for by."""
    if customer:
        return CONTACTS.format(customer)
    kind, prefix = next(((kind, prefix) for kind, prefix in PREFIXES.items() if key.startswith(prefix)), ("", ""))
    return CONTACTS.format(WHO.format(kind, key.removeprefix(prefix)))


def note(pipe: redis.client.Pipeline, place: str, members: Mapping[str, float], first: bool = False) -> None:
    """Add contacts; of one that is there already the newest moment stays, or with `first` the earliest."""
    pipe.zadd(place, dict(members), lt=first, gt=not first)
    pipe.zremrangebyscore(place, "-inf", max(members.values()) - LONGEST_CAP)
    pipe.expire(place, LONGEST_CAP)


def fold(pipe: redis.client.Pipeline, places: Mapping[str, int]) -> None:
    """What was noted in these places is of these customers (ids) from now on."""
    if places:
        script = pipe.register_script(FOLD)
        script(keys=list(places), args=[*places.values(), LONGEST_CAP], client=pipe)


def fold_names(pipe: redis.client.Pipeline, names: Mapping[str, int]) -> None:
    """Somebody unknown became a customer: `names` are keys of `profiles.WHO`, with the customer (id) of each."""
    fold(pipe, {CONTACTS.format(name): pk for name, pk in names.items()})


def fold_customers(pipe: redis.client.Pipeline, merged: Collection[tuple[int, int]]) -> None:
    """Customers became part of others: pairs of ids, into whom second."""
    fold(pipe, {CONTACTS.format(pk): into for pk, into in merged})


def recent(customer: int, limit: int) -> list[Contact]:
    """A customer's newest contacts, newest first; raises redis.RedisError when they cannot be read."""
    rows: Any = patient().zrevrange(CONTACTS.format(customer), 0, limit - 1, withscores=True)
    found = [(member.decode().split(SEPARATOR), at) for member, at in rows]
    return [Contact(datetime.fromtimestamp(at, UTC), *parts[:3]) for parts, at in found if len(parts) == 4]
