"""The last hour's entries and exits in; a map of every active segment that renews itself, out: a page and its JSON."""

from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from decisioning.config import clock

from ..curves import Minutes, minutes
from ..models import Segment
from .treemap import tiles
from .why import may_look

MINUTES: Final = 60
MOST: Final = 300
RATIO: Final = 2.2  # of the map's width to its height
SOONEST: Final = 3000  # milliseconds between two looks
# A look may take this share of the time between two: whatever it costs, the database is mostly left alone.
SHARE: Final = 0.05
QUIET: Final = Minutes([0] * MINUTES, [0] * MINUTES)


def page(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The map with what is known now; its script asks for the rest."""
    may_look(request, "rules.segment")
    found = seen(clock.now())
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Segments in the last hour",
        "found": found,
        "data_url": reverse("admin:rules_segment_live_data"),
        "left_out": max(0, Segment.objects.filter(active=True).count() - MOST),
    }
    return TemplateResponse(request, "admin/segments/live.html", context)


def data(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """What the map shows, anew: JSON."""
    may_look(request, "rules.segment")
    return JsonResponse(seen(clock.now()))


def seen(now: datetime) -> dict[str, Any]:
    """Every active segment with its tile and its minutes (none where nobody moved), and when to look again."""
    began = perf_counter()
    rows = list(Segment.objects.filter(active=True).order_by("-size", "key").only("pk", "name", "size", "key")[:MOST])
    moved = minutes(now, MINUTES)
    places = tiles([row.size for row in rows], RATIO)
    found = [
        {
            "id": row.pk,
            "name": row.name,
            "url": reverse("admin:rules_segment_change", args=[row.pk]),
            "size": row.size,
            "tile": [round(part, 5) for part in place],
            "entered": sum(mine.entered),
            "left": sum(mine.left),
            "net": sum(mine.entered) - sum(mine.left),
            "minutes": {"entered": mine.entered, "left": mine.left} if row.pk in moved else None,
        }
        for row, place in zip(rows, places, strict=True)
        for mine in [moved.get(row.pk, QUIET)]
    ]
    shown = [moved[row.pk] for row in rows if row.pk in moved]
    return {
        "at": f"{now:%-d %b %Y, %H:%M:%S}",
        "from": f"{now - timedelta(minutes=MINUTES):%H:%M}",
        "segments": found,
        "entered": [sum(mine.entered[n] for mine in shown) for n in range(MINUTES)],
        "left": [sum(mine.left[n] for mine in shown) for n in range(MINUTES)],
        "next": max(SOONEST, round((perf_counter() - began) * 1000 / SHARE)),
    }
