"""Named conditions on contents in; pages to edit them, live at once after a save, out."""

from django.contrib import admin
from unfold.decorators import display

from decisioning.console.pages import Publishing

from ..models import Filter


@admin.register(Filter)
class FilterAdmin(Publishing):
    """What a call may ask of contents."""

    fields = ["name", "key", "condition", "values", "active"]
    list_display = ["name", "key", "condition", "needs", "active"]
    search_fields = ["key", "name", "condition"]
    list_filter = ["active"]

    @display(description="Values")
    def needs(self, row: Filter) -> str:
        """What the caller gives."""
        return ", ".join(f"{name} ({kind})" for name, kind in row.types.items())
