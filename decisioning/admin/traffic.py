"""What the ledger adds up to in; a page with the share of traffic by rung, by placement and span of time, out."""

from datetime import UTC, datetime
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from campaigns.models import Content, Placement
from decisioning.config import clock
from decisioning.console.pages import ReadOnly
from decisioning.console.refusals import refusals
from decisioning.console.traffic import HELD, SPANS, Span, begin_of, chart_of, colour_of, figures, said
from decisioning.models import DroppedMonth, Traffic, Uncounted
from decisioning.store import months, statistics

# Why a decision was not kept, by the names processes count them under.
DROPPED: Final = {
    "full": "PostgreSQL stayed away and the buffer was full",
    "refused": "PostgreSQL will never take such a row; the server's log has it",
    "stopped": "The process was stopped before PostgreSQL took them",
}
FIRST: Final = "day"


@admin.register(Traffic)
class TrafficAdmin(ReadOnly):
    """One page: how decisions came to their rungs."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The chart and the figures of a span, of one placement or all."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = clock.now()
        name = request.GET.get("span", FIRST)
        name = name if name in SPANS else FIRST
        span = SPANS[name]
        placement = request.GET.get("placement", "").replace("\0", "")
        chart, counted = chart_of(span, now, placement), figures(span, now, placement)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Traffic",
            "now": now,
            "spans": SPANS,
            "span": name,
            "span_words": span.words,
            "placement": placement,
            "placements": _placements(placement),
            "chart": chart,
            "table": [_row(chart, column, span) for column in reversed(chart.columns) if column.counts],
            "figures": counted,
            "decisions_url": reverse("admin:decisioning_decision_changelist"),
            "rungs": [(colour_of(rung), rung, _percent(one)) for rung, one in counted["rungs"]],
            "reasons": [(reason, _percent(one)) for reason, one in counted["reasons"]],
            "hits": None if counted["hits"] is None else round(100 * counted["hits"], 1),
            "dropped": [(count, DROPPED.get(why, why)) for why, count in counted["dropped"].items()],
            "refusals": refusals(begin_of(span, now), placement),
            "contents": _contents(placement, span, now) if placement else [],
            "held": HELD in chart.rungs,
            "holdout_url": reverse("admin:campaigns_holdout_changelist"),
            "uncounted": Uncounted.objects.exists(),
            "months": _months(),
            "gone": DroppedMonth.objects.filter(rows__gt=0).order_by("-month"),
        }
        return TemplateResponse(request, "admin/decisioning/traffic.html", context)


def _placements(chosen: str) -> list[tuple[str, str]]:
    found = dict(Placement.objects.order_by("name").values_list("key", "name"))
    return list((found if not chosen or chosen in found else found | {chosen: chosen}).items())


def _percent(share: statistics.Share) -> dict[str, Any]:
    return {"count": share.decisions, "percent": round(100 * share.share, 1)}


def _row(chart: Any, column: Any, span: Span) -> dict[str, Any]:
    shares = [round(100 * column.counts.get(rung, 0) / column.total, 1) for rung in chart.rungs]
    return {"begins": said(column.begins, span), "total": column.total, "shares": shares}


def _contents(placement: str, span: Span, now: datetime) -> list[dict[str, Any]]:
    """What was shown there and what came of it, the most chosen first; days are whole and of UTC."""
    found = statistics.by_content(placement, begin_of(span, now).date(), now.date())
    names = dict(Content.objects.filter(key__in=list(found)).values_list("key", "name"))
    rows = [
        {
            "key": key,
            "name": names.get(key, key),
            **{name: int(count) for name, count in sums.items() if name != "value"},
            "value": sums["value"],
            "click_rate": 100 * sums["clicks"] / sums["shown"] if sums["shown"] else None,
            "conversion_rate": 100 * sums["conversions"] / sums["shown"] if sums["shown"] else None,
        }
        for key, sums in found.items()
    ]
    return sorted(rows, key=lambda row: (-row["decisions"], row["key"]))


def _months() -> list[dict[str, Any]]:
    """The ledger's months that hold something, or that are past."""
    this = datetime.now(UTC).date().replace(day=1)
    return [
        {"first": one.first, "megabytes": one.bytes / 1e6, "rows": max(0, one.rows)}
        for one in reversed(months.months())
        if one.first <= this
    ]
