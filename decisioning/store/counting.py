"""The ledger's new decisions and outcomes in; what they add up to, each counted once, out.

A trigger notes every row added to the ledger in the transaction that adds it. Counting takes notes and changes the
statistics in one transaction, one counter at a time: whatever is killed when, in whatever order rows arrive and however
often they are sent, the statistics are those that counting everything anew gives.

An outcome waits for its decision, and counts when it came within the window that the decision keeps for its kind, and
not before the decision.
Of a content in a decision the first impression, click and conversion count, the
values of all its conversions are added up, and all of it on the day of the decision.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from ..models import DroppedMonth
from .contacts import note_prefetched
from .tallies import add_now

DECISIONS, OUTCOMES = 1000, 2000
# An outcome whose decision was never written (a dry run, a killed process) is given up after so long; should the
# decision come later after all, its outcomes are counted with it.
PATIENCE: Final = timedelta(minutes=10)
# Counting, counting anew and dropping a month exclude each other.
LOCK: Final = 7011972

NEW_DECISIONS = "SELECT decision_id FROM decisioning_uncounted ORDER BY decision_id LIMIT %s"
# Outcomes of decisions that are counted or about to be, and those given up before their decision came.
NEW_OUTCOMES = """
(SELECT o.id FROM decisioning_uncountedoutcome u JOIN decisioning_outcome o ON o.id = u.outcome_id
 WHERE EXISTS (SELECT FROM decisioning_decision d WHERE d.id = o.decision_id)
 AND (o.decision_id = ANY(%(decisions)s)
      OR NOT EXISTS (SELECT FROM decisioning_uncounted q WHERE q.decision_id = o.decision_id))
 ORDER BY o.id LIMIT %(limit)s)
UNION
SELECT o.id FROM decisioning_outcome o WHERE o.decision_id = ANY(%(decisions)s)
AND NOT EXISTS (SELECT FROM decisioning_uncountedoutcome u WHERE u.outcome_id = o.id)
"""
# What decisions add: one row for each content and group.
DECIDED = """
SELECT d.placement, k.content, p.part, p.name, (d.at AT TIME ZONE 'UTC')::date AS day,
       1 AS decisions, 0 AS impressions, 0 AS shown, 0 AS clicks, 0 AS conversions, 0::numeric AS value
FROM {decisions} d, decisioning_keys(d.items) k, decisioning_parts(d.explanation) p
WHERE d.asked ->> 'mode' IS DISTINCT FROM 'prefetch'
"""
# What outcomes add, beyond those of the same decision and content that were counted before.
FOLLOWED = """
SELECT d.placement, f.content, p.part, p.name, (d.at AT TIME ZONE 'UTC')::date AS day,
       CASE WHEN d.asked ->> 'mode' = 'prefetch' THEN f.shown ELSE 0 END AS decisions,
       f.impressions, f.shown, f.clicks, f.conversions, f.value
FROM (
    SELECT n.decision_id, n.content,
           (n.impression AND NOT coalesce(b.impression, false))::int AS impressions,
           (b.decision_id IS NULL)::int AS shown,
           (n.click AND NOT coalesce(b.click, false))::int AS clicks,
           (n.conversion AND NOT coalesce(b.conversion, false))::int AS conversions, n.value
    FROM ({new}) n LEFT JOIN ({before}) b ON b.decision_id = n.decision_id AND b.content = n.content
) f JOIN decisioning_decision d ON d.id = f.decision_id, decisioning_parts(d.explanation) p
"""
# Values are rounded to a millionth and cut at a million millions, so that sums are exact and never overflow.
BY_CONTENT = """
SELECT o.decision_id, left(o.content, 100) AS content, bool_or(o.kind = 'impression') AS impression,
       bool_or(o.kind = 'click') AS click, bool_or(o.kind = 'conversion') AS conversion,
       coalesce(sum(least(greatest(o.value, -1e12), 1e12)::numeric(30, 6)) FILTER (
           WHERE o.kind = 'conversion' AND decisioning_in_time(d.windows, 'value', d.at, o.at)), 0)
           AS value
FROM decisioning_outcome o JOIN decisioning_decision d ON d.id = o.decision_id
WHERE decisioning_in_time(d.windows, o.kind, d.at, o.at) {also} GROUP BY o.decision_id, left(o.content, 100)
"""
NEW = BY_CONTENT.format(also="AND o.id = ANY(%(outcomes)s)")
BEFORE = BY_CONTENT.format(
    also="""
    AND o.decision_id IN (SELECT m.decision_id FROM decisioning_outcome m WHERE m.id = ANY(%(outcomes)s))
    AND NOT EXISTS (SELECT FROM unnest(%(outcomes)s::bigint[]) AS t(id) WHERE t.id = o.id)
    AND NOT EXISTS (SELECT FROM decisioning_uncountedoutcome u WHERE u.outcome_id = o.id)
