"""Requests to look at clusterings, to search for others, to name a persona in; pages, tasks and saved names out."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from decisioning.console.pages import enqueue
from rules.models import Segment

from . import runs
from .adopting import HOME, adopt, clusterings
from .asking import AskForm
from .page import page
from .personas import PersonaForm, redraft, save
from .told import segment_key


def may_see(request: HttpRequest) -> None:
    """Raise PermissionDenied for people who may not look at artefacts."""
    if not any(request.user.has_perm(f"decisioning.{verb}_artefact") for verb in ("view", "change")):
        raise PermissionDenied


def overview(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The clustering in use, or the newest one found; beside it what waits to be adopted."""
    may_see(request)
    return page(request, model_admin)


def single(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """Any of them."""
    may_see(request)
    artefact = get_object_or_404(clusterings(), pk=pk)
    return redirect(HOME) if artefact.active else page(request, model_admin, artefact)


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
        return page(request, model_admin, ask=form)
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
        return page(request, model_admin, edited=form)
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
