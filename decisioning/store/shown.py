"""Who saw which capped content when: of many customers at once, and of what was fetched ahead and then seen.

Kept in Redis, one sorted set a customer (`profiles` reads it in the request's round trip). Losing it lets a content be
shown once more: decisions fail open.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import redis
from django.db import connection

from ..customers.identity.known import PREFIXES
from .connection import patient
from .profiles import LONGEST_CAP, WHO, Profiles

log = logging.getLogger(__name__)

SHOWN: Final = "shown:{}"
# Contents with a cap that were fetched ahead, and whose impression is among these outcomes.
PREFETCHED: Final = """
SELECT coalesce(coalesce(m.merged_into_id, d.customer_id)::text, ''), d.customer_key, o.content, d.id, min(o.at)
FROM decisioning_outcome o
JOIN decisioning_decision d ON d.id = o.decision_id AND d.asked ->> 'mode' = 'prefetch'
JOIN campaigns_content c ON c.key = o.content AND c.cap_count IS NOT NULL
LEFT JOIN customers_customer m ON m.id = d.customer_id
WHERE o.id = ANY(%s) AND o.kind = 'impression' GROUP BY 1, 2, 3, 4
"""


def of_many(profiles: Profiles, customers: Sequence[int]) -> list[dict[str, list[datetime]]]:
    """For each customer when they saw what is capped; nothing for all of them while Redis is away."""
    try:
        pipe = profiles.client.pipeline(transaction=False)
        for pk in customers:
            pipe.zrange(SHOWN.format(pk), 0, -1, withscores=True)
        return [_by_content(rows) for rows in pipe.execute()]
    except redis.RedisError:
        profiles.breaker.trip()
        return [{} for _ in customers]


def _by_content(rows: Sequence[tuple[bytes, float]]) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {}
    for member, at in rows:
        found.setdefault(member.decode().partition("\x1f")[0], []).append(datetime.fromtimestamp(at, UTC))
    return found


def note_many(profiles: Profiles, seen: Mapping[int, Mapping[str, UUID]], now: datetime) -> None:
    """These customers are shown these contents, each by the decision given with it."""
    if not seen or not profiles.breaker.closed():
        return
    pipe = profiles.client.pipeline(transaction=False)
    for pk, contents in seen.items():
        _note(pipe, SHOWN.format(pk), {f"{key}\x1f{decision}": now.timestamp() for key, decision in contents.items()})
    try:
        pipe.execute()
    except redis.RedisError:
        profiles.breaker.trip()


def note_prefetched(outcomes: Sequence[int]) -> int:
    """Count the first impressions of what was fetched ahead; how many contents. The same again changes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(PREFETCHED, [list(outcomes)])
        rows = cursor.fetchall()
    if not rows:
        return 0
    pipe = patient().pipeline(transaction=False)
    for customer, key, content, decision, at in rows:
        # A later impression of the same decision is no second showing: the first one's moment stays.
        _note(pipe, _place(customer, key), {f"{content}\x1f{decision}": at.timestamp()}, first=True)
    try:
        pipe.execute()
    except redis.RedisError as error:
        log.warning("%s contents fetched ahead were seen and are in no cap: %s", len(rows), error)
    return len(rows)


def _place(customer: str, key: str) -> str:
    """Where a customer's showings are; of somebody unknown, under the identity they were asked for by."""
    if customer:
        return SHOWN.format(customer)
    kind, prefix = next(((kind, prefix) for kind, prefix in PREFIXES.items() if key.startswith(prefix)), ("", ""))
    return SHOWN.format(WHO.format(kind, key.removeprefix(prefix)))


def _note(pipe: redis.client.Pipeline, place: str, members: Mapping[str, float], first: bool = False) -> None:
    pipe.zadd(place, dict(members), nx=first)
    pipe.zremrangebyscore(place, "-inf", max(members.values()) - LONGEST_CAP)
    pipe.expire(place, LONGEST_CAP)
