"""Customers who became one, or two again, in; their stays in segments carried over or given back, out.

The winner goes on with the loser's stays since the loser entered, so nobody "enters" because of a merge. The loser's
own end with the merge and are opened again when it is undone. Both leave the rest to the next placing.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import connection

CARRY: Final = """
INSERT INTO rules_membership (segment_id, customer_id, entered_at, entered_how, entered_by)
SELECT m.segment_id, v.winner, min(m.entered_at), 'merge', 'The customer who joined was in it.'
FROM unnest(%s::bigint[], %s::bigint[]) AS v(winner, loser)
JOIN rules_membership m ON m.customer_id = v.loser AND m.left_at IS NULL
GROUP BY m.segment_id, v.winner
ON CONFLICT (segment_id, customer_id) WHERE left_at IS NULL DO NOTHING
"""
END: Final = """
UPDATE rules_membership SET left_at = %s, left_how = 'merge', left_by = 'The customer became part of another.'
WHERE customer_id = ANY(%s) AND left_at IS NULL
"""
REOPEN: Final = """
UPDATE rules_membership m SET left_at = NULL, left_how = '', left_by = ''
FROM (SELECT DISTINCT ON (x.segment_id, x.customer_id) x.id
      FROM unnest(%s::bigint[], %s::timestamptz[]) AS v(loser, at)
      JOIN rules_membership x ON x.customer_id = v.loser AND x.left_at = v.at
      WHERE NOT EXISTS (SELECT FROM rules_membership o WHERE o.segment_id = x.segment_id
                        AND o.customer_id = x.customer_id AND o.left_at IS NULL)
      ORDER BY x.segment_id, x.customer_id, x.entered_at, x.id) AS ended
WHERE m.id = ended.id
"""


def carry_over(pairs: Collection[tuple[int, int]], now: datetime) -> None:
    """Let each winner go on with its loser's stays: (winner, loser) each."""
    if pairs:
        winners, losers = (list(column) for column in zip(*pairs, strict=True))
        with connection.cursor() as cursor:
            cursor.execute(CARRY, [winners, losers])
            cursor.execute(END, [now, losers])


def give_back(parting: Collection[tuple[int, datetime]]) -> None:
    """Open the stays again that a merge ended: (loser, when it was merged) each."""
    if parting:
        with connection.cursor() as cursor:
            cursor.execute(REOPEN, [list(column) for column in zip(*parting, strict=True)])
