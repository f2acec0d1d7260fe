"""A custom fact's formula in; what it would give for a few customers, from the log, out.

Also its former values taken away, when it comes to mean something else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Final

import polars as pl
from django.db import connection, transaction

from rules.language.columns import from_frame
from rules.language.formulas import formula_histories

from ..customers import profile
from ..customers.facts.custom import Custom, Customs, with_customs
from ..customers.facts.distributions import Described, described
from ..customers.facts.histories import with_histories
from ..customers.models import CustomFact
from ..store import publishing
from ..store.limiting import until

SAMPLE: Final = 500  # customers
FEWER: Final = 50  # where those have too many events
SECONDS: Final = 3.0
AT_ONCE: Final = 2_000

# One customer behind each of so many points, evenly spread over all ids: each is found by the index.
SPREAD: Final = """
SELECT DISTINCT found.id FROM (SELECT min(id) AS low, max(id) AS high FROM customers_customer) AS span
CROSS JOIN generate_series(0, %(n)s - 1) AS k
CROSS JOIN LATERAL (
    SELECT c.id FROM customers_customer c
    WHERE c.merged_into_id IS NULL AND c.facts_at IS NOT NULL
    AND c.id >= span.low + k * (span.high - span.low) / %(last)s
    ORDER BY c.id LIMIT 1
) AS found ORDER BY found.id
"""
LOG: Final = """
SELECT i.customer_id, e.name, e.timestamp, e.properties::text
FROM customers_identity i JOIN customers_event e ON e.identity_id = i.id
WHERE i.customer_id = ANY(%s) AND e.name = ANY(%s) AND NOT e.bot
AND NOT EXISTS (SELECT FROM customers_pending p WHERE p.event_id = e.id)
"""
SCHEMA: Final[dict[str, Any]] = {
    "customer_id": pl.Int64,
    "name": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
    "properties": pl.String,
}
BLANK: Final = """
WITH few AS (
    SELECT id FROM customers_customer WHERE id > %(last)s AND facts ? %(name)s AND facts_at < %(before)s
    ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE
)
UPDATE customers_customer c SET facts = c.facts - %(name)s, facts_version = c.facts_version + 1
FROM few WHERE c.id = few.id RETURNING c.id
"""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a formula gives: for some customers, the values by customer id, and how they are distributed."""

    values: dict[int, Any]
    described: Described


def sample(number: int = SAMPLE) -> list[int]:
    """Ids of customers with facts, evenly spread over all there are; the same ones until customers come or go."""
    with connection.cursor() as cursor:
        cursor.execute(SPREAD, {"n": number, "last": max(1, number - 1)})
        return [pk for (pk,) in cursor.fetchall()]


def preview(custom: Custom, ids: Sequence[int], now: datetime, seconds: float = SECONDS) -> Preview:
    """The fact of these customers at `now`, histories from the log, other facts as stored. Raises OutOfTime."""
    deadline = monotonic() + seconds
    asked = formula_histories(custom.formula)
    stored = profile.stored_frame(ids)
    frame = stored.drop(asked.keys() & set(stored.columns))
    events = _log(ids, sorted({history.event for history in asked.values()}), deadline)
    whole = with_customs(with_histories(frame, events, asked, now), Customs((custom,)))
    column = whole[custom.name] if custom.name in whole.columns else pl.Series(custom.name, [], dtype=pl.Float64)
    values = dict(zip(whole["customer_id"], map(from_frame, column), strict=True))
    return Preview(values, described(column))


def _log(ids: Sequence[int], names: Sequence[str], deadline: float) -> pl.DataFrame:
    """The events of these names, or OutOfTime when the deadline comes first."""
    with until(deadline) as cursor:
        cursor.execute(LOG, [list(ids), list(names)])
        rows = cursor.fetchall()
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def renew(pk: int) -> int:
    """After a fact was published: take away what it meant before; how many had that. Then everybody is refreshed."""
    row = CustomFact.objects.filter(pk=pk, published_at__isnull=False).first()
    return blank(row.name, row.published_at) if row and row.published_at else 0


def blank(name: str, before: datetime) -> int:
    """Take a fact out of the facts of everybody who was last computed before this moment; how many had it.

    So that a fact which means something else from then on is missing until it is computed anew, and never wrong.
    """
    done, last = 0, 0
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(BLANK, {"last": last, "name": name, "before": before, "limit": AT_ONCE})
                ids = sorted(pk for (pk,) in cursor.fetchall())
            if not ids:
                return done
            publishing.publish(ids)
        done, last = done + len(ids), ids[-1]
