"""Customer ids come in; their rows of the all-customers frame, as PostgreSQL has them now, come out.

Columns: `customer_id`, `customer:key`, `customer:unit` (what chances draw by), `customer:version` (of the profile),
`customer:facts_at`, `customer:gone`, `segment:<id>` for each segment that anybody among them is in, and the facts.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from django.db import connection

from rules.language.nodes import History

from ..customers import profile
from ..customers.facts import defining
from ..customers.facts.catalogue import catalogue_facts
from ..customers.facts.histories import wanted
from ..customers.intake import arrays
from .columns import IGNORED, STAMP, Kinds, facts_columns

CUSTOMER, KEY, UNIT = "customer_id", "customer:key", "customer:unit"
VERSION, FACTS_AT, GONE, SEGMENT = "customer:version", "customer:facts_at", "customer:gone", "segment:"
OWN: Final[dict[str, Any]] = {
    CUSTOMER: pl.Int64(),
    KEY: pl.String(),
    UNIT: pl.String(),
    VERSION: pl.Int64(),
    FACTS_AT: STAMP,
    GONE: pl.Boolean(),
}
AT_ONCE: Final = 10_000

ROWS: Final = """
SELECT id, key, coalesce(nullif(unit, ''), key), facts_version, (extract(epoch FROM facts_at) * 1000000)::bigint,
       merged_into_id IS NOT NULL OR facts_at IS NULL, facts::text
FROM customers_customer WHERE id = ANY(%b::bigint[]) ORDER BY id
"""
# A text of ids is read by NumPy in one go; an array would be taken apart number by number.
STAYS: Final = """
SELECT segment_id, string_agg(customer_id::text, ',') FROM rules_membership
WHERE left_at IS NULL AND customer_id = ANY(%b::bigint[]) GROUP BY segment_id
"""
VERSIONS: Final = """
COPY (SELECT id, facts_version FROM customers_customer WHERE merged_into_id IS NULL AND facts_at IS NOT NULL)
TO STDOUT (FORMAT BINARY)
"""
# Source: https://www.postgresql.org/docs/current/sql-copy.html (binary format): a header of 19 bytes, rows of
# a count of fields and each field's length and value, and a trailer of 2 bytes.
_COPIED: Final = np.dtype([("fields", ">i2"), ("size", ">i4"), ("id", ">i8"), ("length", ">i4"), ("version", ">i8")])
_HEADER, _TRAILER = 19, 2


def kinds_now() -> dict[str, str]:
    """The kind of every fact that is known by name: built in, and histories that something published asks for."""
    found = {name: fact.type for name, fact in catalogue_facts(profile.vocabulary()).items()}
    for name, history in wanted().items():
        found.setdefault(name, kind_of(history))
    found |= {one.name: one.type for one in defining.published().facts}
    return {name: IGNORED if _reserved(name) else kind for name, kind in found.items()}


def kind_of(history: History) -> str:
    """FIRST and LAST give whatever the property was, all others a number."""
    return "loose" if history.aggregate in ("FIRST", "LAST") else "number"


def _reserved(name: str) -> bool:
    return name == CUSTOMER or name.startswith(("customer:", SEGMENT))


def everybody() -> pl.DataFrame:
    """customer_id and version of all customers who have facts, by one scan of the table."""
    with connection.cursor() as cursor, cursor.copy(VERSIONS) as copy:
        data = b"".join(bytes(part) for part in copy)
    rows = np.frombuffer(data[_HEADER : len(data) - _TRAILER], dtype=_COPIED)
    return pl.DataFrame({CUSTOMER: rows["id"].astype(np.int64), "now": rows["version"].astype(np.int64)})


def read(ids: Sequence[int], kinds: Kinds) -> tuple[pl.DataFrame, dict[str, str]]:
    """The rows of these customers by id, the merged marked as gone, the deleted missing; and the kinds of all facts.

    Kinds are those given and those of names found on the way.
    """
    parts = []
    for start in range(0, len(ids), AT_ONCE):
        part, kinds = _read(ids[start : start + AT_ONCE], kinds)
        parts.append(part)
    found = pl.concat(parts, how="diagonal") if parts else pl.DataFrame(schema=OWN)
    return found.with_columns(pl.col(f"^{SEGMENT}.*$").fill_null(False)), dict(kinds)


def _read(ids: Sequence[int], kinds: Kinds) -> tuple[pl.DataFrame, Kinds]:
    with arrays.direct() as raw:
        packed = arrays.bigints(ids)
        raw.execute(ROWS, [packed], prepare=True)
        rows = raw.fetchall()
        raw.execute(STAYS, [packed], prepare=True)
        stays = raw.fetchall()
    # A number of microseconds is read several times faster than a moment.
    own = pl.DataFrame([row[:-1] for row in rows], schema=OWN | {FACTS_AT: pl.Int64()}, orient="row").cast(
        {FACTS_AT: STAMP}
    )
    facts, known = _facts([row[-1] for row in rows], kinds)
    return own.hstack(list(_inside(own[CUSTOMER], stays))).hstack(facts.get_columns()), known


def _facts(texts: list[str], kinds: Kinds) -> tuple[pl.DataFrame, Kinds]:
    facts, known = facts_columns(texts, kinds)
    strange = [name for name in known if name not in kinds and _reserved(name)]
    return facts.drop(strange), {**known, **dict.fromkeys(strange, IGNORED)}


def _inside(customers: pl.Series, stays: Sequence[tuple[int, str]]) -> Iterator[pl.Series]:
    """A column for each segment: who of the customers (rising ids) is in it."""
    order = customers.to_numpy()
    for segment, text in sorted(stays):
        members = np.zeros(len(order) + 1, dtype=bool)  # the last place is for who was deleted since
        found = np.fromstring(text, dtype=np.int64, sep=",")
        places = np.searchsorted(order, found)
        there = order.take(places, mode="clip") == found if len(order) else np.zeros(len(found), dtype=bool)
        members[np.where(there, places, len(order))] = True
        members = members[:-1]
        yield pl.Series(f"{SEGMENT}{segment}", members)
