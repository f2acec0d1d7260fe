"""A scorer that is not in use in; it runs as a shadow, or stops, and what the shadow saw is shown, out."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action

from decisioning.config import clock
from decisioning.console import gate
from decisioning.console.pages import confirm
from decisioning.flows import shadow
from decisioning.models import Artefact


def shown(artefact: Artefact) -> dict[str, Any] | None:
    """What the page says of it as a shadow; nothing of one that never was."""
    report = artefact.metrics.get(shadow.NAME)
    if not report:
        return None
    asked = report.get("first choices") or 0
    return {
        "runs": artefact.shadow_since,
        "report": report,
        "asked": asked,
        "agreed": round(100 * report["the same"] / asked) if asked else 0,
        "said": gate.drawn(report.get("gate"), "", False),
    }


def opened(artefact: Artefact) -> bool:
    """Whether it runs as a shadow and the gate, asked with what it saw, would let it through."""
    said = (artefact.metrics.get(shadow.NAME) or {}).get("gate") or {}
    return artefact.shadow_since is not None and bool(said.get("promoted"))


class Shadowing:
    """Two buttons of a scorer's page."""

    @action(description="Run as a shadow", permissions=["activate"], icon="visibility_off")
    def begin_shadow(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then let it score live decisions beside the one in use."""
        artefact = self._scorer(request, object_id)

        def do() -> str:
            try:
                shadow.begin(artefact.pk, clock.now())
            except ValueError as error:
                raise ValidationError(str(error)) from None
            return f"{artefact} runs as a shadow. What it would have done stands on its page in about five minutes."

        page = {
            "title": f"Run {artefact} as a shadow?",
            "text": "The worker scores every live decision with it beside the scorer in use. Nobody is shown what it "
            "says; once outcomes are known, the gate is asked whether it is better.",
            "button": "Run as a shadow",
        }
        return confirm(self, request, page, do, _page_of(object_id))

    @action(description="Stop the shadow", permissions=["activate"], icon="visibility")
    def end_shadow(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then let it run no longer."""
        artefact = self._scorer(request, object_id)

        def do() -> str:
            try:
                shadow.end(artefact.pk)
            except ValueError as error:
                raise ValidationError(str(error)) from None
            return f"{artefact} does not run as a shadow any more."

        page = {"title": f"Stop {artefact} as a shadow?", "text": "What it saw stays on its page.", "button": "Stop it"}
        return confirm(self, request, page, do, _page_of(object_id))

    def _scorer(self, request: HttpRequest, object_id: str) -> Artefact:
        artefact: Artefact | None = self.get_object(request, object_id)  # type: ignore[attr-defined]
        if artefact is None or artefact.kind != Artefact.Kind.SCORER:
            raise Http404(f"There is no scorer {object_id}.")
        return artefact


def _page_of(object_id: str) -> str:
    return reverse("admin:decisioning_artefact_change", args=[object_id])
