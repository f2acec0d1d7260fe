"""A customer in; everybody who is one with them, and what they said about being contacted, out.

A customer who became part of another keeps their own rows (consents, messages, decisions), so that undoing the merge
finds them untouched. Readers therefore ask for the whole family. Whether somebody may be contacted is asked in one way
by whoever sends and whoever decides (`SAID`); for decisions it is kept among the facts of whom the family is.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Q

from ..facts import dues
from ..intake import arrays
from ..models import Consent, Customer

# The newest consent or refusal of each family and channel; at the same moment the refusal holds.
SAID: Final = """
SELECT DISTINCT ON (head, c.channel) coalesce(m.merged_into_id, m.id) AS head, c.*
FROM customers_customer m JOIN customers_consent c ON c.customer_id = m.id {whose}
ORDER BY head, c.channel, c.at DESC, c.granted
"""
OF_THESE: Final = SAID.format(whose="WHERE m.id = ANY(%s::bigint[]) OR m.merged_into_id = ANY(%s::bigint[])")
CHANNELS: Final = """
SELECT head, array_agg(channel ORDER BY channel COLLATE "C") AS channels
FROM ({said}) AS said WHERE granted GROUP BY head
"""
ALLOWED: Final = CHANNELS.format(said=OF_THESE)
OF_A_BUCKET: Final = SAID.format(whose="WHERE coalesce(m.merged_into_id, m.id) %% %s = %s")
ALLOWED_IN_BUCKET: Final = CHANNELS.format(said=OF_A_BUCKET)
HOLD: Final = """
SELECT id, coalesce(merged_into_id, id) FROM customers_customer
WHERE id IN (SELECT unnest(%s::bigint[]) UNION SELECT merged_into_id FROM customers_customer WHERE id = ANY(%s))
ORDER BY id FOR NO KEY UPDATE
"""
KEEP: Final = f"""
UPDATE customers_customer c SET facts_version = c.facts_version + 1,
    facts = CASE WHEN f.channels IS NULL THEN c.facts - 'consents'
                 ELSE jsonb_set(c.facts, '{{consents}}', to_jsonb(f.channels)) END
FROM (SELECT v.id, a.channels FROM unnest(%s::bigint[]) AS v(id) LEFT JOIN ({ALLOWED}) AS a ON a.head = v.id) AS f
WHERE c.id = f.id AND c.facts -> 'consents' IS DISTINCT FROM to_jsonb(f.channels)
RETURNING c.id, c.facts_at IS NOT NULL
"""  # noqa: S608

# A refusal said while two were one holds for both when they part: it is not known who of them said it.
HAND_DOWN: Final = """
INSERT INTO customers_consent (customer_id, channel, granted, at, source)
SELECT v.loser, c.channel, false, max(c.at), (array_agg(c.source ORDER BY c.at DESC))[1]
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS v(winner, loser, since)
JOIN customers_customer m ON m.id = v.winner OR m.merged_into_id = v.winner
JOIN customers_consent c ON c.customer_id = m.id AND c.at >= v.since AND NOT c.granted AND m.id <> v.loser
GROUP BY v.loser, c.channel
ON CONFLICT (customer_id, channel) DO UPDATE SET granted = false, at = excluded.at, source = excluded.source
WHERE customers_consent.at <= excluded.at
"""


def head_of(customer_id: int) -> int:
    """The customer that this one is part of now; itself when it is part of nobody.

    Raises Customer.DoesNotExist for an unknown id.
    """
    merged: int | None = Customer.objects.values_list("merged_into_id", flat=True).get(pk=customer_id)
    return customer_id if merged is None else merged


def members_of(customer_id: int) -> list[int]:
    """The ids of this customer and of all who are one with them, itself first."""
    head = head_of(customer_id)
    everybody = Customer.objects.filter(Q(pk=head) | Q(merged_into=head)).values_list("pk", flat=True)
    return [customer_id, *sorted(set(everybody) - {customer_id})]


def last_words(customer_id: int) -> list[Consent]:
    """What holds for the whole family: of each channel the newest consent or refusal, by channel."""
    head = [head_of(customer_id)]
    return list(Consent.objects.raw(OF_THESE, [head, head]))


def last_word(customer_id: int, channel: str) -> Consent | None:
    """What holds for one channel; None where nobody of them ever said anything."""
    return next((said for said in last_words(customer_id) if said.channel == channel), None)


def allowed(heads: Sequence[int]) -> dict[int, list[str]]:
    """The channels, by name, that these customers and all who are part of them allow; who allows none is left out."""
    ids = arrays.bigints(heads)
    with arrays.direct() as raw:
        return dict(raw.execute(ALLOWED, [ids, ids], prepare=True).fetchall())


def hold(ids: Collection[int]) -> dict[int, int]:
    """Lock these customers and whom they are part of: {id: whom it is part of, or itself} of those that there are.

    What they said is written and kept among the facts meanwhile by nobody else. To be called in a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(HOLD, [list(ids), list(ids)])
        return dict(cursor.fetchall())


def keep_allowed(heads: Iterable[int], now: datetime) -> dict[int, bool]:
    """Put the fact `consents` of these customers right after somebody said something: {whom it changed: has facts}.

    Who has facts is due, so that segments follow. Who has none yet gets them with all others.
    """
    ids = sorted(set(heads))
    with connection.cursor() as cursor:
        cursor.execute(KEEP, [ids, ids, ids])
        changed: dict[int, bool] = dict(cursor.fetchall())
    dues.write({pk: now for pk, computed in changed.items() if computed})
    return changed


def hand_down_refusals(parting: Collection[tuple[int, int, datetime]]) -> None:
    """Refusals said since customers became one, kept for those who leave: (winner, leaving, since) each."""
    if parting:
        with connection.cursor() as cursor:
            cursor.execute(HAND_DOWN, _columns(parting))


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
