"""Everything the ledger holds in; the statistics counted anew, beside what dropped months had added, out."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Max

from ..models import DroppedMonth
from .counting import BY_CONTENT, COLUMNS, DECIDED, ENDED, ENDS, FOLLOWED, LATE, LOCK, SUMS

EVERY: Final = "(SELECT * FROM decisioning_decision WHERE at >= %(since)s)"
NONE_BEFORE: Final = """
SELECT NULL::uuid AS decision_id, NULL::text AS content, false AS impression, false AS click, false AS conversion
"""
STAGE: Final = f"""
CREATE TEMPORARY TABLE recounted ON COMMIT DROP AS SELECT {COLUMNS} FROM decisioning_statistic LIMIT 0;
CREATE TEMPORARY TABLE recounted_traffic ON COMMIT DROP AS SELECT {ENDED} FROM decisioning_traffic LIMIT 0;
"""  # noqa: S608
# One statement sees one moment: of what it has counted it takes the notes, and what commits later is noted.
COUNT: Final = f"""
WITH decisions AS (
    DELETE FROM decisioning_uncounted q WHERE NOT EXISTS (
        SELECT FROM decisioning_decision d WHERE d.id = q.decision_id AND d.at < %(since)s)
), outcomes AS (
    DELETE FROM decisioning_uncountedoutcome u WHERE EXISTS (
        SELECT FROM decisioning_outcome o JOIN decisioning_decision d ON d.id = o.decision_id
        WHERE o.id = u.outcome_id AND d.at >= %(since)s) RETURNING outcome_id
), late AS (
    {LATE.format(outcomes="ARRAY(SELECT outcome_id FROM outcomes)")}
), traffic AS (
    INSERT INTO recounted_traffic {ENDS.format(decisions=EVERY)}
)
INSERT INTO recounted SELECT {SUMS} FROM ({DECIDED.format(decisions=EVERY)} UNION ALL
    {FOLLOWED.format(new=BY_CONTENT.format(also=""), before=NONE_BEFORE)}) AS added
WHERE day >= %(day)s GROUP BY placement, content, part, name, day
"""  # noqa: S608
REPLACE: Final = f"""
DELETE FROM decisioning_statistic WHERE day >= %(day)s;
INSERT INTO decisioning_statistic ({COLUMNS}) SELECT {COLUMNS} FROM recounted;
DELETE FROM decisioning_traffic WHERE hour >= %(since)s;
INSERT INTO decisioning_traffic ({ENDED}) SELECT {ENDED} FROM recounted_traffic;
DROP TABLE recounted, recounted_traffic;
"""  # noqa: S608


def rebuild() -> None:
    """Count everything anew, in one transaction; readers see the former statistics until it ends.

    Days of which something was dropped (`DroppedMonth`) are left as they were counted.
    """
    since = countable_since()
    words = {"since": since, "day": since.date()}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(STAGE)
        cursor.execute(COUNT, words)
        for statement in REPLACE.strip().split("\n"):
            cursor.execute(statement, words)


def countable_since() -> datetime:
    """The first moment from which on the ledger has everything the statistics were made of."""
    last = DroppedMonth.objects.aggregate(last=Max("last_day"))["last"]
    if last is None:
        return datetime(1, 1, 1, tzinfo=UTC)
    return datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
