"""The holdout of all placements in; live at once after a save, out."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from decisioning.config import clock
from decisioning.console.pages import Publishing
from decisioning.experiments.statistics import Group
from decisioning.store.holdouts import effect

from ..models import Holdout, Placement
from ..models.holdout import of_all

NOBODY = (
    "Nobody was held out here in the last 28 days. Set a share, and give the placement default contents to show them."
)
TOLD = "{}: {} of {} customers had a {} ({}).<br>"


def told_effect(placement: Placement) -> str | SafeString:
    """What deciding gains over the default contents, in words; what to do where nobody is held out."""
    found = effect(placement, clock.now())
    if not found.held.customers:
        return NOBODY
    sides = [_told("Held out", found.held, found.kind), _told("All others", found.treated, found.kind)]
    gain = found.gain
    verdict = "" if gain.tells else " It cannot be told from zero yet: go on."
    low, high = f"{100 * gain.low:+.1f}", f"{100 * gain.high:+.1f}"
    text = f"Gain: {100 * gain.value:+.1f} points (95 % interval {low} to {high}).{verdict}"
    return format_html("{}{}{}", *sides, text)


def _told(who: str, group: Group, kind: str) -> SafeString:
    return format_html(TOLD, who, f"{group.successes:,}", f"{group.customers:,}", kind, f"{group.rate:.1%}")


@admin.register(Holdout)
class HoldoutAdmin(Publishing):
    """One row; there are no others."""

    fixed = ()
    fields = ["share", "draw"]
    list_display = ["name", "percent", "draw", "others"]
    change_list_template = "admin/holdout/list.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is one; should it be lost it is made again."""
        return not Holdout.objects.exists() and super().has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Holdout | None = None) -> bool:
        """It stays; a share of 0 is none."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with what a holdout is for, and the placements where somebody is held out."""
        share, _ = of_all()
        placements = [
            {"row": row, "percent": f"{100 * max(row.holdout_share, share):g} %", "own": row.holdout_share > share}
            for row in Placement.objects.order_by("name")
            if max(row.holdout_share, share)
        ]
        return super().changelist_view(request, {**(extra_context or {}), "placements": placements, "share": share})

    @display(description="Share held out", ordering="share")
    def percent(self, row: Holdout) -> str:
        """As people write it."""
        return f"{100 * row.share:g} %"

    @display(description="Where")
    def name(self, row: Holdout) -> str:
        """Everywhere."""
        return "All placements"

    @display(description="Placements that hold out more")
    def others(self, row: Holdout) -> str:
        """Their names, with commas."""
        more = Placement.objects.filter(holdout_share__gt=row.share).order_by("key")
        return ", ".join(more.values_list("name", flat=True)) or "–"
