"""The event log in; counts by event and hour, likely duplicates, and a sample of each event's properties, out.

One pass over the newest `MOST` events for the counts and one for the duplicates; samples are read by index. Events are
told apart as in the tracking plan: track events by their names, the others by their types.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

MOST: Final = 2_000_000
LATE: Final = timedelta(days=1)
AHEAD: Final = timedelta(minutes=1)
NOWHERE: Final = UUID(int=0)

ENTRY: Final = "CASE WHEN type = 'track' THEN name ELSE type END"
# The id that so many newer ones follow; a log known to be shorter is not walked for it.
CUT: Final = "SELECT id FROM customers_event ORDER BY id DESC OFFSET %s LIMIT 1"
COUNT: Final = f"""
SELECT {ENTRY}, CASE WHEN timestamp >= %(since)s AND timestamp < %(now)s THEN date_trunc('hour', timestamp, 'UTC') END,
    count(*), count(*) FILTER (WHERE bot), count(*) FILTER (WHERE historical), min(timestamp), max(timestamp),
    count(*) FILTER (WHERE NOT historical AND received_at - timestamp > %(late)s),
    max(id::text) FILTER (WHERE NOT historical AND received_at - timestamp > %(late)s),
    count(*) FILTER (WHERE timestamp > least(received_at, %(now)s) + %(ahead)s),
    max(id::text) FILTER (WHERE timestamp > least(received_at, %(now)s) + %(ahead)s)
FROM customers_event WHERE id > %(cut)s GROUP BY 1, 2
"""  # noqa: S608 (no value stands in the text)
# First what came twice in a second, which is cheap; only of that the properties are compared.
TWICE: Final = f"""
WITH twice AS (
    SELECT identity_id, type, name, date_trunc('second', timestamp) AS second FROM customers_event
    WHERE id > %(cut)s AND NOT bot GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
), same AS (
    SELECT e.type, e.name, count(*) - 1 AS more, max(e.id::text) AS example FROM customers_event e
    JOIN twice t ON t.identity_id = e.identity_id AND t.type = e.type AND t.name = e.name
        AND t.second = date_trunc('second', e.timestamp)
    WHERE e.id > %(cut)s AND NOT e.bot
    GROUP BY e.type, e.name, e.identity_id, t.second, md5(e.properties::text) HAVING count(*) > 1
)
SELECT {ENTRY}, sum(more), (array_agg(example ORDER BY example DESC))[1:5] FROM same GROUP BY 1
"""  # noqa: S608 (no value stands in the text)
SAMPLE: Final = """
SELECT id::text, properties::text FROM customers_event
WHERE id > %s AND {} AND NOT bot ORDER BY id DESC LIMIT %s
"""
PROBLEMS: Final = """
SELECT event, property, code, sum(times), sum(refused), max(example) FROM customers_planproblem
WHERE day >= %s GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3
"""


@dataclass(slots=True)
class Counted:
    """What the log holds of one event; `hours` {full hour (UTC): how many, bots left out}."""

    total: int = 0
    bots: int = 0
    historical: int = 0
    late: int = 0
    ahead: int = 0
    late_example: str = ""
    ahead_example: str = ""
    first: datetime | None = None
    last: datetime | None = None
    hours: dict[datetime, int] = field(default_factory=dict)

    def add(self, hour: datetime | None, row: tuple[Any, ...]) -> None:
        """One line of `COUNT`, without its event and hour."""
        total, bots, historical, first, last, late, late_example, ahead, ahead_example = row
        self.total += total
        self.bots += bots
        self.historical += historical
        self.late += late
        self.ahead += ahead
        self.late_example = max(self.late_example, late_example or "")
        self.ahead_example = max(self.ahead_example, ahead_example or "")
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        if hour is not None and total > bots:
            self.hours[hour] = self.hours.get(hour, 0) + total - bots


class Twice(NamedTuple):
    """How many events say what another of the same second says, and some of their ids."""

    more: int
    examples: list[str]


class Unfit(NamedTuple):
    """What did not fit the tracking plan lately."""

    property: str
    code: str
    times: int
    refused: int
    example: str


def cut(most: int = MOST) -> UUID:
    """The id after which the events looked at begin: those of the newest `most`, or all."""
    with connection.cursor() as cursor:
        cursor.execute(CUT, [most])
        row = cursor.fetchone()
    return row[0] if row else NOWHERE


def counts(after: UUID, since: datetime, now: datetime) -> dict[str, Counted]:
    """By event: totals, and the hours from `since` until `now` (the product's time)."""
    found: dict[str, Counted] = {}
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"cut": after, "since": since, "now": now, "late": LATE, "ahead": AHEAD}
        cursor.execute(COUNT, values)
        for name, hour, *rest in cursor.fetchall():
            found.setdefault(name, Counted()).add(hour, tuple(rest))
    return found


def duplicates(after: UUID) -> dict[str, Twice]:
    """By event: those with the identity, name, second and properties of another, under a message id of their own.

    What came again under the same message id was refused at the door and is not in the log.
    """
    with connection.cursor() as cursor:
        cursor.execute(TWICE, {"cut": after})
        return {name: Twice(int(more), list(examples)) for name, more, examples in cursor.fetchall()}


def sample(event: str, after: UUID, most: int) -> Iterator[tuple[str, str]]:
    """(id, properties as JSON text) of the newest events of a plan's entry; without bots."""
    # A name is indexed; the other types have few entries and are found on the way back from the newest.
    types = ("page", "screen", "identify", "group", "alias")
    where = "type = %s" if event in types else "name = %s AND type = 'track'"
    with connection.cursor() as cursor:
        cursor.execute(SAMPLE.format(where), [after, event, most])
        yield from cursor


def unfit(since: datetime) -> dict[str, list[Unfit]]:
    """By event: what did not fit the tracking plan since a day."""
    found: dict[str, list[Unfit]] = {}
    with connection.cursor() as cursor:
        cursor.execute(PROBLEMS, [since.date()])
        for name, *rest in cursor.fetchall():
            property_, code, times, refused, example = rest
            found.setdefault(name, []).append(Unfit(property_, code, int(times), int(refused), example))
    return found
