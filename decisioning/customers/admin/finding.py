"""A search term in; the customers it finds, the surest first, out: each query is answered by an index.

A key or an identifier is found whole or by its beginning, among any number of customers. Parts from the middle are
not: no index answers that.
"""

from dataclasses import dataclass
from typing import Final

from django.db import connection

from ..intake.identifiers import phone
from ..models import Identity

MOST: Final = 100

# Byte order is that of the two pattern indexes, so that the first rows are read and no more.
BY_KEY: Final = "(SELECT id, key FROM customers_customer WHERE key LIKE %s ORDER BY key USING ~<~ LIMIT %s)"
BY_IDENTITY: Final = """
(SELECT customer_id, value FROM customers_identity WHERE value LIKE %s ORDER BY value USING ~<~ LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of customers, the surest first; `more` tells that there are others past `MOST`."""

    ids: tuple[int, ...]
    more: bool = False


def forms_of(term: str) -> tuple[str, ...]:
    """The ways a term may be stored: as typed, an address without case, a phone number without what is between."""
    plain = term.strip()
    forms = [plain, plain.casefold(), phone(plain)]
    return tuple(dict.fromkeys(form for form in forms if form))


def find(term: str) -> Found:
    """Customers by the whole or the beginning of their key or of any identifier. Who was merged has a key alone."""
    forms = forms_of(term)
    if not forms:
        return Found(())
    statement, values = statement_for(forms)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    rows.sort(key=lambda row: (row[1] not in forms, row[1]))
    ids = tuple(dict.fromkeys(pk for pk, _ in rows))
    return Found(ids[:MOST], len(ids) > MOST or len(rows) > MOST)


def statement_for(forms: tuple[str, ...]) -> tuple[str, list[str | int]]:
    """One statement, a branch for each form and index, with its values."""
    branches: list[str] = []
    values: list[str | int] = []
    for form in forms:
        for branch in (BY_KEY, BY_IDENTITY):
            branches.append(branch)
            values += [_beginning(form), MOST + 1]
    return " UNION ALL ".join(branches), values


def _beginning(text: str) -> str:
    """A pattern for LIKE that means this text and whatever follows."""
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, f"\\{sign}")
    return f"{text}%"


def identities_of(term: str) -> list[int]:
    """Ids of all identities of the customer whom this whole key or identifier names; none for a stranger."""
    forms = forms_of(term)
    named = Identity.objects.filter(value__in=forms).values("customer_id")
    keyed = Identity.objects.filter(customer__key__in=forms).values("customer_id")
    customers = {row["customer_id"] for row in (*named, *keyed)}
    return list(Identity.objects.filter(customer_id__in=customers).values_list("pk", flat=True))
