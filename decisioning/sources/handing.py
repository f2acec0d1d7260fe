"""Items of a file or a topic in; stored by the one intake function, each refused one under its exact place, out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from django.db import connection

from ..customers.intake import letters
from ..customers.intake.tracking import check_items
from ..flows.consent import said_by
from ..flows.take import take_items
from .items import Item

T = TypeVar("T")
# Where a batch came from is known beforehand; where in it the refused ones stood, only afterwards.
PLACES: Final = """
UPDATE customers_deadletter d SET source = v.source FROM unnest(%s::uuid[], %s::text[]) AS v(digest, source)
WHERE d.digest = v.digest
"""
WHOSE: Final = """
SELECT DISTINCT i.customer_id FROM unnest(%s::text[], %s::text[]) AS v(kind, value)
JOIN customers_identity i ON i.kind = v.kind AND i.value = v.value
"""
# The latest word counts; of two at the same moment the refusal does.
CONSENT: Final = """
INSERT INTO customers_consent (customer_id, channel, granted, at, source)
SELECT DISTINCT ON (i.customer_id, v.channel) i.customer_id, v.channel, v.granted, v.at, %s
FROM unnest(%s::text[], %s::text[], %s::text[], %s::boolean[], %s::timestamptz[])
    AS v(kind, value, channel, granted, at)
JOIN customers_identity i ON i.kind = v.kind AND i.value = v.value
ORDER BY i.customer_id, v.channel, v.at DESC, v.granted
ON CONFLICT (customer_id, channel) DO UPDATE SET granted = excluded.granted, at = excluded.at, source = excluded.source
WHERE (excluded.at, NOT excluded.granted) > (customers_consent.at, NOT customers_consent.granted)
"""
# Columns of the log and of the letters.
LONGEST_SOURCE, LONGEST_PLACE = 100, 200


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """Something that came from somewhere: what, where a person finds it, and of how many rows it was made."""

    place: str
    what: T
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be taken: where it stands, a short code, the reason, what it was, and how many rows."""

    place: str
    code: str
    reason: str
    raw: bytes = b""
    rows: int = 1


@dataclass(slots=True)
class Done:
    """What was done with some rows: how many came to what, and those that failed."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def hand_over(items: Sequence[Placed[Item]], failures: Sequence[Failure], source: str, now: datetime) -> Done:
    """Store these events, and keep what failed before them and what is refused now as dead letters."""
    taken = take_items([item.what.raw for item in items], source[:LONGEST_SOURCE], now)
    refused = {bad.index: Failure(items[bad.index].place, bad.code, bad.message, bad.raw) for bad in taken.bad}
    letters.keep([(failed.code, failed.reason, failed.raw) for failed in failures], source, now)
    _name_places([*failures, *refused.values()], source)
    _consent([item.what for index, item in enumerate(items) if index not in refused], source, now)
    counts = Counter({"added": taken.added, "duplicates": taken.duplicates})
    return Done(counts, [*failures, *refused.values()])


def look_at(items: Sequence[Placed[Item]], failures: Sequence[Failure], now: datetime) -> Done:
    """What `hand_over` would refuse, with nothing written. The tracking plan and what is stored are not asked."""
    _, bads = check_items([item.what.raw for item in items], now)
    refused = [Failure(items[bad.index].place, bad.code, bad.message, bad.raw) for bad in bads]
    return Done(Counter({"acceptable": len(items) - len(bads)}), [*failures, *refused])


def _name_places(failures: Sequence[Failure], source: str) -> None:
    if not failures:
        return
    digests = [letters.digest_of(letters.INTAKE, failed.code, failed.raw) for failed in failures]
    with connection.cursor() as cursor:
        cursor.execute(PLACES, [digests, [f"{source}, {failed.place}"[:LONGEST_PLACE] for failed in failures]])


def _consent(items: Sequence[Item], source: str, now: datetime) -> None:
    saying = [item for item in items if item.consents]
    if not saying:
        return
    events, _ = check_items([item.raw for item in saying], now)
    rows = [
        # Nobody has said tomorrow's word yet; kept as told, it would outlive every later one.
        (*event.identifiers[0], channel, granted, min(at, now))
        for event, item in zip(events, saying, strict=True)
        for channel, (granted, at) in item.consents.items()
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(WHOSE, columns[:2])
        with said_by([pk for (pk,) in cursor.fetchall()], now):
            cursor.execute(CONSENT, [source[:LONGEST_SOURCE], *columns])
