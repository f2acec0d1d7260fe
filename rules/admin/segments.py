"""Segments in; pages with their checked condition, their size and a few members out."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import action, display

from decisioning.console.pages import Publishing, enqueue

from .. import rulebook
from ..models import Segment
from ..rulebook import Kind

SAMPLE = 8


class SegmentForm(ModelForm):
    """A segment by condition needs its condition."""

    def clean(self) -> dict[str, Any]:
        """Refuse a segment that nobody could ever enter."""
        values = super().clean() or {}
        by_condition = values.get("kind", self.instance.kind) == Segment.Kind.CONDITION
        if by_condition and "condition" in values and not values["condition"]:
            self.add_error("condition", "A segment by condition needs one; for example: orders_30d >= 2")
        elif by_condition and values.get("condition"):
            key = values.get("key", self.instance.key)
            draft = Segment(pk=self.instance.pk, key=key or "", name=values.get("name", ""))
            if circle := rulebook.circle_with(draft, values["condition"]):
                self.add_error("condition", circle)
        return values


@admin.register(Segment)
class SegmentAdmin(Publishing):
    """Named audiences with their size."""

    form = SegmentForm
    language = {"condition": Kind.CONDITION}
    fields = ["name", "key", "kind", "condition", "description", "active", "members"]
    readonly_fields = ["members"]
    list_display = ["name", "key", "kind", "size", "refreshed_at", "active"]
    list_filter = ["kind", "active"]
    search_fields = ["key", "name", "condition"]
    ordering = ["-size", "key"]
    actions = ["refresh_selected"]

    @display(description="Members")
    def members(self, segment: Segment) -> str:
        """How many customers are in it now, when that was measured, and a few of them."""
        if segment.pk is None:
            return "Counted after the segment is saved."
        current = segment.memberships.filter(left_at__isnull=True)
        sample = current.select_related("customer").order_by("customer_id")[:SAMPLE]
        pages = (
            (reverse("admin:customers_customer_change", args=[stay.customer_id]), stay.customer.key) for stay in sample
        )
        links = format_html_join(", ", '<a class="console-link" href="{}">{}</a>', pages)
        count = current.count()
        noun = "customer" if count == 1 else "customers"
        return format_html("{} {}{}{}", f"{count:,}", noun, ": " if links else "", links)

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
