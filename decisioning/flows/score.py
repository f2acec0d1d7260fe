"""The active scorer and customers' facts in; what it says of each with every content, kept and published, out."""

from datetime import datetime
from functools import lru_cache

import msgspec
from django.db import connection, transaction

from campaigns.models import Content

from ..customers import profile
from ..learning.scorer import Scorer
from ..models import Artefact
from ..store import artefacts, publishing

PENDING = """
SELECT c.id FROM customers_customer c LEFT JOIN decisioning_score s ON s.customer_id = c.id
WHERE c.facts_at IS NOT NULL AND c.merged_into_id IS NULL
AND (s.customer_id IS NULL OR s.artefact_id <> %s OR s.at < c.facts_at)
ORDER BY c.id LIMIT %s FOR NO KEY UPDATE OF c SKIP LOCKED
"""
WRITE = """
INSERT INTO decisioning_score (customer_id, artefact_id, values, at)
SELECT id, %s, scores, %s FROM unnest(%s::bigint[], %s::jsonb[]) AS v(id, scores)
ON CONFLICT (customer_id) DO UPDATE
SET artefact_id = excluded.artefact_id, values = excluded.values, at = excluded.at
"""
BATCH = 500


@lru_cache(maxsize=2)
def _loaded(artefact_id: int) -> Scorer:
    """The scorer of an artefact; loaded in the process that uses it, after any fork."""
    return Scorer.from_artefact(artefacts.read(Artefact.objects.get(pk=artefact_id)))


def score_pending(now: datetime, limit: int = BATCH) -> int:
    """Score one batch of customers whose scores are missing or old; how many were scored.

    A batch is one transaction over locked rows: a kill in the middle leaves it to be done again.
    """
    artefact = artefacts.active(Artefact.Kind.SCORER)
    if artefact is None:
        return 0
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(PENDING, [artefact.pk, limit])
            ids = [pk for (pk,) in cursor.fetchall()]
        if not ids:
            return 0
        facts = profile.stored_frame(ids)
        contents = list(Content.objects.filter(active=True).order_by("key"))
        chances = _loaded(artefact.pk).score_everybody(facts, contents)
        keys = [content.key for content in contents]
        rows = [dict(zip(keys, row, strict=True)) for row in chances.round(6).tolist()]
        with connection.cursor() as cursor:
            texts = [msgspec.json.encode(row).decode() for row in rows]
            cursor.execute(WRITE, [artefact.pk, now, facts["customer_id"].to_list(), texts])
        profile.touch(ids)
        publishing.publish(ids)
    return len(ids)
