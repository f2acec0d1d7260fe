"""Memberships in; how large segments are, and how large they were hour by hour, out."""

from datetime import datetime

from django.db import connection

RECOUNT = """
UPDATE rules_segment s SET size = v.size FROM (
    SELECT s.id, count(m.id) AS size FROM rules_segment s
    LEFT JOIN rules_membership m ON m.segment_id = s.id AND m.left_at IS NULL GROUP BY s.id
) AS v WHERE v.id = s.id AND v.size <> s.size
"""
# The running hour's row is written again and again until the hour is over, and once more after its end: an entry may be
# committed a moment after the clock said it was made.
NOTE = """
WITH hours AS (
    SELECT date_trunc('hour', %s::timestamptz, 'UTC') - back AS hour, back
    FROM unnest(ARRAY[interval '0', interval '1 hour']) AS back
), moves AS (
    SELECT segment_id, date_trunc('hour', at, 'UTC') AS hour, count(*) FILTER (WHERE entry) AS entered,
           count(*) FILTER (WHERE NOT entry) AS gone
    FROM (SELECT segment_id, entered_at AS at, true AS entry FROM rules_membership
          WHERE entered_at >= (SELECT min(hour) FROM hours)
          UNION ALL SELECT segment_id, left_at, false FROM rules_membership
          WHERE left_at >= (SELECT min(hour) FROM hours)) AS found GROUP BY 1, 2
)
INSERT INTO rules_segmentsize (segment_id, hour, size, entered, "left")
SELECT s.id, h.hour, s.size, coalesce(m.entered, 0), coalesce(m.gone, 0)
FROM rules_segment s CROSS JOIN hours h LEFT JOIN moves m ON m.segment_id = s.id AND m.hour = h.hour
WHERE s.active AND (h.back = interval '0' OR EXISTS (
    SELECT FROM rules_segmentsize o WHERE o.segment_id = s.id AND o.hour = h.hour))
ON CONFLICT (segment_id, hour) DO UPDATE
SET size = CASE WHEN rules_segmentsize.hour = date_trunc('hour', %s::timestamptz, 'UTC') THEN excluded.size
                ELSE rules_segmentsize.size END, entered = excluded.entered, "left" = excluded."left"
WHERE (rules_segmentsize.size, rules_segmentsize.entered, rules_segmentsize."left")
      IS DISTINCT FROM (excluded.size, excluded.entered, excluded."left")
"""
# By the hour for 90 days, then one row a day (UTC): the last size, and all entries and exits.
THIN = """
WITH gone AS (
    DELETE FROM rules_segmentsize s WHERE s.hour < %s::timestamptz - interval '90 days' AND EXISTS (
        SELECT FROM rules_segmentsize o WHERE o.segment_id = s.segment_id AND o.hour > s.hour
        AND date_trunc('day', o.hour, 'UTC') = date_trunc('day', s.hour, 'UTC'))
    RETURNING segment_id, hour, entered, "left"
), days AS (
    SELECT segment_id, date_trunc('day', hour, 'UTC') AS day, sum(entered) AS entered, sum("left") AS gone
    FROM gone GROUP BY 1, 2
), kept AS (
    SELECT d.*, (SELECT max(hour) FROM rules_segmentsize o WHERE o.segment_id = d.segment_id
                 AND o.hour >= d.day AND o.hour < d.day + interval '1 day') AS hour FROM days d
)
UPDATE rules_segmentsize s SET entered = s.entered + kept.entered, "left" = s."left" + kept.gone
FROM kept WHERE s.segment_id = kept.segment_id AND s.hour = kept.hour
"""


def recount(now: datetime) -> int:
    """Correct the sizes that single entries and exits have moved, and note them for the hour; how many were wrong."""
    with connection.cursor() as cursor:
        cursor.execute(RECOUNT)
        wrong = int(cursor.rowcount)
        cursor.execute(NOTE, [now, now])
    return wrong


def thin(now: datetime) -> int:
    """Forget what is finer than charts of old times show; how many rows went."""
    with connection.cursor() as cursor:
        cursor.execute(THIN, [now])
        return int(cursor.rowcount)
