"""A decision's row in; the customer it turned out to be of, as SQL, and the keys under which a customer decided, out.

Somebody nobody knew yet, or whom Redis could not be asked about, has a decision under what they called themselves. Once
events tell who that is, the decision is theirs.
"""

from collections.abc import Collection
from typing import Final

from ..customers.identity.known import PREFIXES, key_of
from ..customers.models import Customer, Identity

# The id of the customer of the decision `d`, before merges; NULL for whom nobody knows to this day.
WHOSE: Final = f"""coalesce(d.customer_id,
    (SELECT k.id FROM customers_customer k WHERE k.key = d.customer_key),
    (SELECT i.customer_id FROM (VALUES {", ".join(f"('{prefix}', '{kind}')" for kind, prefix in PREFIXES.items())})
     AS v(prefix, kind) JOIN customers_identity i ON i.kind = v.kind
     AND i.value = substr(d.customer_key, length(v.prefix) + 1) WHERE starts_with(d.customer_key, v.prefix)))"""  # noqa: S608


def keys_of(customers: Collection[int]) -> list[str]:
    """What these customers may have called themselves before anybody knew them: all their keys and identifiers."""
    keys = set(Customer.objects.filter(pk__in=customers).values_list("key", flat=True))
    pairs = Identity.objects.filter(customer_id__in=customers).values_list("kind", "value")
    return sorted(keys | {key_of(kind, value) for kind, value in pairs})
