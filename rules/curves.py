"""Noted sizes and present memberships in; how segments grew and shrank, by hour, day, month and minute, out.

Hours are those of the product's clock, in UTC. Sizes of the past are read from what was noted each hour
(`models.SegmentSize`); the running hour is counted from the memberships themselves.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection

from .models import Segment

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Counted no further: past it, the size that was counted last is near enough.
COUNTED: Final = 100_000
COUNT: Final = """
SELECT count(*) FROM (
    SELECT FROM rules_membership WHERE segment_id = %s AND left_at IS NULL LIMIT %s
) AS counted
"""
NOTED: Final = """
SELECT date_trunc(%s, hour, 'UTC') AS bucket, (array_agg(size ORDER BY hour DESC))[1], sum(entered), sum("left")
FROM rules_segmentsize WHERE segment_id = %s AND hour >= %s AND hour < %s GROUP BY bucket ORDER BY bucket
"""
SINCE: Final = """
SELECT (SELECT count(*) FROM rules_membership WHERE segment_id = %s AND entered_at >= %s AND entered_at <= %s),
       (SELECT count(*) FROM rules_membership WHERE segment_id = %s AND left_at >= %s AND left_at <= %s)
"""
# The last size noted for an hour that was over by then.
BEFORE: Final = """
SELECT s.id, noted.size FROM unnest(%s::bigint[]) AS s(id) CROSS JOIN LATERAL (
    SELECT size FROM rules_segmentsize WHERE segment_id = s.id AND hour < date_trunc('hour', %s::timestamptz, 'UTC')
    ORDER BY hour DESC LIMIT 1
) AS noted
"""
LINES: Final = """
SELECT segment_id, array_agg(size ORDER BY bucket) FROM (
    SELECT DISTINCT ON (segment_id, bucket) segment_id, size,
           floor(extract(epoch FROM %s::timestamptz - hour) / %s)::int * -1 AS bucket
    FROM rules_segmentsize WHERE segment_id = ANY(%s) AND hour > %s AND hour <= %s
    ORDER BY segment_id, bucket, hour DESC
) AS points GROUP BY segment_id
"""
MINUTES: Final = """
SELECT segment_id, true, floor(extract(epoch FROM %s::timestamptz - entered_at) / 60)::int AS ago, count(*)
FROM rules_membership WHERE entered_at > %s AND entered_at <= %s GROUP BY segment_id, ago
UNION ALL
SELECT segment_id, false, floor(extract(epoch FROM %s::timestamptz - left_at) / 60)::int AS ago, count(*)
FROM rules_membership WHERE left_at > %s AND left_at <= %s GROUP BY segment_id, ago
"""


class Point(NamedTuple):
    """What is known of one hour, day or month: its beginning, the size at its end (None: not noted), the moves."""

    at: datetime
    size: int | None
    entered: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """How a chart is cut: its step (as PostgreSQL calls it), how many steps it shows, and in words."""

    step: str
    number: int
    words: str


REACHES: Final = {
    "hours": Reach("hour", 48, "48 hours"),
    "days": Reach("day", 30, "30 days"),
    "months": Reach("month", 12, "12 months"),
}


def begun(moment: datetime, step: str) -> datetime:
    """When the hour, day or month of this moment began."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if step == "hour":
        return hour
    return hour.replace(hour=0) if step == "day" else hour.replace(hour=0, day=1)


def steps(now: datetime, reach: Reach) -> list[datetime]:
    """The beginnings of the steps a chart shows, the running one last."""
    found = [begun(now, reach.step)]
    back = HOUR if reach.step == "hour" else DAY
    for _ in range(reach.number - 1):
        # A day, or an hour, before the first of a month lies in the month before.
        found.append(begun(found[-1] - back, reach.step))
    return found[::-1]


def curve(segment: Segment, reach: Reach, now: datetime) -> list[Point]:
    """A point a step, the running one last and counted now."""
    wanted, hour = steps(now, reach), begun(now, "hour")
    with connection.cursor() as cursor:
        cursor.execute(NOTED, [reach.step, segment.pk, wanted[0], hour])
        noted = {row[0]: Point(*row) for row in cursor.fetchall()}
        cursor.execute(SINCE, [segment.pk, hour, now, segment.pk, hour, now])
        entered, left = cursor.fetchone()
    points = [noted.get(at, Point(at, None)) for at in wanted]
    last = points[-1]
    points[-1] = Point(last.at, size_of(segment), int(last.entered) + entered, int(last.left) + left)
    return points


def size_of(segment: Segment) -> int:
    """How many are in it now; of a large one, how many were when they were last counted."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [segment.pk, COUNTED])
        counted = int(cursor.fetchone()[0])
    return max(counted, segment.size) if counted == COUNTED else counted


def sizes_before(segments: Collection[int], moment: datetime) -> dict[int, int]:
    """Sizes at the last full hour before a moment, of the segments that had one noted."""
    with connection.cursor() as cursor:
        cursor.execute(BEFORE, [list(segments), moment])
        return dict(cursor.fetchall())


def lines(segments: Collection[int], now: datetime, span: timedelta, points: int) -> dict[int, list[int]]:
    """A few sizes over the span for each segment, oldest first: enough for a small picture."""
    with connection.cursor() as cursor:
        width = span.total_seconds() / points
        cursor.execute(LINES, [now, width, list(segments), now - span, now])
        return {pk: list(sizes) for pk, sizes in cursor.fetchall()}


class Minutes(NamedTuple):
    """Entries and exits of one segment a minute, the running minute last."""

    entered: list[int]
    left: list[int]


def minutes(now: datetime, number: int = 60) -> dict[int, Minutes]:
    """The last minutes of every segment in which anybody moved."""
    since = now - timedelta(minutes=number)
    found: dict[int, Minutes] = {}
    with connection.cursor() as cursor:
        cursor.execute(MINUTES, [now, since, now] * 2)
        for segment, entering, ago, times in cursor.fetchall():
            mine = found.setdefault(segment, Minutes([0] * number, [0] * number))
            (mine.entered if entering else mine.left)[number - 1 - min(ago, number - 1)] += times
    return found


def change(size: int, before: int | None) -> int | None:
    """The difference, where the former size is known."""
    return None if before is None else size - before


def peak(points: Sequence[Point]) -> int:
    """The largest size among them, at least 1, so that charts can divide by it."""
    return max([1, *(point.size for point in points if point.size is not None)])
