"""The active scorer and customers' facts in; what it says of each with every content, kept and published, out.

score_pending()         a batch of customers whose scores are missing or of other facts than they have now
wave()                  which wave of scoring is due: so many wait that everybody should be scored from the frame
score_bucket(bucket)    one of the buckets of that frame
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import polars as pl
from django.db import connection, transaction

from campaigns.models import Content

from ..customers import profile
from ..learning.scorer import Scorer
from ..models import Artefact, ScoredContents
from ..store import artefacts, frames, scores
from ..store.people import CUSTOMER, FACTS_AT
from ..store.scores import DIGITS

log = logging.getLogger(__name__)

WAITING: Final = """
FROM customers_customer c LEFT JOIN decisioning_score s ON s.customer_id = c.id
WHERE c.facts_at IS NOT NULL AND c.merged_into_id IS NULL
AND (s.customer_id IS NULL OR s.artefact_id <> %s OR s.contents_id <> %s OR s.at <> c.facts_at)
"""
PENDING: Final = f"SELECT c.id, c.facts_at {WAITING} ORDER BY c.id LIMIT %s FOR NO KEY UPDATE OF c SKIP LOCKED"
COUNT: Final = f"SELECT count(*) FROM (SELECT 1 {WAITING} LIMIT %s) AS waiting"  # noqa: S608
BATCH: Final = 500
MANY: Final = 5_000  # more than these wait: everybody's facts are read from the frame, which is faster
AT_ONCE: Final = 5_000  # customers whose rows are in memory at once
MOST_CONTENTS: Final = 1_000  # a score of each for everybody; those beyond are scored when a decision asks

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What scores are made with: the scorer and the contents, with their numbers."""

    artefact: int
    scorer: Scorer
    contents: Sequence[Content]
    listed: ScoredContents


def work() -> Work | None:
    """The active scorer and the contents that can be shown now; nothing without a scorer or without contents."""
    artefact = artefacts.active(Artefact.Kind.SCORER)
    contents = list(Content.objects.filter(active=True).order_by("key")[: MOST_CONTENTS + 1])
    if artefact is None or not contents:
        return None
    if len(contents) > MOST_CONTENTS:
        log.warning("only the first %s contents by key have stored scores", MOST_CONTENTS)
    contents = contents[:MOST_CONTENTS]
    try:
        scorer = loaded(artefact.pk)
    except ValueError as error:
        # Decisions take the one before it, and score by themselves.
        log.error("nobody is scored beforehand: %s", error)
        return None
    return Work(artefact.pk, scorer, contents, scores.contents_of([one.key for one in contents]))


@lru_cache(maxsize=2)
def loaded(artefact_id: int) -> Scorer:
    """The scorer of an artefact; loaded in the process that uses it, after any fork."""
    return Scorer.from_artefact(artefacts.read(Artefact.objects.get(pk=artefact_id)))


def score_pending(limit: int = BATCH) -> int:
    """Score one batch of customers whose scores are missing or old; how many were scored.

    A batch is one transaction over locked rows: a kill in the middle leaves it to be done again.
    """
    doing = work()
    if doing is None:
        return 0
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(PENDING, [doing.artefact, doing.listed.pk, limit])
            moments = dict(cursor.fetchall())
        if moments:
            facts = profile.stored_frame(list(moments))
            _score(doing, facts, [moments[pk] for pk in facts[CUSTOMER]])
    return len(moments)


def wave() -> str | None:
    """What names the scorer and the contents for which many customers wait; None while few or none do."""
    doing = work()
    if doing is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [doing.artefact, doing.listed.pk, MANY])
        return f"{doing.artefact}:{doing.listed.pk}" if cursor.fetchone()[0] >= MANY else None


def score_bucket(bucket: int, told: Progress = lambda scored: None) -> int:
    """Score everybody in one bucket of the all-customers frame; how many were scored.

    Written and published some thousands at a time: memory does not grow with the bucket, and a kill loses the rest,
    which is found pending and done again. So is whoever has other facts by now than the frame had.
    """
    doing = work()
    if doing is None:
        return 0
    known = frames.columns()
    wanted = [name for name in _facts(doing.scorer) if name in known]
    frame = frames.current([CUSTOMER, FACTS_AT, *wanted], bucket)
    for start in range(0, frame.height, AT_ONCE):
        some = frame.slice(start, AT_ONCE)
        told(_score(doing, some, some[FACTS_AT].to_list()))
    return frame.height


def _score(doing: Work, facts: pl.DataFrame, moments: Sequence[datetime]) -> int:
    chances = doing.scorer.score_everybody(facts, doing.contents)
    found = scores.Found(doing.artefact, doing.listed, facts[CUSTOMER].to_numpy(), moments, chances.round(DIGITS))
    scores.write(found)
    scores.publish(found)
    return facts.height


def _facts(scorer: Scorer) -> list[str]:
    """Every fact that the scorer, or what it does about gaps, reads."""
    return sorted({column.key for column in scorer.schema.fact_columns} | set(scorer.treatment.reads))
