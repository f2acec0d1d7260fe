"""Imported lists of identifiers in; who is on them, out."""

from collections.abc import Sequence

from django.db import connection

ON = """
SELECT e.kind, e.value, array_agg(e.segment_id ORDER BY e.segment_id) FROM rules_listentry e
JOIN unnest(%s::text[], %s::text[]) AS v(kind, value) ON v.kind = e.kind AND v.value = e.value GROUP BY 1, 2
"""


def lists_of(pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
    """The ids of the segments on whose lists these identifiers (kind, value) are; those on none are left out."""
    if not pairs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(ON, [[kind for kind, _ in pairs], [value for _, value in pairs]])
        return {(kind, value): list(ids) for kind, value, ids in cursor.fetchall()}
