"""Custom facts in; the catalogue of all facts, and pages where one is written, tried, published and withdrawn, out."""

from functools import partial
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from decisioning.config import clock
from decisioning.console.fact_uses import uses_of_facts
from decisioning.console.pages import confirm, enqueue
from decisioning.store import catalogue as known
from rules import rulebook

from ..facts import defining
from ..facts.defining import State
from ..models import CustomFact
from .catalogue import entries, listed
from .defined import drawn_state, fact_story, tried
from .formula_form import CustomFactForm, judged, type_told

LATEST: Final = 20


@admin.register(CustomFact)
class CustomFactAdmin(ModelAdmin):
    """The catalogue of all facts, and the custom ones: a draft to edit, what is computed, and what it gives."""

    form = CustomFactForm
    change_form_template = "admin/facts/custom.html"
    fields = ["name", "label", "description", "unit", "text"]
    search_fields = ["name", "label"]
    actions = None

    def get_custom_urls(self) -> tuple[Any, ...]:
        """The check and the preview while typing, withdrawing, counting, and the page of any fact."""
        return (
            ("check/", "customers_customfact_check", require_POST(self.check_text)),
            ("preview/", "customers_customfact_preview", require_POST(self.preview)),
            ("count/", "customers_customfact_count", require_POST(self.count)),
            ("<int:pk>/withdraw/", "customers_customfact_withdraw", self.withdraw),
            ("fact/<path:name>/", "customers_customfact_fact", self.fact),
        )

    # -- the catalogue

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """All facts there are."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self._context(request, "Facts"),
            **listed(request),
            "may_add": self.has_add_permission(request),
            "may_count": self.has_change_permission(request),
        }
        return TemplateResponse(request, "admin/facts/catalogue.html", context)

    def fact(self, request: HttpRequest, model_admin: Any, name: str) -> HttpResponse:
        """One fact that nobody defined here; custom ones have a page of their own."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        entry = entries().get(name)
        if entry is None:
            raise Http404(f"There is no fact {name}; look it up in the catalogue.")
        if entry.row is not None:
            return redirect(entry.page)
        context = {**self._context(request, entry.label or entry.name), **fact_story(entry, request)}
        return TemplateResponse(request, "admin/facts/fact.html", context)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, "title": title}

    def count(self, request: HttpRequest, model_admin: Any) -> HttpResponse:
        """Ask for the distributions to be counted now."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        enqueue(request, "describe_facts", None, "count how all facts are distributed")
        return redirect("admin:customers_customfact_changelist")

    # -- writing

    def check_text(self, request: HttpRequest, model_admin: Any) -> JsonResponse:
        """The problems of a posted `text`, for the editor in the page, and its type."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = request.POST.get("text", "").replace("\r\n", "\n")
        found = judged(text, request.POST.get("name", ""))
        problems = [rulebook.as_data(problem, text) for problem in found.problems]
        return JsonResponse({"problems": problems, "audience": type_told(found)})

    def preview(self, request: HttpRequest, model_admin: Any) -> HttpResponse:
        """What a posted `text` gives for `who` and for a sample of customers: a piece of HTML."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = request.POST.get("text", "").replace("\r\n", "\n")
        found = judged(text, request.POST.get("name", ""))
        shown = tried(found, request.POST.get("who", ""), clock.now(), request) if found.fine else {"unfit": True}
        return TemplateResponse(request, "admin/facts/preview.html", shown)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With how the fact stands, what it gives and who uses it."""
        row = self.get_object(request, object_id) if object_id else None
        shown: dict[str, Any] = {"preview_url": reverse("admin:customers_customfact_preview")}
        if isinstance(row, CustomFact):
            entry = entries()[row.name]
            shown |= {**fact_story(entry, request), **drawn_state(row), "former": self._former(row)}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def _former(self, row: CustomFact) -> QuerySet[LogEntry]:
        """Who published and withdrew it, and when."""
        mine = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(CustomFact), object_id=str(row.pk)
        ).filter(change_message__regex=r"^(Published|Withdrawn)")
        return mine.select_related("user").order_by("-action_time")[:LATEST]

    # -- publishing

    def response_add(self, request: HttpRequest, obj: CustomFact, post_url_continue: str | None = None) -> HttpResponse:
        """To the fact, where its state is seen."""
        self._after_saving(request, obj)
        return redirect("admin:customers_customfact_change", obj.pk)

    def response_change(self, request: HttpRequest, obj: CustomFact) -> HttpResponse:
        """To the fact, where its state is seen."""
        self._after_saving(request, obj)
        return redirect("admin:customers_customfact_change", obj.pk)

    def _after_saving(self, request: HttpRequest, row: CustomFact) -> None:
        if "_publish" in request.POST:
            self._publish(request, row)
        elif defining.state_of(row) == State.PUBLISHED:
            messages.success(request, f"{row} was saved.")
        else:
            messages.info(request, "Saved as a draft; nothing is computed from it until it is published.")

    def _publish(self, request: HttpRequest, row: CustomFact) -> None:
        """Publish it and say what becomes of it."""
        by = request.user if isinstance(request.user, User) else None
        holder = known.holder_of(row.name, row.pk)
        readers = [use.line for use in uses_of_facts([row.name]).get(row.name, []) if not use.learnt]
        try:
            done = defining.publish(row, by, clock.now(), judged(row.text, row.name), holder, readers)
        except ValidationError as refusal:
            messages.error(request, f"{row} was not published. {' '.join(refusal.messages)}")
            return
        if not done:
            messages.info(request, f"{row}: nothing to publish, it says this already.")
            return
        self.log_change(request, row, f"Published: {row.text}")
        messages.success(request, f"{row} is published; rules and segments may use it now.")
        enqueue(request, "compute_fact", row.pk, "compute it for everybody")

    def withdraw(self, request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
        """Ask, then compute it no more; refused while anything uses it."""
        row = get_object_or_404(CustomFact, pk=pk)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        back = reverse("admin:customers_customfact_change", args=[pk])
        page = {
            "title": f"Withdraw “{row}”?",
            "text": "It is computed no more, and rules, segments and messages can use it no more. Its draft stays, and "
            "can be published again.",
            "button": "Withdraw",
        }
        return confirm(self, request, page, partial(self._withdraw, request, row), back)

    def _withdraw(self, request: HttpRequest, row: CustomFact) -> str:
        if uses := uses_of_facts([row.name]).get(row.name):
            # One that uses it in its draft and as published is one.
            named = ", ".join(dict.fromkeys(f"{use.kind.lower()} “{use.row}”" for use in uses))
            raise ValidationError(f"{row.name} is in use by {named}; take it out there first.")
        defining.withdraw(row)
        self.log_change(request, row, f"Withdrawn: {row.published_text}")
        return f"{row} is withdrawn; its draft stays."

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[Any]]:
        """What stands against deleting: a fact that something uses stays."""
        rows = list(objs)
        going, counts, lacking, protected = super().get_deleted_objects(rows, request)
        uses = uses_of_facts([row.name for row in rows])
        gone = {row.pk for row in rows}
        lines = [
            use.line
            for mine in uses.values()
            for use in mine
            if not (isinstance(use.row, CustomFact) and use.row.pk in gone)
        ]
        return going, counts, lacking, [*protected, *dict.fromkeys(lines)]
