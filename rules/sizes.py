"""Memberships in; how large segments are, and how large they were hour by hour, out."""

from datetime import datetime

from django.db import connection

RECOUNT = """
UPDATE rules_segment s SET size = v.size FROM (
    SELECT s.id, count(m.id) AS size FROM rules_segment s
    LEFT JOIN rules_membership m ON m.segment_id = s.id AND m.left_at IS NULL GROUP BY s.id
) AS v WHERE v.id = s.id AND v.size <> s.size
"""
# The running hour's row is written again and again until the hour is over.
NOTE = """
INSERT INTO rules_segmentsize (segment_id, hour, size, entered, "left")
SELECT s.id, v.hour, s.size, coalesce(e.times, 0), coalesce(l.times, 0)
FROM rules_segment s CROSS JOIN (SELECT date_trunc('hour', %s::timestamptz, 'UTC') AS hour) AS v
LEFT JOIN (SELECT segment_id, count(*) AS times FROM rules_membership
           WHERE entered_at >= date_trunc('hour', %s::timestamptz, 'UTC') GROUP BY 1) AS e ON e.segment_id = s.id
LEFT JOIN (SELECT segment_id, count(*) AS times FROM rules_membership
           WHERE left_at >= date_trunc('hour', %s::timestamptz, 'UTC') GROUP BY 1) AS l ON l.segment_id = s.id
WHERE s.active
ON CONFLICT (segment_id, hour) DO UPDATE
SET size = excluded.size, entered = excluded.entered, "left" = excluded."left"
WHERE (rules_segmentsize.size, rules_segmentsize.entered, rules_segmentsize."left")
      IS DISTINCT FROM (excluded.size, excluded.entered, excluded."left")
"""
# By the hour for 90 days, then the last of each day (UTC) for ever.
THIN = """
DELETE FROM rules_segmentsize s WHERE s.hour < %s::timestamptz - interval '90 days' AND EXISTS (
    SELECT FROM rules_segmentsize o WHERE o.segment_id = s.segment_id AND o.hour > s.hour
    AND date_trunc('day', o.hour, 'UTC') = date_trunc('day', s.hour, 'UTC'))
"""


def recount(now: datetime) -> int:
    """Correct the sizes that single entries and exits have moved, and note them for the hour; how many were wrong."""
    with connection.cursor() as cursor:
        cursor.execute(RECOUNT)
        wrong = int(cursor.rowcount)
        cursor.execute(NOTE, [now, now, now])
    return wrong


def thin(now: datetime) -> int:
    """Forget what is finer than charts of old times show; how many rows went."""
    with connection.cursor() as cursor:
        cursor.execute(THIN, [now])
        return int(cursor.rowcount)
