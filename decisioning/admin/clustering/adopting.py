"""A clustering that is not in use in; what making its clusters personas would do, out, and the page that asks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse

from decisioning.console.pages import enqueue
from decisioning.learning import matching
from decisioning.learning.clusters import Clusters, Positions
from decisioning.learning.judging import percent
from decisioning.models import Artefact
from decisioning.store import clusters, frames
from decisioning.store.people import CUSTOMER
from rules.admin.linked import Use, uses
from rules.models import Segment

from .told import how_found, segments_of

HOME: Final = "admin:decisioning_artefact_clustering"


@dataclass(slots=True)
class Fate:
    """What becomes of one persona: `fate` is stays, renamed, new, back or goes. Shares are of everybody, if known."""

    name: str
    fate: str
    before: str = ""
    after: str = ""
    former_name: str = ""
    segment: Segment | None = None
    uses: list[Use] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would happen. `moves` of `customers` leave their persona; None where that cannot be known yet."""

    fates: list[Fate]
    customers: int | None = None
    moves: int | None = None

    @property
    def moving(self) -> str:
        """The share of customers who move."""
        return percent(self.moves / self.customers) if self.moves is not None and self.customers else ""

    @property
    def in_use(self) -> int:
        """How many personas would go that something uses."""
        return sum(1 for one in self.fates if one.fate == "goes" and one.uses)


def clusterings() -> QuerySet[Artefact]:
    """All of them, without the bytes."""
    return Artefact.objects.filter(kind=Artefact.Kind.CLUSTERING).defer("data")


def forecast(artefact: Artefact, active: Artefact | None) -> Forecast:
    """What adopting it does, as `flows.cluster.adopt` does it. Raises ValueError for a clustering that was altered."""
    found = clusters.read(artefact)
    former = clusters.as_people_call_them(clusters.read(active)) if active else None
    frame = _facts({*found.facts, *(former.facts if former else ())})
    at = None if frame is None else found.assign_frame(frame)
    before = None if frame is None or former is None else former.assign_frame(frame)
    if at is not None and _matched_again(artefact, active):
        found, _ = matching.carry(found, at, former, before)
    fates = _fates(found, former, _shares(at, found), _shares(before, former))
    if at is None:
        return Forecast(fates)
    return Forecast(fates, len(at), _moves(at, found, before, former))


def _facts(names: Iterable[str]) -> pl.DataFrame | None:
    """Everybody's facts as last put together; a web process does not wait for that."""
    try:
        return frames.current([CUSTOMER, *sorted(names)])
    except frames.NoFrame:
        return None


def _matched_again(artefact: Artefact, active: Artefact | None) -> bool:
    """Whether adopting gives keys and names anew: another one went live since the comparison."""
    kept = artefact.metrics.get("kept") or {}
    return not (active is None or active.pk == kept.get("former") or artefact.metrics.get("adopted_at"))


def _shares(at: Positions | None, found: Clusters | None) -> list[float] | None:
    if at is None or found is None or not len(at):
        return None
    counts = np.bincount(at, minlength=len(found.clusters))
    return [float(count) / len(at) for count in counts]


def _moves(at: Positions, found: Clusters, before: Positions | None, former: Clusters | None) -> int:
    """Customers who have another key afterwards, or one for the first time."""
    if before is None or former is None:
        return len(at)
    return int((np.array(found.keys)[at] != np.array(former.keys)[before]).sum()) if len(at) else 0


def _fates(
    found: Clusters, former: Clusters | None, after: list[float] | None, before: list[float] | None
) -> list[Fate]:
    """Those there will be, then those that go, with who uses them."""
    was: dict[str, float | None] = dict.fromkeys(former.keys) if former else {}
    was.update(zip(was, before or (), strict=False))
    known = segments_of({*found.keys, *was})
    rows = []
    for place, one in enumerate(found.clusters):
        row = known.get(one.key)
        name = row.name if row and row.edited_at else one.name
        fate = Fate(name, "new", after=_percent(after[place] if after else None), segment=row)
        if one.key in was:
            fate.before, fate.former_name = _percent(was[one.key]), row.name if row else name
            fate.fate = "stays" if fate.former_name == name else "renamed"
        elif row is not None:
            fate.fate = "back"
        rows.append(fate)
    gone = [key for key in was if key not in found.keys]
    used = uses([known[key] for key in gone if key in known])
    for key in gone:
        row = known.get(key)
        told = used[row.pk] if row else []
        rows.append(Fate(row.name if row else key, "goes", before=_percent(was[key]), segment=row, uses=told))
    return rows


def _percent(share: float | None) -> str:
    return "" if share is None else percent(share)


def adopt(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """Ask on GET, with what would happen; on POST the worker is asked to do it."""
    if not request.user.has_perm("decisioning.change_artefact"):
        raise PermissionDenied
    artefact = get_object_or_404(clusterings(), pk=pk)
    active = clusterings().filter(active=True).first()
    if active is not None and active.pk == artefact.pk:
        messages.info(request, "These are the personas already.")
        return redirect(HOME)
    if request.method == "POST":
        enqueue(request, "adopt_clustering", artefact.pk, "make these personas")
        return redirect(HOME)
    try:
        expected = forecast(artefact, active)
    except ValueError as error:
        messages.error(request, str(error))
        return redirect(HOME)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Make these personas?",
        "content_title": "Clustering",
        "artefact": artefact,
        "active": active,
        "how": how_found(artefact.metrics),
        "forecast": expected,
    }
    return TemplateResponse(request, "admin/clustering/adopt.html", context)
