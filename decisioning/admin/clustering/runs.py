"""The newest search for clusters in; how it goes, in words, out, and a mark by which a page knows that it is old."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Coalesce, Now

from decisioning.models import Artefact
from rules.admin.computing import SILENCE, lasting
from rules.models import Recompute
from rules.recomputes import CLUSTERING

# What the worker puts before the words of the command that it ran.
WRAPPED: Final = ("RuntimeError: ", "CommandError: ")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the worker: `code` is running, silent, failed or done; `share` is 0 to 100 where it is known."""

    pk: int
    code: str
    took: str
    silent: str
    share: int | None
    error: str

    @property
    def goes_on(self) -> bool:
        """Whether another one would only wait behind it."""
        return self.code == "running"


def newest() -> Run | None:
    """The last one that was begun."""
    row: Any = (
        Recompute.objects.filter(reason=CLUSTERING, segment__isnull=True)
        .annotate(
            silent=ExpressionWrapper(Now() - F("seen_at"), DurationField()),
            ran=ExpressionWrapper(Coalesce(F("finished_at"), Now()) - F("started_at"), DurationField()),
        )
        .order_by("-pk")
        .first()
    )
    if row is None:
        return None
    share = min(100, 100 * row.done // row.total) if row.total else None
    return Run(row.pk, _code(row.state, row.silent), lasting(row.ran), lasting(row.silent), share, _said(row.error))


def _code(state: str, silent: timedelta) -> str:
    if state != Recompute.State.RUNNING:
        return state
    return "silent" if silent > SILENCE else "running"


def _said(error: str) -> str:
    """The cure alone, without what wraps it."""
    for word in WRAPPED:
        error = error.rpartition(word)[2]
    return error.strip()


def mark(run: Run | None) -> str:
    """Changes when a run begins or ends, and when a clustering is found or goes live."""
    rows = Artefact.objects.filter(kind=Artefact.Kind.CLUSTERING)
    found = rows.order_by("-pk").values_list("pk", flat=True).first()
    live = rows.filter(active=True).values_list("pk", "metrics__adopted_at").first()
    return "/".join(str(part) for part in (run and run.pk, run and run.code, found, *(live or ())))
