"""How long what follows a decision counts, in all placements, in; live at once after a save, out."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from decisioning.console.pages import Publishing

from ..models import Placement, Window
from ..models.windows import FIELDS


@admin.register(Window)
class WindowAdmin(Publishing):
    """One row a kind of outcome; there are no others."""

    fixed = ("kind",)
    fields = ["kind", "hours"]
    list_display = ["kind", "hours", "others"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Every kind has its row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Window | None = None) -> bool:
        """Every kind keeps its row."""
        return False

    @display(description="Placements with one of their own")
    def others(self, row: Window) -> str:
        """Their names, with commas."""
        own = Placement.objects.exclude(**{FIELDS[row.kind]: None}).order_by("key")
        return ", ".join(own.values_list("name", flat=True)) or "–"
