"""Memberships in; who is in two segments at once, and who went from one to another between two moments, out.

Among many customers every n-th is looked at, by id, so that the answer comes in about a second whatever the number; the
figures are then those of the sample times n, and say so. A customer counts once for each pair of segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from django.db import connection

# Customers looked at for an overlap at most; and stays read for it, since a customer may be in hundreds of segments.
OVERLAP_CUSTOMERS: Final = 20_000
STAYS: Final = 400_000
FEWEST: Final = 2_000
MIGRATION_CUSTOMERS: Final = 30_000

REACH: Final = "SELECT min(id), max(id) FROM customers_customer"
EVERY: Final = """
SELECT c.id FROM generate_series(%s::bigint, %s::bigint, %s::bigint) AS every(id)
JOIN customers_customer c ON c.id = every.id WHERE c.merged_into_id IS NULL ORDER BY c.id
"""
# OFFSET 0 keeps PostgreSQL from joining everybody's stays to the few customers asked for: each customer's own are read.
HELD: Final = """
SELECT who.id, mine.segments FROM unnest(%s::bigint[]) AS who(id) CROSS JOIN LATERAL (
    SELECT array_agg(segment_id) AS segments FROM (
        SELECT segment_id FROM rules_membership WHERE customer_id = who.id AND left_at IS NULL OFFSET 0
    ) AS stays WHERE segment_id = ANY(%s)
) AS mine WHERE mine.segments IS NOT NULL
"""
MOVED: Final = """
WITH held AS (
    SELECT who.id, coalesce(mine.earlier, '{}') AS earlier, coalesce(mine.later, '{}') AS later
    FROM unnest(%s::bigint[]) AS who(id) CROSS JOIN LATERAL (
        SELECT array_agg(segment_id ORDER BY segment_id)
                   FILTER (WHERE entered_at <= %s AND (left_at IS NULL OR left_at > %s)) AS earlier,
               array_agg(segment_id ORDER BY segment_id)
                   FILTER (WHERE entered_at <= %s AND (left_at IS NULL OR left_at > %s)) AS later
        FROM (SELECT * FROM rules_membership WHERE customer_id = who.id OFFSET 0) AS stays
        WHERE segment_id = ANY(%s)
    ) AS mine
)
SELECT earlier, later, count(*), (array_agg(id ORDER BY id))[1:%s]
FROM held WHERE earlier <> '{}' OR later <> '{}' GROUP BY 1, 2
"""

Key = int | None
NONE: Final[Sequence[Key]] = (None,)
Counts = npt.NDArray[np.int64]
Held = dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Sample:
    """The ids of every `step`-th customer."""

    ids: tuple[int, ...]
    step: int = 1

    @property
    def customers(self) -> int:
        """How many they are."""
        return len(self.ids)

    @property
    def whole(self) -> bool:
        """Whether they are everybody."""
        return self.step == 1


@dataclass(frozen=True, slots=True)
class Overlap:
    """`counts[i, j]` customers of the sample are in both of `segments[i]` and `segments[j]`; the diagonal: in it."""

    segments: tuple[int, ...]
    counts: Counts
    sample: Sample

    @property
    def largest(self) -> int:
        """Customers of the largest segment."""
        return int(self.counts.diagonal().max())

    def both(self, one: int, other: int) -> int:
        """Customers in both, by position."""
        return int(self.counts.item(one, other))

    def jaccard(self, one: int, other: int) -> float | None:
        """Customers in both per customer in either, 0 to 1; None when both are empty (Jaccard, 1912)."""
        both, either = self.both(one, other), self.both(one, one) + self.both(other, other)
        return both / (either - both) if either else None

    def lift(self, one: int, other: int) -> float | None:
        """How many times more are in both than chance would put there, 1 being chance.

        None where chance would put fewer than one customer of the sample there: so few say nothing.
        """
        if not self.sample.customers:
            return None
        expected = self.both(one, one) * self.both(other, other) / self.sample.customers
        return self.both(one, other) / expected if expected >= 1 else None


@dataclass(frozen=True, slots=True)
class Migration:
    """Customers of the sample by (segment then, segment now); None stands for none of the group's segments."""

    moves: dict[tuple[Key, Key], int]
    sample: Sample


def sample_of(most: int) -> Sample:
    """At most so many customers, spread evenly over all ids; whoever became part of another is left out."""
    with connection.cursor() as cursor:
        cursor.execute(REACH)
        low, high = cursor.fetchone()
        if low is None:
            return Sample(())
        step = max(1, -(-(high - low + 1) // most))
        cursor.execute(EVERY, [low, high, step])
        return Sample(tuple(pk for (pk,) in cursor.fetchall()), step)


def affordable(sizes: Sequence[int], customers: int) -> int:
    """Customers to look at, so that their stays in segments of these sizes stay within `STAYS`."""
    stays_each = sum(sizes) / customers if customers else 0
    return int(min(OVERLAP_CUSTOMERS, max(FEWEST, STAYS / stays_each if stays_each else OVERLAP_CUSTOMERS)))


def overlap(segments: Sequence[int], sample: Sample) -> Overlap:
    """Each of these segments against each."""
    return counted(segments, holding(segments, sample), sample)


def counted(segments: Sequence[int], held: Held, sample: Sample) -> Overlap:
    """The same, of what customers are known to be in."""
    place = {pk: position for position, pk in enumerate(segments)}
    inside = np.zeros((len(held), len(segments)), dtype=np.float32)
    for row, mine in enumerate(held.values()):
        inside[row, [place[pk] for pk in mine]] = 1
    # Whole numbers up to 2^24 are exact in 32 bits, and no sample is larger.
    return Overlap(tuple(segments), np.rint(inside.T @ inside).astype(np.int64), sample)


def holding(segments: Sequence[int], sample: Sample) -> Held:
    """customer -> those of these segments they are in now, for the customers of the sample who are in any."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, [list(sample.ids), list(segments)])
        return {customer: tuple(mine) for customer, mine in cursor.fetchall()}


def migration(segments: Sequence[int], then: datetime, now: datetime, sample: Sample) -> Migration:
    """How customers went between these segments; those in none of them at either moment are not counted."""
    moves: dict[tuple[Key, Key], int] = {}
    for earlier, later, times, _ in _moved(segments, then, now, sample, 0):
        for start in earlier or NONE:
            for end in later or NONE:
                if (start, end) != (None, None):
                    moves[start, end] = moves.get((start, end), 0) + times
    return Migration(moves, sample)


def movers(
    segments: Sequence[int],
    pair: tuple[Key, Key],
    then: datetime,
    now: datetime,
    sample: Sample,
    most: int,
) -> list[int]:
    """Up to so many customers of the sample who went this way, by id."""
    found: set[int] = set()
    for earlier, later, _, customers in _moved(segments, then, now, sample, most):
        if pair[0] in (earlier or NONE) and pair[1] in (later or NONE):
            found |= set(customers)
    return sorted(found)[:most]


def _moved(
    segments: Sequence[int], then: datetime, now: datetime, sample: Sample, most: int
) -> list[tuple[list[Key], list[Key], int, list[int]]]:
    """(segments then, segments now, customers, a few of them) for each way that anybody went."""
    values: list[Any] = [list(sample.ids), then, then, now, now, list(segments), most]
    with connection.cursor() as cursor:
        cursor.execute(MOVED, values)
        return cursor.fetchall()
