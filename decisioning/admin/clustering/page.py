"""The clustering in use, those found before and after it, and the search for others in; their pages, out."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from decisioning.console.pages import enqueue
from decisioning.customers.models import Customer
from decisioning.learning.judging import percent
from decisioning.models import Artefact
from rules.models import Segment

from . import charts, runs
from .adopting import HOME, adopt, clusterings
from .asking import AskForm, asked_before
from .personas import PersonaForm, redraft, save
from .told import Persona, clustered_on, drift_of, how_found, moment, personas_of, segment_key, treated

OLDER: Final = 50
LISTED: Final = ("pk", "active", "trained_at", "metrics__adopted_at", "metrics__customers", "metrics__number",
                 "metrics__chosen")  # fmt: skip


def may_see(request: HttpRequest) -> None:
    """Raise PermissionDenied for people who may not look at artefacts."""
    if not any(request.user.has_perm(f"decisioning.{verb}_artefact") for verb in ("view", "change")):
        raise PermissionDenied


def overview(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The clustering in use, or the newest one found; beside it what waits to be adopted."""
    may_see(request)
    return _page(request, model_admin)


def single(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """Any of them."""
    may_see(request)
    artefact = get_object_or_404(clusterings(), pk=pk)
    return redirect(HOME) if artefact.active else _page(request, model_admin, artefact)


def state(request: HttpRequest, model_admin: Any) -> JsonResponse:
    """How the newest search goes, for a page that waits for it."""
    may_see(request)
    run = runs.newest()
    told = {"took": run.took, "share": run.share, "running": run.goes_on} if run else {"running": False}
    return JsonResponse({"mark": runs.mark(run), **told})


def compare(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """Ask the worker to search as the form says; back to the form where it says nothing sensible."""
    may_see(request)
    if not request.user.has_perm("decisioning.change_artefact"):
        raise PermissionDenied
    if request.method != "POST":
        return redirect(reverse(HOME) + "#again")
    form = AskForm(request.POST)
    if not form.is_valid():
        return _page(request, model_admin, ask=form)
    run = runs.newest()
    if run and run.goes_on:
        messages.warning(request, f"The worker has been busy with clusters for {run.took}; wait until it is done.")
    else:
        enqueue(request, "compare_clusterings", form.words(), "look for clusters")
    return redirect(HOME)


def persona(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """Save the name and story of a persona in use, or go back to the drafted ones."""
    may_see(request)
    if not request.user.has_perm("rules.change_segment"):
        raise PermissionDenied
    segment = get_object_or_404(Segment, pk=pk, kind=Segment.Kind.CLUSTER)
    cluster = _cluster_of(segment)
    if request.method != "POST":
        return redirect(HOME)
    back = f"{reverse(HOME)}#persona-{segment.pk}"
    if "draft" in request.POST:
        try:
            redraft(request, segment, cluster)
        except ValidationError as refusal:
            messages.error(request, " ".join(refusal.messages))
        return redirect(back)
    form = PersonaForm(request.POST, instance=segment)
    if not form.is_valid():
        return _page(request, model_admin, edited=form)
    if not save(request, form):
        messages.info(request, "Nothing was changed.")
    return redirect(back)


def _cluster_of(segment: Segment) -> dict[str, Any]:
    """What the active clustering knows of the segment; raises Http404 where it has no part in it."""
    active = clusterings().filter(active=True).first()
    for one in (active.metrics.get("clusters") or []) if active else []:
        if segment_key(one["key"]) == segment.key:
            return dict(one)
    raise Http404(f"{segment.key} is no persona in use.")


URLS: Final = (
    ("clustering/", "decisioning_artefact_clustering", overview),
    ("clustering/state/", "decisioning_artefact_clustering_state", state),
    ("clustering/compare/", "decisioning_artefact_clustering_compare", compare),
    ("clustering/<int:pk>/", "decisioning_artefact_clustering_single", single),
    ("clustering/<int:pk>/adopt/", "decisioning_artefact_clustering_adopt", adopt),
    ("clustering/persona/<int:pk>/", "decisioning_artefact_clustering_persona", persona),
)


# -- what the page shows


def _page(
    request: HttpRequest,
    model_admin: Any,
    chosen: Artefact | None = None,
    ask: AskForm | None = None,
    edited: PersonaForm | None = None,
) -> HttpResponse:
    active, newest = clusterings().filter(active=True).first(), clusterings().order_by("-pk").first()
    shown = chosen or active or newest
    waiting = newest if newest and active and newest.pk > active.pk and _is_new(newest) else None
    run = runs.newest()
    may_change = request.user.has_perm("decisioning.change_artefact")
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _title(shown),
        "content_title": _title(shown),
        "run": run,
        "mark": runs.mark(run),
        "may_change": may_change,
        "may_look": any(request.user.has_perm(f"rules.{verb}_segment") for verb in ("view", "change")),
        "people": Customer.objects.filter(facts_at__isnull=False, merged_into__isnull=True).count(),
        "active": active,
        "waiting": _waiting(waiting, active) if waiting and active and shown == active else None,
        "others": _others(shown),
        "ask": (ask or AskForm(initial=_begin(request, newest))) if may_change else None,
        "ask_open": ask is not None or "again" in request.GET,
        "defaults": asked_before(None),
        **(_told(request, shown, edited) if shown else {}),
    }
    return TemplateResponse(request, "admin/clustering/page.html", context)


def _title(shown: Artefact | None) -> str:
    return "Clustering" if shown is None or shown.active else f"Clustering {shown.pk}, not in use"


def _is_new(artefact: Artefact) -> bool:
    return not artefact.metrics.get("adopted_at")


def _begin(request: HttpRequest, newest: Artefact | None) -> dict[str, list[Any]]:
    """The form as it was filled in the last time, or with the defaults where these are asked for."""
    return asked_before(None if newest is None or request.GET.get("again") == "defaults" else newest.metrics)


def _told(request: HttpRequest, shown: Artefact, edited: PersonaForm | None) -> dict[str, Any]:
    """All that is known of one clustering."""
    metrics = shown.metrics
    personas = personas_of(shown)
    if shown.active and request.user.has_perm("rules.change_segment"):
        _give_forms(personas, edited)
    kept = metrics.get("kept") or {}
    rows = charts.rows(metrics)
    return {
        "shown": shown,
        "metrics": metrics,
        "personas": personas,
        "how": how_found(metrics),
        "facts": clustered_on(metrics),
        "treated": treated(metrics),
        "adopted_at": moment(metrics.get("adopted_at")),
        "kept": None if kept.get("labels") is None else percent(kept["labels"]),
        "members": _members() if shown.active else None,
        "drift": drift_of(metrics) if shown.active else None,
        "online": _online(metrics) if shown.active else None,
        "picture": charts.picture(metrics),
        "explained": charts.explained(metrics),
        "chart": charts.chart(metrics),
        "rows": rows,
        "columns": charts.COLUMNS,
        "limits": charts.limits_told(metrics),
        "allowed": sum(1 for row in rows if not row.refused),
        "alone": charts.alone_told(metrics),
    }


def _give_forms(personas: list[Persona], edited: PersonaForm | None) -> None:
    for one in personas:
        if one.segment is not None:
            mine = edited is not None and edited.instance.pk == one.segment.pk
            one.form = edited if mine else PersonaForm(instance=one.segment)


def _members() -> int:
    """How many customers are in a persona now."""
    rows = Segment.objects.filter(kind=Segment.Kind.CLUSTER, active=True)
    return int(rows.aggregate(members=Sum("size"))["members"] or 0)


def _online(metrics: dict[str, Any]) -> dict[str, Any] | None:
    online = metrics.get("online")
    return {**online, "at": moment(online.get("at"))} if online else None


def _waiting(artefact: Artefact, active: Artefact) -> dict[str, Any]:
    """What was found since, persona by persona beside those in use."""
    found, used = personas_of(artefact), personas_of(active)
    there = {one.key: one for one in found}
    pairs = [_pair(one, there.pop(one.key, None)) for one in used] + [_pair(None, one) for one in there.values()]
    kept = artefact.metrics.get("kept") or {}
    compared = kept.get("former") == active.pk and kept.get("labels") is not None
    return {
        "artefact": artefact,
        "how": how_found(artefact.metrics),
        "facts": clustered_on(artefact.metrics),
        "kept": percent(kept["labels"]) if compared else "",
        "pairs": pairs,
    }


def _pair(used: Persona | None, found: Persona | None) -> dict[str, Any]:
    """A persona in use beside the one that continues it; `renamed`: what it would be called, if something else."""
    names = [one.name for one in (used, found) if one]
    return {"used": used, "found": found, "name": names[0], "renamed": names[-1] if names[-1] != names[0] else ""}


def _others(shown: Artefact | None) -> list[dict[str, Any]]:
    """The other clusterings, newest first."""
    rows = clusterings().exclude(pk=shown.pk if shown else 0).order_by("-pk").values(*LISTED)[:OLDER]
    return [
        {
            **row,
            "number": row["metrics__number"],
            "customers": row["metrics__customers"],
            "how": how_found({"chosen": row["metrics__chosen"]}),
            "score": charts.two((row["metrics__chosen"] or {}).get("score")),
            "adopted_at": moment(row["metrics__adopted_at"]),
        }
        for row in rows
    ]
