"""A customer in; everybody who is one with them, and what they said about being contacted, out.

A customer who became part of another keeps their own rows (consents, messages, decisions), so that undoing the merge
finds them untouched. Readers therefore ask for the whole family.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Q

from ..models import Consent, Customer

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


def last_word(customer_id: int, channel: str) -> Consent | None:
    """The newest consent or refusal of the whole family for one channel; at the same moment the refusal holds."""
    said = Consent.objects.filter(customer_id__in=members_of(customer_id), channel=channel)
    return said.order_by("-at", "granted").first()


def hand_down_refusals(parting: Collection[tuple[int, int, datetime]]) -> None:
    """Refusals said since customers became one, kept for those who leave: (winner, leaving, since) each."""
    if parting:
        with connection.cursor() as cursor:
            cursor.execute(HAND_DOWN, _columns(parting))


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
