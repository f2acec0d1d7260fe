"""The clock and a handful of counts in; the badge beside the menu and the figures of the first page out."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import Count, Model
from django.http import HttpRequest
from django.urls import reverse

from campaigns.models import Message
from decisioning.config import clock
from decisioning.console.traffic import ENDS, HELD, end_of
from decisioning.models import Artefact, Decision, Snapshot
from rules.models import Rule, Segment

DAY = timedelta(days=1)
LARGEST = 12
RUNGS = {
    "full": "customer's facts, rules and a fresh score",
    "rules+model": "rules and a stored score",
    "rules+prior": "rules and each content's average",
    "rules": "rules alone",
    "default": "the placement's default content",
    HELD: "default content on purpose, to compare with",
}


def environment_label(request: HttpRequest) -> list[str]:
    """The badge beside the menu: where this runs, and the date where the product's clock was set back."""
    name = str(settings.ENVIRONMENT)
    set_back = timedelta(seconds=-settings.CLOCK_OFFSET)
    if set_back >= DAY:
        today = clock.now()
        return [f"{name} · it is {today.day} {today:%B %Y} here", "warning"]
    return [name, "danger" if settings.STRICT else "info"]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the first page shows of what its user may see elsewhere; empty parts say what to do first."""
    now = clock.now()
    parts: dict[type[Model], Callable[[], dict[str, Any]]] = {
        Snapshot: _snapshot,
        Rule: _rules,
        Artefact: _scorer,
        Decision: lambda: {"rungs": _rungs(now)},
        Message: lambda: {"messages_by_state": _messages()},
        Segment: lambda: {"segments": _segments()},
    }
    seen = [model for model in parts if _may_see(request, model)]
    context |= {"title": "Overview", "product_now": now, "sees": {model._meta.model_name for model in seen}}
    for model in seen:
        context |= parts[model]()
    return context


def _may_see(request: HttpRequest, model: type[Model]) -> bool:
    """As the pages of these rows ask it: who may change them may see them."""
    app, name = model._meta.app_label, model._meta.model_name
    return any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))


def _snapshot() -> dict[str, Any]:
    return {"snapshot": Snapshot.objects.order_by("-number").only("number", "built_at").first()}


def _rules() -> dict[str, Any]:
    return {"rules_on": Rule.objects.filter(active=True, published__isnull=False).count()}


def _scorer() -> dict[str, Any]:
    scorer = Artefact.objects.filter(kind=Artefact.Kind.SCORER, active=True).defer("data").first()
    return {"scorer": scorer, "auc": scorer.metrics.get("auc") if scorer else None}


def _rungs(now: datetime) -> list[dict[str, Any]]:
    """Decisions of the last day by rung, best rung first; an empty list when there are none."""
    recent = Decision.objects.filter(at__gt=now - DAY, at__lte=now).exclude(source=Decision.Source.IMPORT)
    counts: Counter[str] = Counter()
    for rung, reason, count in recent.values_list("rung", "reason").annotate(count=Count("id")):
        counts[end_of(rung, reason)] += count
    total = sum(counts.values())
    url = reverse("admin:decisioning_decision_changelist")
    return [
        {
            "name": rung,
            "meaning": RUNGS[rung],
            "count": f"{counts.get(rung, 0):,}",
            "share": round(100 * counts.get(rung, 0) / total, 1),
            "url": f"{url}?rung={quote(rung)}",
        }
        for rung in ENDS
        if total and (rung != HELD or counts[HELD])
    ]


def _messages() -> list[dict[str, Any]]:
    """Messages by state, in the order a message goes through them."""
    counts = dict(Message.objects.values_list("state").annotate(count=Count("id")))
    url = reverse("admin:campaigns_message_changelist")
    return [
        {
            "label": state.label,
            "count": f"{counts[state.value]:,}",
            "url": f"{url}?state__exact={state.value}",
        }
        for state in Message.State
        if state.value in counts
    ]


def _segments() -> list[dict[str, Any]]:
    """The largest active segments, with their size against the largest in percent."""
    rows = list(Segment.objects.filter(active=True).order_by("-size", "key")[:LARGEST])
    largest = max((row.size for row in rows), default=0)
    return [
        {
            "name": row.name,
            "size": f"{row.size:,}",
            "share": round(100 * row.size / largest, 1) if largest else 0,
            "url": reverse("admin:rules_segment_change", args=[row.pk]),
        }
        for row in rows
    ]
