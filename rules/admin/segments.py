"""Segments in; pages out: a list with sizes and states, and for each one its form below what is known of it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.views import ChangeList

from campaigns.admin.reactions import ReactionInline
from campaigns.loops import circle_by_condition
from decisioning.config import clock
from decisioning.console import doubts
from decisioning.console.pages import Publishing, enqueue

from .. import rulebook
from ..models import Segment
from ..rulebook import Kind
from . import export, listing, lists, livemap, migration, overlap
from .computing import STATES
from .members import members
from .naming import name_problems
from .page import told_of
from .why import why

WRITTEN = {"name", "story"}


class SegmentForm(ModelForm):
    """A segment by condition needs its condition."""

    def clean(self) -> dict[str, Any]:
        """Refuse a segment that nobody could ever enter, and a name that breaks what counts on it."""
        values = super().clean() or {}
        now = {field: values.get(field, getattr(self.instance, field)) for field in ("key", "name", "active")}
        if now["key"] and now["name"]:
            for field, problem in name_problems(self.instance.pk, self.initial, now):
                self.add_error(field if field in self.fields else None, problem)
        by_condition = values.get("kind", self.instance.kind) == Segment.Kind.CONDITION
        if by_condition and "condition" in values and not values["condition"]:
            self.add_error("condition", "A segment by condition needs one; for example: orders_30d >= 2")
        elif by_condition and values.get("condition"):
            key = values.get("key", self.instance.key)
            draft = Segment(pk=self.instance.pk, key=key or "", name=values.get("name", ""))
            draft.condition = values["condition"]
            if circle := rulebook.circle_with(draft, values["condition"]) or circle_by_condition(draft):
                self.add_error("condition", circle)
        return values


class Rows(ChangeList):
    """The list, with everything its columns need of the rows on the page read at once."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then what is told of its segments."""
        super().get_results(request)
        found = list(self.result_list)
        told = listing.rows(found)
        for segment in found:
            vars(segment)["told"] = told[segment.pk]
        self.result_list = found


@admin.register(Segment)
class SegmentAdmin(Publishing):
    """Named audiences: how large, who, since when and why."""

    form = SegmentForm
    language = {"condition": Kind.CONDITION}
    fields = ["name", "key", "kind", "condition", "description", "story", "active"]
    list_display = ["name", "kind", "shown_size", "week", "line", "standing", "used_by"]
    list_filter = ["kind", listing.InState]
    list_before_template = "admin/segments/before.html"
    change_form_template = "admin/segments/segment.html"
    search_fields = ["key", "name", "condition", "description"]
    ordering = ["-size", "key"]
    actions = ["refresh_selected"]
    inlines = [ReactionInline]
    list_per_page = 50

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """The kind is chosen once: changed, it would throw everybody out who is in."""
        return [*super().get_readonly_fields(request, obj), *(["kind"] if obj else [])]

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Those by clustering are made on the clustering page alone."""
        if db_field.name == "kind":
            options["choices"] = [one for one in Segment.Kind.choices if one[0] != Segment.Kind.CLUSTER]
        return super().formfield_for_choice_field(db_field, request, **options)

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Ours, which reads what the columns need for the whole page."""
        return Rows

    @display(description="Members", ordering="size")
    def shown_size(self, segment: Segment) -> str:
        """How many customers are in it."""
        return f"{segment.size:,}"

    @display(description="In 7 days")
    def week(self, segment: Segment) -> SafeString | str:
        """How much it grew or shrank."""
        return listing.changed_of(segment.told)  # type: ignore[attr-defined]

    @display(description="Size, 7 days")
    def line(self, segment: Segment) -> SafeString | str:
        """Its sizes as a line."""
        return listing.line_of(segment.told)  # type: ignore[attr-defined]

    @display(description="State", label={code: colour for code, (_, colour) in STATES.items()})
    def standing(self, segment: Segment) -> tuple[str, str]:
        """How its computing goes."""
        state = segment.told.state  # type: ignore[attr-defined]
        return state.code, state.label

    @display(description="Used by")
    def used_by(self, segment: Segment) -> SafeString | str:
        """How many rules, segments, campaigns and so on use it."""
        return listing.used_of(segment.told)  # type: ignore[attr-defined]

    def get_custom_urls(self) -> tuple[Any, ...]:
        """What there is beside the list and the form."""
        return (
            ("live/", "rules_segment_live", livemap.page),
            ("live/data/", "rules_segment_live_data", livemap.data),
            ("overlap/", "rules_segment_overlap", overlap.page),
            ("migration/", "rules_segment_migration", migration.page),
            ("<int:pk>/members/", "rules_segment_members", members),
            ("<int:pk>/why/", "rules_segment_why", why),
            ("<int:pk>/again/", "rules_segment_again", again),
            *export.URLS,
            *lists.URLS,
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form below what is known of the segment."""
        segment = self.get_object(request, object_id)
        told = told_of(segment, request) if segment and self.has_view_or_change_permission(request, segment) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})

    def save_model(self, request: HttpRequest, obj: Segment, form: ModelForm, change: bool) -> None:
        """What a person wrote of who these people are is theirs from now on."""
        if change and WRITTEN & set(form.changed_data):
            obj.edited_at = clock.now()
        super().save_model(request, obj, form, change)
        doubts.tell(request, obj)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        """Who is in it depends on the condition: find its members anew when that changed."""
        super().save_related(request, form, formsets, change)
        if {"kind", "condition", "active"} & set(form.changed_data):
            enqueue(request, "refresh_segment", form.instance.pk, "find its members")

    @action(description="Find the members of selected segments now", permissions=["change"])
    def refresh_selected(self, request: HttpRequest, queryset: QuerySet[Segment]) -> None:
        """Ask the worker for each."""
        for segment in queryset:
            enqueue(request, "refresh_segment", segment.pk, f"find the members of {segment}")


def again(request: HttpRequest, model_admin: SegmentAdmin, pk: int) -> HttpResponse:
    """Ask the worker to find a segment's members once more."""
    segment = get_object_or_404(Segment, pk=pk)
    if request.method != "POST" or not model_admin.has_change_permission(request, segment):
        raise PermissionDenied
    enqueue(request, "refresh_segment", segment.pk, f"find the members of {segment}")
    return redirect("admin:rules_segment_change", segment.pk)
