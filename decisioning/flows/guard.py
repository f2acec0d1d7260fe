"""What came of decisions since a scorer went to work in; the former one back at work where it brings less, out."""

import logging
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from ..learning.guarding import Compared, Row, compared
from ..models import Artefact
from ..store import artefacts
from ..store.limiting import OutOfTime, until
from . import promote
from .alert import alert

log = logging.getLogger(__name__)

NAME: Final = "since it went to work"
LOOKED_BACK: Final = (timedelta(days=30), timedelta(days=7), timedelta(days=2))  # what is read within the time below
SECONDS: Final = 60.0
SETTLED: Final = timedelta(hours=24)  # what comes later counts for neither
# By scorer, placement and customer: decisions that ranked by it, and those with the placement's outcome in a day.
CAME: Final = """
SELECT scorer, placement, count(*), sum(hit) FROM (
  SELECT d.scorer, d.placement, coalesce(nullif(d.customer_id::text, ''), d.customer_key) AS who, (EXISTS (
    SELECT FROM decisioning_outcome o WHERE o.decision_id = d.id AND o.at BETWEEN d.at AND d.at + %(settled)s
    AND o.kind = CASE WHEN p.objective = 'click' THEN 'click' ELSE 'conversion' END))::int AS hit
  FROM decisioning_decision d JOIN campaigns_placement p ON p.key = d.placement
  WHERE d.scorer IN (%(newer)s, %(former)s) AND d.rung = 'full' AND d.source <> 'import'
    AND d.at > %(since)s AND d.at <= %(until)s
) AS rows GROUP BY scorer, placement, who
"""


def guard(now: datetime) -> Artefact | None:
    """The scorer that was put back, if the one in use brings fewer outcomes a decision than it did, beyond chance.

    What was measured is kept with the artefact either way. Too little to tell changes nothing.
    """
    used = artefacts.active(Artefact.Kind.SCORER)
    if used is None or used.former is None:
        return None
    found = compared(_rows(used, used.former, now))
    refused = {"refused": f"it was taken out of use: {found.words}"} if found.worse else {}
    artefacts.note(used, {NAME: found.to_dict()} | refused)
    return _taken_back(used, found) if found.worse else None


def _rows(used: Artefact, former: Artefact, now: datetime) -> list[Row]:
    """Of so many days as can be read; nothing, and a word in the log, where the ledger is too large for any."""
    values: dict[str, Any] = {"newer": used.pk, "former": former.pk, "settled": SETTLED, "until": now - SETTLED}
    for back in LOOKED_BACK:
        try:
            with until(monotonic() + SECONDS) as cursor:
                cursor.execute(CAME, {**values, "since": now - back})
                return [Row(scorer == used.pk, placement, n, hits) for scorer, placement, n, hits in cursor]
        except OutOfTime:
            log.warning("The guardrail could not read %s of decisions within %g s", back, SECONDS)
    return []


def _taken_back(used: Artefact, found: Compared) -> Artefact | None:
    try:
        back = promote.rollback()
    except ValueError as error:
        said = f"{used} brings less than {used.former} did ({found.words}), which cannot be used any more: {error}"
        alert(f"{used} brings less", said)
        return None
    alert(f"{used} was taken out of use", f"{back} ranks again, since {used} brought less: {found.words}.")
    return back
