"""The ledger's conversions in; a page that credits them under every model, and what events count as, out."""

from datetime import timedelta
from typing import Any, Final, cast, get_args

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin

from campaigns.models import Campaign, Content, Placement
from decisioning.config import clock
from decisioning.console.pages import ReadOnly
from decisioning.flows.credit import SECONDS, TooLong, report_of
from decisioning.flows.follow import USUAL
from decisioning.learning.attribution import TITLES
from decisioning.models import EventOutcome, Outcome
from decisioning.store.attributing import Asked, By, Seen
from rules.models import Rule

DAYS: Final = {"1": "a day", "7": "7 days", "30": "30 days", "90": "90 days"}
MEASURES: Final = {"conversions": "Conversions", "value": "Value"}
TOUCHES: Final = {"shown": "Contents seen", "clicked": "Contents clicked"}
NAMED: Final[dict[str, Any]] = {"content": Content, "placement": Placement, "campaign": Campaign, "rule": Rule}
# So many channels are pictured; the table has them all.
DRAWN: Final = 8


@admin.register(Outcome)
class OutcomeAdmin(ReadOnly):
    """One page: to what conversions are credited."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The report of a span, with the models' credits as bars and as figures."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        days = _chosen(request, "days", tuple(DAYS), "7")
        by = _chosen(request, "by", get_args(By), "content")
        touches = _chosen(request, "touches", get_args(Seen), "shown")
        measure = _chosen(request, "measure", tuple(MEASURES), "conversions")
        now = clock.now()
        asked = Asked(now - timedelta(days=int(days)), now, cast(By, by), cast(Seen, touches))
        report, refused = _report(asked)
        rows = _rows(report, by, measure) if report else []
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Attribution",
            "asks": [
                ("days", "Span of time", DAYS, days),
                ("by", "Credit", {name: f"{name.title()}s" for name in get_args(By)}, by),
                ("touches", "Touches", TOUCHES, touches),
                ("measure", "Measure", MEASURES, measure),
            ],
            "titles": TITLES.values(),
            "report": report,
            "refused": refused,
            "given": report.get("attributed", {}).get(measure),
            "left": report.get("unattributed", {}).get(measure),
            "rows": rows,
            "chart": _chart(rows[:DRAWN]),
            "hidden": max(0, len(rows) - DRAWN),
            "measure": MEASURES[measure].lower(),
            "shorter": _shorter(request, days),
            "span_words": DAYS[days],
            "now": now,
        }
        return TemplateResponse(request, "admin/decisioning/attribution.html", context)


def _report(asked: Asked) -> tuple[dict[str, Any], str]:
    """The report, or nothing and why."""
    try:
        return report_of(asked, SECONDS), ""
    except TooLong as error:
        return {}, str(error)


def _shorter(request: HttpRequest, days: str) -> tuple[str, str]:
    """The address and the words of the next shorter span; two empty texts where there is none."""
    place = list(DAYS).index(days)
    if not place:
        return "", ""
    query, shorter = request.GET.copy(), list(DAYS)[place - 1]
    query["days"] = shorter
    return f"?{query.urlencode()}", DAYS[shorter]


def _chosen(request: HttpRequest, name: str, known: tuple[str, ...], usual: str) -> str:
    found = request.GET.get(name, usual)
    return found if found in known else usual


def _rows(report: dict[str, Any], by: str, measure: str) -> list[dict[str, Any]]:
    keys = [row["channel"] for row in report["channels"]]
    names = dict(NAMED[by].objects.filter(key__in=keys).values_list("key", "name"))
    return [
        {
            "name": names.get(row["channel"], row["channel"]),
            "touches": row["touches"],
            "credits": [row["models"][model][measure] for model in TITLES],
        }
        for row in report["channels"]
    ]


def _chart(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A group a channel, a bar a model: its length in percent of the longest of all, and what it says."""
    most = max((credit for row in rows for credit in row["credits"]), default=0) or 1
    return [
        {
            "name": row["name"],
            "bars": [
                {"share": round(100 * credit / most, 1), "title": f"{row['name']}, {title}: {credit:,.2f}"}
                for title, credit in zip(TITLES.values(), row["credits"], strict=True)
            ],
        }
        for row in rows
    ]


def _usual() -> list[dict[str, Any]]:
    """What events count as without an entry, and the entry that says otherwise, if there is one."""
    others = {row.event: row for row in EventOutcome.objects.filter(event__in=USUAL)}
    kinds = dict(EventOutcome.Kind.choices)
    return [
        {"event": event, "kind": kinds[kind], "key": kind, "other": others.get(event)} for event, kind in USUAL.items()
    ]


@admin.register(EventOutcome)
class EventOutcomeAdmin(ModelAdmin):
    """Which event with a decision's token counts as what."""

    list_display = ("event", "kind")
    search_fields = ("event",)
    change_list_template = "admin/decisioning/eventoutcomes.html"
    fieldsets: Any = [
        (
            None,
            {
                "fields": ["event", "kind"],
                "description": "Events whose properties carry a decision's token are outcomes. Without an entry here: "
                + ", ".join(f"{event} is {'an' if kind[0] == 'i' else 'a'} {kind}" for event, kind in USUAL.items())
                + "; every other event is none.",
            },
        )
    ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The entries, below what holds without any."""
        return super().changelist_view(request, {**(extra_context or {}), "usual": _usual()})