"""
)
SOME = "(SELECT * FROM decisioning_decision WHERE id = ANY(%(decisions)s))"
COLUMNS = "placement, content, part, name, day, decisions, impressions, shown, clicks, conversions, value"
SUMS = (
    "placement, content, part, name, day, sum(decisions), sum(impressions), sum(shown), sum(clicks), "
    "sum(conversions), sum(value)"
)
ADD = f"""
INSERT INTO decisioning_statistic AS s ({COLUMNS})
SELECT {SUMS} FROM ({DECIDED.format(decisions=SOME)} UNION ALL {FOLLOWED.format(new=NEW, before=BEFORE)}) AS added
GROUP BY placement, content, part, name, day
ON CONFLICT (placement, day, part, name, content) DO UPDATE SET
    decisions = s.decisions + excluded.decisions, impressions = s.impressions + excluded.impressions,
    shown = s.shown + excluded.shown, clicks = s.clicks + excluded.clicks,
    conversions = s.conversions + excluded.conversions, value = s.value + excluded.value
"""  # noqa: S608
ENDS = """
SELECT date_trunc('hour', d.at, 'UTC') AS hour, d.placement, d.source, d.rung, d.reason, count(*) AS decisions,
       count(*) FILTER (WHERE d.whole) AS whole
FROM {decisions} d GROUP BY 1, 2, 3, 4, 5
"""
ENDED = "hour, placement, source, rung, reason, decisions, whole"
ADD_TRAFFIC = f"""
INSERT INTO decisioning_traffic AS t ({ENDED}) {ENDS.format(decisions=SOME)}
ON CONFLICT (hour, placement, source, rung, reason)
DO UPDATE SET decisions = t.decisions + excluded.decisions, whole = t.whole + excluded.whole
"""
# What came after its window, or is dated before its decision, adds nothing above and is said here, in the hour it came
# (or was decided): all, and by placement.
LATE = """
INSERT INTO decisioning_tally AS t (process, hour, what, name, count, most)
SELECT '00000000-0000-0000-0000-000000000000'::uuid, date_trunc('hour', greatest(o.at, d.at), 'UTC') AS hour,
       CASE grouping(d.placement) WHEN 1 THEN 'outcomes' ELSE w.why END,
       CASE grouping(d.placement) WHEN 1 THEN w.why ELSE d.placement END, count(*), 0
FROM decisioning_outcome o JOIN decisioning_decision d ON d.id = o.decision_id,
LATERAL (SELECT CASE WHEN o.at < d.at THEN 'early' ELSE 'late' END) AS w(why)
WHERE o.id = ANY({outcomes}) AND NOT decisioning_in_time(d.windows, o.kind, d.at, o.at)
GROUP BY GROUPING SETS ((2, w.why), (2, w.why, d.placement))
ON CONFLICT (hour, process, what, name) DO UPDATE SET count = t.count + excluded.count
"""
COUNTED = """
WITH decisions AS (DELETE FROM decisioning_uncounted WHERE decision_id = ANY(%(decisions)s))
DELETE FROM decisioning_uncountedoutcome WHERE outcome_id = ANY(%(outcomes)s)
"""
GIVE_UP = """
WITH gone AS (
    DELETE FROM decisioning_uncountedoutcome u WHERE u.outcome_id IN (
        SELECT u.outcome_id FROM decisioning_uncountedoutcome u LEFT JOIN decisioning_outcome o ON o.id = u.outcome_id
        WHERE o.id IS NULL OR o.at < %s AND o.decision_id < %s
        AND NOT EXISTS (SELECT FROM decisioning_decision d WHERE d.id = o.decision_id)
    ) RETURNING outcome_id
)
SELECT count(*), count(*) FILTER (WHERE o.decision_id < %s)
FROM gone g LEFT JOIN decisioning_outcome o ON o.id = g.outcome_id
"""


def count_new() -> int:
    """Count what the ledger has got since, at most a thousand decisions; how many rows were dealt with.

    0 also while somebody else counts.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        decisions = _ids(cursor, NEW_DECISIONS, [DECISIONS])
        outcomes = _ids(cursor, NEW_OUTCOMES, {"decisions": decisions, "limit": OUTCOMES})
        if outcomes:
            # Before the commit: what is repeated after a kill changes nothing there.
            note_prefetched(outcomes)
        if decisions or outcomes:
            words = {"decisions": decisions, "outcomes": outcomes}
            for statement in (ADD, ADD_TRAFFIC, LATE.format(outcomes="%(outcomes)s"), COUNTED):
                cursor.execute(statement, words)
    return len(decisions) + len(outcomes)


def _ids(cursor: Any, statement: str, words: Any) -> list[Any]:
    cursor.execute(statement, words)
    return [pk for (pk,) in cursor.fetchall()]


def give_up(now: datetime, real: datetime) -> int:
    """Let go of outcomes whose decision never came; how many. `now` is the product's clock, `real` the real time."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(GIVE_UP, [now - PATIENCE, _first_id(real - PATIENCE), _first_id(_kept_since())])
            lost, expired = cursor.fetchone()
        for name, number in (("lost", lost - expired), ("expired", expired)):
            if number:
                add_now("outcomes", name, now, number)
    return int(lost)


def _first_id(at: datetime) -> UUID:
    """No decision made from this moment on has a smaller id."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)


def _kept_since() -> datetime:
    """The end of the newest month that was dropped; the beginning of all time where none was."""
    newest = DroppedMonth.objects.aggregate(newest=Max("month"))["newest"]
    end = (newest + timedelta(days=31)).replace(day=1) if newest else date(1970, 1, 1)
    return datetime.combine(end, time(), UTC)
