"""Trainings of scorers in; how the present one goes, what became of the last ones, and a button for another, out."""

from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from unfold.decorators import action

from decisioning.console.pages import confirm, enqueue
from decisioning.models import Artefact, LearningRun
from decisioning.store import runs

VERB: Final = "train"
LISTED: Final = 8
WORDS: Final = {"train": "A scorer", "foretell": "What is foretold"}
HOME: Final = "admin:decisioning_artefact_changelist"
STEPS: Final = 5  # where a run has not said yet how many it has


def state(request: HttpRequest, model_admin: Any) -> JsonResponse:
    """How the present training goes, for a page that shows it."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    return JsonResponse(told(runs.newest(VERB)))


def told(run: LearningRun | None) -> dict[str, Any]:
    """What the page knows of a run; `mark` changes whenever there is something else to see."""
    if run is None:
        return {"mark": "", "running": False}
    running = run.state == LearningRun.State.RUNNING
    return {
        "mark": f"{run.pk}/{run.state}",
        "running": running,
        "reason": run.reason,
        "doing": run.doing,
        "step": run.step,
        "steps": run.steps or STEPS,
        "error": run.error,
        "since": f"{run.started_at:%H:%M}",
    }


class Training:
    """The list of learned things with trainings above it, for an admin of artefacts."""

    change_list_template = "admin/decisioning/artefacts.html"
    actions_list = ("train",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the present training and the last ones."""
        last = LearningRun.objects.select_related("artefact").order_by("-pk")[:LISTED]
        more = {
            "training": told(runs.newest(VERB)),
            "trainings": [(WORDS.get(run.verb, run.verb), runs.as_it_is(run)) for run in last],
            "learned": Artefact.objects.exists(),
        }
        found: HttpResponse = super().changelist_view(request, {**(extra_context or {}), **more})  # type: ignore[misc]
        return found

    def has_train_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change artefacts may have one made."""
        return bool(request.user.has_perm("decisioning.change_artefact"))

    @action(description="Train a scorer now", permissions=["train"], icon="model_training")
    def train(self, request: HttpRequest) -> HttpResponse:
        """Ask, then ask the worker, unless it is at it."""

        def do() -> str:
            run = runs.newest(VERB)
            if run is not None and run.state == LearningRun.State.RUNNING:
                raise ValidationError(f"A scorer is being trained already, since {run.started_at:%H:%M} UTC.")
            enqueue(request, "train_for", f"asked for by {request.user}", "train a scorer")
            return "A scorer is trained as soon as the worker is free; what is in use stays in use until it is better."

        page = {
            "title": "Train a scorer now?",
            "text": "It learns from everything the ledger holds. The gate puts it to work only where it is better than "
            "the one in use and than the best constant choice.",
            "button": "Train",
        }
        return confirm(self, request, page, do, reverse(HOME))
