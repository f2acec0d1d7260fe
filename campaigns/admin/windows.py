"""How long what follows a decision counts, in all placements, in; live at once after a save, out."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from decisioning.console.pages import Publishing

from ..models import Placement, Window
from ..models.contacts import told
from ..models.windows import FIELDS, USUAL


@admin.register(Window)
class WindowAdmin(Publishing):
    """One row a kind of outcome; there are no others."""

    fixed = ("kind",)
    fields = ["kind", "hours"]
    list_display = ["kind", "counted", "usual", "others"]
    change_list_template = "admin/windows/list.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Every kind has its row; one that was lost is made again."""
        return Window.objects.count() < len(USUAL) and super().has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Window | None = None) -> bool:
        """Every kind keeps its row."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with what windows are for and what is usual."""
        usual = [(label, told(USUAL[kind])) for kind, label in Window.Kind.choices]
        return super().changelist_view(request, {**(extra_context or {}), "usual": usual})

    @display(description="Counts for", ordering="hours")
    def counted(self, row: Window) -> str:
        """How long, in words."""
        return told(row.hours)

    @display(description="Usual")
    def usual(self, row: Window) -> str:
        """What holds where nobody changed it."""
        return told(USUAL[row.kind])

    @display(description="Placements with one of their own")
    def others(self, row: Window) -> str:
        """Their names, with commas."""
        own = Placement.objects.exclude(**{FIELDS[row.kind]: None}).order_by("key")
        return ", ".join(own.values_list("name", flat=True)) or "–"
