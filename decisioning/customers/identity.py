"""Identifiers in, the customer behind each out; somebody new becomes a customer on the way."""

from collections.abc import Iterable, Mapping, Sequence

from django.db import connection

from .models import Identity
from .tracking import Checked

Pair = tuple[str, str]
USER, ANONYMOUS = str(Identity.Kind.USER), str(Identity.Kind.ANONYMOUS)

LOOK_UP = """
SELECT i.kind, i.value, i.customer_id FROM customers_identity i
JOIN unnest(%s::text[], %s::text[]) AS v(kind, value) ON i.kind = v.kind AND i.value = v.value
"""
CREATE = """
INSERT INTO customers_customer (key, traits, facts, facts_version)
SELECT unnest(%s::text[]), '{}'::jsonb, '{}'::jsonb, 0 ON CONFLICT (key) DO NOTHING
"""
FIND = "SELECT key, id FROM customers_customer WHERE key = ANY(%s::text[])"
ATTACH = """
INSERT INTO customers_identity (kind, value, customer_id)
SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) ON CONFLICT (kind, value) DO NOTHING
"""


def identifiers(event: Checked) -> list[Pair]:
    """An event's identifiers, the strongest first: it decides whose event this is."""
    pairs = [(USER, event.user_id), (ANONYMOUS, event.anonymous_id)]
    return [(kind, value) for kind, value in pairs if value]


def resolve(events: Sequence[Checked]) -> dict[Pair, int]:
    """The customer id behind every identifier in `events`; must run inside the transaction that stores them.

    An anonymous id met beside a user id is attached to that customer unless it already belongs to somebody: what an
    anonymous visitor did before stays with the anonymous customer.
    """
    known = _look_up({pair for event in events for pair in identifiers(event)})
    strangers = {identifiers(event)[0] for event in events} - known.keys()
    if strangers:
        _attach(_create(strangers))
        known |= _look_up(strangers)
    beside = {
        pair: known[identifiers(event)[0]] for event in events for pair in identifiers(event)[1:] if pair not in known
    }
    if beside:
        _attach(beside)
        known |= _look_up(beside)
    return known


def _look_up(pairs: Iterable[Pair]) -> dict[Pair, int]:
    ordered = sorted(pairs)
    with connection.cursor() as cursor:
        cursor.execute(LOOK_UP, [[kind for kind, _ in ordered], [value for _, value in ordered]])
        return {(kind, value): customer for kind, value, customer in cursor.fetchall()}


def _create(strangers: Iterable[Pair]) -> dict[Pair, int]:
    """New customers for these identifiers; keys of anonymous ones cannot collide with user ids."""
    keys = {pair: pair[1] if pair[0] == USER else f"anonymous:{pair[1]}"[:200] for pair in strangers}
    # Sorted, so that two batches that create the same customers never wait for each other in a circle.
    ordered = sorted(set(keys.values()))
    with connection.cursor() as cursor:
        cursor.execute(CREATE, [ordered])
        cursor.execute(FIND, [ordered])
        ids = dict(cursor.fetchall())
    return {pair: ids[key] for pair, key in keys.items()}


def _attach(owners: Mapping[Pair, int]) -> None:
    rows = sorted((kind, value, customer) for (kind, value), customer in owners.items())
    with connection.cursor() as cursor:
        cursor.execute(ATTACH, [list(column) for column in zip(*rows, strict=True)])
