"""The tracking plan in; pages where its entries are looked at, agreed on, locked, exported and imported, out."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Sum, TextField
from django.db.models.functions import JSONObject
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminTextareaWidget

from decisioning.config import clock

from ..models import PlannedEvent, PlanProblem
from ..plan import agreed
from ..plan.checking import DEFAULT
from ..plan.planning import forget
from .plan_form import EntryForm, kept, problems_of, rows_of

DAYS: Final = 7
LOCKED = {"locked": "success", "learning": "info", "refuses": "danger"}


class ImportForm(forms.Form):
    """A plan's text."""

    text = forms.CharField(
        label="The plan's text",
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "class": "console-code", "spellcheck": "false"}),
    )

    def clean_text(self) -> agreed.Events:
        """Refuse what is no plan, with the place."""
        try:
            return agreed.read(self.cleaned_data["text"])
        except agreed.Unreadable as problem:
            raise forms.ValidationError(str(problem)) from None


@admin.register(PlannedEvent)
class PlannedEventAdmin(ModelAdmin):
    """What events there are, what they hold, and what is agreed on that."""

    form = EntryForm
    formfield_overrides = {TextField: {"widget": UnfoldAdminExpandableTextareaWidget}}
    change_form_template = "admin/plan/entry.html"
    list_before_template = "admin/plan/before.html"
    list_display = ["shown_name", "standing", "seen_times", "last_seen", "lately", "kept_for"]
    list_filter = ["locked", "policy"]
    search_fields = ["name", "description"]
    ordering = ["-seen", "name"]
    actions = ["lock_selected", "unlock_selected"]
    actions_list = ["export_plan", "import_plan"]
    list_per_page = 100

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlannedEvent]:
        """With the problems of each of the last days, in one query."""
        since = (clock.now() - timedelta(days=DAYS - 1)).date()
        problems = PlanProblem.objects.filter(event=OuterRef("name"), day__gte=since)
        days = problems.values("day").annotate(sum=Sum("times")).values(pair=JSONObject(day="day", times="sum"))
        return super().get_queryset(request).annotate(by_day=ArraySubquery(days))

    @display(description="Event", ordering="name")
    def shown_name(self, entry: PlannedEvent) -> str:
        """Its name."""
        return "* (names not in the plan)" if entry.name == DEFAULT else entry.name

    @display(description="State", label=LOCKED, ordering="locked")
    def standing(self, entry: PlannedEvent) -> tuple[str, str]:
        """Whether it learns, is agreed, or refuses."""
        if not entry.locked:
            return "learning", "learning"
        return ("refuses", "locked, refuses") if entry.policy == PlannedEvent.Policy.REFUSE else ("locked", "locked")

    @display(description="Seen", ordering="seen")
    def seen_times(self, entry: PlannedEvent) -> str:
        """How many events there were."""
        return "–" if entry.name == DEFAULT else f"{entry.seen:,}"

    @display(description="Last seen (UTC)", ordering="last_at")
    def last_seen(self, entry: PlannedEvent) -> str:
        """When the latest one happened."""
        return f"{entry.last_at:%-d %b %Y, %H:%M}" if entry.last_at else "–"

    @display(description="Problems in 7 days")
    def lately(self, entry: PlannedEvent) -> str:
        """A bar a day, today at the right, and their sum."""
        today = clock.now().date()
        times = {pair["day"]: pair["times"] for pair in getattr(entry, "by_day", [])}
        days = [times.get(str(today - timedelta(days=ago)), 0) for ago in range(DAYS - 1, -1, -1)]
        most = max(days) or 1
        bars = [(6 * n, 20 - height, height) for n, each in enumerate(days) for height in [round(20 * each / most)]]
        return render_to_string("admin/plan/bars.html", {"bars": bars, "sum": f"{sum(days):,}", "any": any(days)})

    @display(description="Kept", ordering="keep")
    def kept_for(self, entry: PlannedEvent) -> str:
        """For how long its events are."""
        return f"{entry.keep} months" if entry.keep else "–" if entry.name == DEFAULT else "for ever"

    def get_fields(self, request: HttpRequest, obj: PlannedEvent | None = None) -> Sequence[str]:
        """The entry for unknown names holds no properties and no events."""
        if (obj.name if obj else request.GET.get("name")) == DEFAULT:
            return ["name", "description", "locked", "policy"]
        may = self.has_change_permission(request, obj)
        return ["name", "description", "locked", "policy", "keep", "changes" if may else "as_agreed"]

    def get_readonly_fields(self, request: HttpRequest, obj: PlannedEvent | None = None) -> Sequence[str]:
        """A name is chosen once: events are matched by it."""
        return ["name", "as_agreed"] if obj else ["as_agreed"]

    @display(description="Properties")
    def as_agreed(self, entry: PlannedEvent) -> str:
        """For those who may look and not change."""
        return render_to_string(
            "admin/plan/agreed.html", {"rows": rows_of(entry), "kept": kept(entry.keep, clock.now())}
        )

    def save_model(self, request: HttpRequest, obj: PlannedEvent, form: forms.ModelForm, change: bool) -> None:
        """What people changed, on top of what was counted meanwhile."""
        agreed.amend(obj, form.cleaned_data.get("changes") or {})

    def delete_model(self, request: HttpRequest, obj: PlannedEvent) -> None:
        """The door forgets it too."""
        super().delete_model(request, obj)
        forget()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PlannedEvent]) -> None:
        """The door forgets them too."""
        PlannedEvent.objects.filter(pk__in=list(queryset.values_list("pk", flat=True))).delete()
        forget()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what happens to names that are not in the plan."""
        default = PlannedEvent.objects.filter(name=DEFAULT).first()
        shown = {"default": default, "days": DAYS}
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With what did not fit lately."""
        entry = self.get_object(request, object_id)
        since = clock.now() - timedelta(days=DAYS - 1)
        shown = {"problems": problems_of(entry, since), "seen": f"{entry.seen:,}", "default": DEFAULT} if entry else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @action(description="Lock: check what arrives against them", permissions=["change"])
    def lock_selected(self, request: HttpRequest, queryset: QuerySet[PlannedEvent]) -> None:
        """From now on they are an agreement."""
        self._lock(request, queryset, True)

    @action(description="Unlock: learn again from what arrives", permissions=["change"])
    def unlock_selected(self, request: HttpRequest, queryset: QuerySet[PlannedEvent]) -> None:
        """From now on they learn."""
        self._lock(request, queryset, False)

    def _lock(self, request: HttpRequest, queryset: QuerySet[PlannedEvent], locked: bool) -> None:
        names = agreed.lock(queryset.values_list("name", flat=True), locked)
        for row in PlannedEvent.objects.filter(name__in=names):
            self.log_change(request, row, "Locked." if locked else "Unlocked.")
        done = f"{len(names)} {'locked' if locked else 'unlocked'}; doors follow within a second."
        messages.success(request, done if names else "They were so already.")

    @action(description="Export", permissions=["view"], icon="download")
    def export_plan(self, request: HttpRequest) -> HttpResponse:
        """The whole plan as a file."""
        told = f'attachment; filename="tracking-plan-{clock.now():%Y-%m-%d}.json"'
        return HttpResponse(agreed.write(), content_type="application/json", headers={"Content-Disposition": told})

    @action(description="Import", permissions=["add", "change"], icon="upload")
    def import_plan(self, request: HttpRequest) -> HttpResponse:
        """Show a box for a plan's text; apply what is posted, all of it or nothing."""
        form = ImportForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            added, changed = agreed.apply(form.cleaned_data["text"])
            for row in PlannedEvent.objects.filter(name__in=[*added, *changed]):
                self.log_change(request, row, "Imported.")
            messages.success(request, f"{len(added)} events added, {len(changed)} changed.")
            return redirect("admin:customers_plannedevent_changelist")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Import a tracking plan",
            "form": form,
            "back": reverse("admin:customers_plannedevent_changelist"),
        }
        return TemplateResponse(request, "admin/plan/import.html", context)
