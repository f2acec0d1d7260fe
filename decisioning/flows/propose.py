"""Everybody's names and addresses, and evidence that was not followed, in; proposals for a person to decide, out."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection, transaction

from ..customers.identity.evidence import Code
from ..customers.identity.similar import Pair, Person, pairs

# How likely two are one when the evidence says so itself but a guard did not follow it.
CONFLICTS: Final = {Code.TWO_USER_IDS: 0.95, Code.CONFLICT: 0.85}
LIKELY: Final = """
SELECT c.id, c.traits::text, e.value, p.value FROM customers_customer c
LEFT JOIN LATERAL (SELECT value FROM customers_identity WHERE customer_id = c.id AND kind = 'email'
                   ORDER BY first_at, value LIMIT 1) AS e ON true
LEFT JOIN LATERAL (SELECT value FROM customers_identity WHERE customer_id = c.id AND kind = 'phone'
                   ORDER BY first_at, value LIMIT 1) AS p ON true
WHERE c.merged_into_id IS NULL AND (c.traits <> '{}' OR e.value IS NOT NULL OR p.value IS NOT NULL)
"""
# The codes stand in the text: only so is the index on just these links used.
CLAIMED: Final = """
SELECT a.customer_id, b.customer_id, l.code, l.reason FROM customers_link l
JOIN customers_identity a ON a.id = l.one_id JOIN customers_identity b ON b.id = l.other_id
WHERE l.code IN ('two_user_ids', 'conflict') AND l.refused_at IS NULL AND a.customer_id <> b.customer_id
ORDER BY l.at, l.id
"""
# What a person decided stays decided.
PUT: Final = """
INSERT INTO customers_proposal (one_id, other_id, score, reasons, state, at)
SELECT one, other, score, reasons, 'open', %s
FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::jsonb[]) AS v(one, other, score, reasons)
ON CONFLICT (one_id, other_id) DO UPDATE SET score = excluded.score, reasons = excluded.reasons
WHERE customers_proposal.state = 'open'
"""
ADD: Final = """
INSERT INTO customers_proposal (one_id, other_id, score, reasons, state, at)
SELECT one, other, score, reasons, 'open', %s
FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::jsonb[]) AS v(one, other, score, reasons)
ON CONFLICT (one_id, other_id) DO NOTHING
"""
DROP: Final = """
DELETE FROM customers_proposal p WHERE p.state = 'open' AND NOT EXISTS
(SELECT FROM unnest(%s::bigint[], %s::bigint[]) AS v(one, other) WHERE v.one = p.one_id AND v.other = p.other_id)
"""


def propose(now: datetime) -> int:
    """Renew the list of proposals; how many are open. Those that nothing speaks for any more leave it."""
    columns = _columns(_together([*_claimed(), *pairs(_people())]))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PUT, [now, *columns])
        cursor.execute(DROP, columns[:2])
        cursor.execute("SELECT count(*) FROM customers_proposal WHERE state = 'open'")
        return int(cursor.fetchone()[0])


def propose_claimed(now: datetime) -> int:
    """Add what events themselves have asked a person to decide; how many are new. Cheap enough to ask often."""
    with connection.cursor() as cursor:
        cursor.execute(ADD, [now, *_columns(_together(_claimed()))])
        return int(cursor.rowcount)


def _columns(found: Sequence[Pair]) -> list[list[Any]]:
    reasons = [msgspec.json.encode(pair.reasons).decode() for pair in found]
    return [[pair.one for pair in found], [pair.other for pair in found], [pair.score for pair in found], reasons]


def person_of(customer: int, traits: dict[str, Any], email: str = "", phone: str = "") -> Person:
    """What a customer is called and where they live, by the Segment Spec's reserved traits; identifiers go before.

    Source: https://segment.com/docs/connections/spec/identify/#traits
    """
    return Person(
        customer,
        _text(traits.get("name")) or _joined(_either(traits, "first_name"), _either(traits, "last_name")),
        email or _text(traits.get("email")),
        phone or _text(traits.get("phone")),
        _address(traits.get("address")),
    )


def _people() -> Iterable[Person]:
    with connection.cursor() as cursor:
        cursor.execute(LIKELY)
        for pk, traits, email, phone in cursor.fetchall():
            yield person_of(pk, msgspec.json.decode(traits), email or "", phone or "")


def _claimed() -> list[Pair]:
    """Customers whom one event named both, which a guard did not follow."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIMED)
        rows = cursor.fetchall()
    return [Pair(min(a, b), max(a, b), CONFLICTS[Code(code)], (reason,)) for a, b, code, reason in rows]


def _together(found: Iterable[Pair]) -> list[Pair]:
    """One pair for each two customers, with the highest score and all reasons."""
    best: dict[tuple[int, int], Pair] = {}
    for pair in found:
        key = (pair.one, pair.other)
        held = best.get(key)
        best[key] = pair if held is None else Pair(*key, max(held.score, pair.score), held.reasons + pair.reasons)
    return [best[key] for key in sorted(best)]


def _either(traits: dict[str, Any], name: str) -> str:
    """A trait by its name in snake case or, as the specification writes it, in camel case."""
    head, _, tail = name.partition("_")
    return _text(traits.get(name)) or _text(traits.get(head + tail.capitalize()))


def _address(value: Any) -> str:
    if not isinstance(value, dict):
        return _text(value)
    postcode = _either(value, "postal_code")
    return _joined(_text(value.get("street")), postcode, _text(value.get("city")), _text(value.get("country")))


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
