"""Identifiers in, the identity rows behind them out; somebody never heard of becomes a customer on the way."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from django.db import connection

from ..models import Identity

Pair = tuple[str, str]
USER: Final = str(Identity.Kind.USER)
# How the key of a customer without a user id begins; a user id that begins so cannot be mistaken for one.
PREFIXES: Final = {
    str(Identity.Kind.LOYALTY): "loyalty:",
    str(Identity.Kind.EMAIL): "email:",
    str(Identity.Kind.PHONE): "phone:",
    str(Identity.Kind.DEVICE): "device:",
    str(Identity.Kind.ANONYMOUS): "anonymous:",
}
RESERVED: Final = (*PREFIXES.values(), "user:")
REMEMBERED: Final = 200_000

LOOK_UP = """
SELECT i.kind, i.value, i.id FROM customers_identity i
JOIN unnest(%s::text[], %s::text[]) AS v(kind, value) ON i.kind = v.kind AND i.value = v.value
"""
CREATE = """
INSERT INTO customers_customer (key, traits, facts, facts_version, unit)
SELECT unnest(%s::text[]), '{}'::jsonb, '{}'::jsonb, 0, '' ON CONFLICT (key) DO NOTHING RETURNING id
"""
FIND = "SELECT key, id FROM customers_customer WHERE key = ANY(%s::text[])"
SETTLE = """
INSERT INTO customers_identity (kind, value, customer_id, home_id)
SELECT kind, value, home, home FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS v(kind, value, home)
ON CONFLICT (kind, value) DO NOTHING RETURNING home_id
"""
DROP = "DELETE FROM customers_customer WHERE id = ANY(%s)"


class Newcomer(NamedTuple):
    """A customer who came into being with one identifier."""

    customer: int
    kind: str
    value: str


class Known:
    """Identity ids that this process has met. An identity's id never changes, so they may be kept."""

    def __init__(self) -> None:
        self.ids: dict[Pair, int] = {}

    def remember(self, found: Mapping[Pair, int]) -> None:
        """Keep what was committed; past `REMEMBERED` everything is learned anew, which costs one query a batch."""
        if len(self.ids) + len(found) > REMEMBERED:
            self.ids.clear()
        self.ids.update(found)


known = Known()


def key_of(kind: str, value: str) -> str:
    """The key of the customer that comes into being with this identifier."""
    if kind == USER:
        return f"user:{value}" if value.startswith(RESERVED) else value
    return PREFIXES[kind] + value


def look_up(pairs: Collection[Pair]) -> dict[Pair, int]:
    """The ids of the identities that exist among these."""
    if not pairs:
        return {}
    ordered = sorted(pairs)
    with connection.cursor() as cursor:
        cursor.execute(LOOK_UP, [[kind for kind, _ in ordered], [value for _, value in ordered]])
        return {(kind, value): pk for kind, value, pk in cursor.fetchall()}


def settle(strangers: Collection[Pair]) -> tuple[dict[Pair, int], tuple[Newcomer, ...]]:
    """Make each identifier an identity with a customer of its own; the identities' ids, and the customers.

    Must run inside the transaction that stores their events. Two batches that meet the same strangers wait for each
    other, in one order, and agree.
    """
    if not strangers:
        return {}, ()
    keys = {key_of(*pair): pair for pair in strangers}
    ordered = sorted(keys)
    with connection.cursor() as cursor:
        cursor.execute(CREATE, [ordered])
        created = {pk for (pk,) in cursor.fetchall()}
        cursor.execute(FIND, [ordered])
        homes = dict(cursor.fetchall())
        pairs = [keys[key] for key in ordered]
        cursor.execute(
            SETTLE, [[kind for kind, _ in pairs], [value for _, value in pairs], [homes[key] for key in ordered]]
        )
        # Met beside somebody else by the consumer in this very moment: it is of that customer, and ours is of nobody.
        empty = created - {pk for (pk,) in cursor.fetchall()}
        if empty:
            cursor.execute(DROP, [list(empty)])
    newcomers = tuple(Newcomer(homes[key], *keys[key]) for key in ordered if homes[key] not in empty)
    return look_up(strangers), newcomers
