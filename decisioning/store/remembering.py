"""What PostgreSQL knows of contacts in; Redis's ledger of them, filled again after it lost its memory, out.

Messages are contacts from `contacted_at` on, contents are those of decisions, as `admission` and `contacts` note them.
Everything is noted under the name it had, so that filling again what is there already changes nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import redis
from django.db import connection
from django.db.models import Max

from campaigns.models import Content, Message
from campaigns.models.contacts import LONGEST

from . import admission
from .connection import patient
from .contacts import PREFETCHED, note, place_of
from .profiles import CONTACTS, member_of

# Something that Redis remembers for as long as it remembers anything.
LIFE: Final = "contacts:life"
# KEYS: the life, what to set. ARGV: the life it was begun in.
STILL: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[2], 1) end"
AT_ONCE: Final = 2_000
MOST_UNCOUNTED: Final = 1_000

# Windows count back from the newest contact that there is: the product's clock need not be the database's.
NEWEST: Final = """
SELECT greatest((SELECT max(at) FROM decisioning_decision WHERE source <> 'import'),
                (SELECT max(coalesce(contacted_at, sent_at)) FROM campaigns_message))
"""
# Messages of before there was `contacted_at` count from when they were sent.
MESSAGES: Final = """
SELECT coalesce(u.merged_into_id, u.id)::text AS customer, g.channel, g.key, m.id, m.decision_id,
       coalesce(m.contacted_at, m.sent_at) AS at
FROM campaigns_message m JOIN campaigns_campaign g ON g.id = m.campaign_id
JOIN customers_customer u ON u.id = m.customer_id
WHERE coalesce(m.contacted_at, m.sent_at) > %(since)s AND (%(ids)s::bigint[] IS NULL OR m.customer_id = ANY(%(ids)s))
"""
OURS: Final = "(%(ids)s::bigint[] IS NULL OR d.customer_id = ANY(%(ids)s))"
# The contents with a cap that were shown on the web, seen after they had been fetched ahead, and sent in messages.
SHOWN: Final = f"""
SELECT coalesce(coalesce(m.merged_into_id, d.customer_id)::text, ''), d.customer_key, 'web', k.content, d.id, d.at
FROM decisioning_decision d LEFT JOIN customers_customer m ON m.id = d.customer_id, decisioning_keys(d.items) k
JOIN campaigns_content c ON c.key = k.content AND c.cap_count IS NOT NULL
WHERE d.at > %(since)s AND d.source = 'api' AND d.asked ->> 'mode' IS DISTINCT FROM 'prefetch' AND {OURS}
"""  # noqa: S608
LATELY: Final = "SELECT decision_id FROM decisioning_outcome WHERE kind = 'impression' AND at > %(since)s"
SEEN: Final = f"""
SELECT p.customer, p.customer_key, 'web', p.content, p.id, p.at
FROM ({PREFETCHED.format(which=f"{OURS} AND o.decision_id IN ({LATELY})")}) p(customer, customer_key, content, id, at)
WHERE p.at > %(since)s
"""  # noqa: S608
SENT: Final = f"""
SELECT s.customer, '', s.channel, k.content, d.id, s.at
FROM ({MESSAGES}) s JOIN decisioning_decision d ON d.id = s.decision_id, decisioning_keys(d.items) k
JOIN campaigns_content c ON c.key = k.content AND c.cap_count IS NOT NULL
"""  # noqa: S608


def fill(customers: Collection[int] | None = None) -> int:
    """Note all contacts that a limit or a cap looks at, of everybody or of these customers (ids); how many."""
    newest = _newest()
    if newest is None:
        return 0
    ids = None if customers is None else list(customers)
    asked: dict[str, Any] = {"ids": ids, "since": newest - timedelta(hours=LONGEST)}
    noted = sum(_note([_message(row) for row in rows]) for rows in _batches(MESSAGES, asked))
    longest = Content.objects.filter(cap_count__isnull=False).aggregate(longest=Max("cap_hours"))["longest"]
    if longest is not None:
        asked["since"] = newest - timedelta(hours=longest)
        for statement in (SHOWN, SEEN, SENT):
            found = _batches(statement, asked)
            noted += sum(_note([_content(row) for row in rows], first=statement is SEEN) for rows in found)
    return noted


def begin() -> str:
    """The life of Redis's memory, to be given to `complete` when everything is filled that was begun to be filled."""
    patient().set(LIFE, str(uuid4()), nx=True)
    life: Any = patient().get(LIFE)
    return life.decode() if life else ""


def complete(life: str, key: str) -> None:
    """Say by `key` that everything is there, unless Redis lost its memory meanwhile: then it is not."""
    patient().eval(STILL, 2, LIFE, key, life)


def note_uncounted() -> int:
    """Let Redis know of messages that were sent while it was away, or whose senders died; how many."""
    rows = list(Message.objects.filter(uncounted=True).select_related("campaign", "customer")[:MOST_UNCOUNTED])
    if not rows:
        return 0
    places = [(CONTACTS.format(admission.head(row)), admission.member(row), row.contacted_at) for row in rows]
    try:
        _note([(place, member, at) for place, member, at in places if at is not None])
    except redis.RedisError:
        return 0
    return Message.objects.filter(pk__in=[row.pk for row in rows]).update(uncounted=False)


def _newest() -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(NEWEST)
        found: datetime | None = cursor.fetchone()[0]
        return found


def _batches(statement: str, asked: dict[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, asked)
        while rows := cursor.fetchmany(AT_ONCE):
            yield rows


Noted = tuple[str, str, datetime]  # place, member, moment


def _message(row: tuple[str, str, str, int, UUID | None, datetime]) -> Noted:
    customer, channel, campaign, pk, _, at = row
    return CONTACTS.format(customer), admission.name_of(channel, campaign, pk), at


def _content(row: tuple[str, str, str, str, UUID, datetime]) -> Noted:
    customer, key, channel, content, decision, at = row
    return place_of(customer, key), member_of(channel, content, decision), at


def _note(rows: Sequence[Noted], first: bool = False) -> int:
    pipe = patient().pipeline(transaction=False)
    for place, member, at in rows:
        note(pipe, place, {member: at.timestamp()}, first)
    pipe.execute()
    return len(rows)
