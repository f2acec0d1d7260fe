"""The ledger's rows in; pages that find a decision, say why it was made, and make it once more, out."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from campaigns.models import Content, Placement
from decisioning.console.pages import ReadOnly
from decisioning.flows.contract import Refused
from decisioning.flows.rerun import CURRENT, SAME, replay_of
from decisioning.models import Decision

from .asked import SECONDS, Answer, Mark, Question, answer
from .evaluated import earned
from .replaying import difference_of
from .telling import RUNG_COLOURS, customer_url, known, story

__all__ = ["RUNG_COLOURS", "DecisionAdmin"]


@admin.register(Decision)
class DecisionAdmin(ReadOnly):
    """Every decision with its reasons."""

    change_form_template = "admin/decisioning/decision.html"
    fieldsets: Any = [(None, {"fields": []})]

    def get_custom_urls(self) -> tuple[Any, ...]:
        """What there is beside the list and the page."""
        return (
            ("<uuid:pk>/replay/", "decisioning_decision_replay", self.replay),
            ("earned/", "decisioning_decision_earned", earned),
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The newest decisions that fit what is asked."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        question = Question(request.GET)
        found = Answer([])
        if question.is_valid():
            found = answer(question.cleaned_data, Mark.read(request.GET.get("before", "")))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Decisions",
            "question": question,
            "asked": question.is_valid() and any(question.cleaned_data.values()),
            "found": found,
            "rows": _listed(found.rows),
            "older": _address(request, found.older) if found.older else "",
            "newest": _address(request),
            "first_page": "before" not in request.GET,
            "seconds": int(SECONDS),
        }
        return TemplateResponse(request, "admin/decisioning/decisions.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The decision, told from the answer backwards."""
        decision = self.get_object(request, object_id)
        told = story(decision) if decision and self.has_view_permission(request) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})

    def replay(self, request: HttpRequest, model_admin: Any, pk: UUID) -> HttpResponse:
        """What the decision would be on the same snapshot, or with `?on=current` on the current one; stores nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        decision = get_object_or_404(Decision, pk=pk)
        on = CURRENT if request.GET.get("on") == CURRENT else SAME
        context = {**self.admin_site.each_context(request), "opts": self.opts, "original": decision, "on": on}
        context |= {"title": f"Replay on the {on} snapshot"}
        try:
            context |= difference_of(replay_of(decision, on))
        except Refused as refused:
            context |= {"refused": refused.message}
        return TemplateResponse(request, "admin/decisioning/replay.html", context)


def _listed(rows: list[Decision]) -> list[dict[str, Any]]:
    """What the list shows: contents and placements by their names, looked up once for the page."""
    keys = [[str(item.get("key", "")) for item in row.items] for row in rows]
    contents = known(Content, {key for each in keys for key in each})
    placements = known(Placement, {row.placement for row in rows})
    return [
        {
            "row": row,
            "url": reverse("admin:decisioning_decision_change", args=[row.pk]),
            "customer_url": customer_url(row.customer_id, check=False),
            "placement": placements.get(row.placement, {}).get("name", row.placement),
            "contents": [{"key": key, **contents.get(key, {})} for key in mine],
            "colour": RUNG_COLOURS.get(row.rung, "info"),
        }
        for row, mine in zip(rows, keys, strict=True)
    ]


def _address(request: HttpRequest, before: str = "") -> str:
    """The same question from its beginning, or from `before` on."""
    asked = request.GET.copy()
    asked.pop("before", None)
    for name in [name for name, value in asked.items() if not value]:
        del asked[name]
    if before:
        asked["before"] = before
    return f"?{asked.urlencode()}"
