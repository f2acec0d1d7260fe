"""The ledger, the last training and what watching found in; why a scorer should be trained now, out."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from campaigns.models.windows import usual

from ..learning.dataset import CLICK
from ..learning.drift import MOVED
from ..learning.renewing import Known, due
from ..models import Artefact, Decision, LearningRun
from ..store import artefacts, runs
from . import learn, watch

VERB: Final = "train"
WINDOWS: Final = 2.5  # a log must be so many windows of outcomes long before the first training
COUNTED: Final = 1_000_000  # more need no counting
# Outcomes of decisions whose window has closed.
FRESH: Final = """
SELECT count(*) FROM (
  SELECT FROM decisioning_decision d JOIN decisioning_outcome o ON o.decision_id = d.id
  WHERE d.at >= coalesce(%(since)s, '-infinity'::timestamptz) AND d.at <= %(until)s AND d.customer_id IS NOT NULL
    AND o.kind = %(kind)s AND o.at <= %(now)s LIMIT %(most)s
) AS counted
"""


def why(now: datetime) -> str | None:
    """The reason to train now, for people; None where there is none, or somebody is at it."""
    run = runs.newest(VERB)
    if run is not None and run.state == LearningRun.State.RUNNING:
        return None
    return due(known(now, run), timedelta(hours=settings.RETRAIN_HOURS))


def known(now: datetime, run: LearningRun | None) -> Known:
    """All that the reasons stand on."""
    last = (
        Artefact.objects.filter(kind=Artefact.Kind.SCORER)
        .defer("data")
        .annotate(age=Now() - F("created_at"))
        .order_by("-pk")
        .first()
    )
    ages = [*([runs.since(run)] if run else []), *([last.age] if last else [])]
    learned = int(last.metrics.get("conversions") or 0) if last else 0
    failed = run is not None and run.state == LearningRun.State.FAILED
    return Known(min(ages, default=None), learned, fresh(now, last), failed, drifted())


def fresh(now: datetime, last: Artefact | None) -> int:
    """Outcomes that the last scorer has not learned from."""
    if last is None and _young(now):
        return 0
    objective = last.metrics.get("objective") if last else None
    kind = CLICK if (objective or learn.objective_of(learn.Terms())) == CLICK else "conversion"
    until = now - timedelta(hours=usual()[kind])
    with connection.cursor() as cursor:
        since = (last.until or last.trained_at) if last else None
        cursor.execute(FRESH, {"since": since, "until": until, "kind": kind, "now": now, "most": COUNTED})
        return int(cursor.fetchone()[0])


def _young(now: datetime) -> bool:
    """Whether the log is too short to be parted: windows must close in what teaches, and in what judges."""
    first = Decision.objects.order_by("at").values_list("at", flat=True).first()
    return first is None or now - first < WINDOWS * timedelta(hours=usual()["conversion"])


def drifted() -> str:
    """In which words the scorer in use has moved; empty while it has not."""
    used = artefacts.active(Artefact.Kind.SCORER)
    report = used.metrics.get(watch.NAME) if used else None
    return "; ".join(report["reasons"][:2]) if report and report["verdict"] == MOVED else ""
