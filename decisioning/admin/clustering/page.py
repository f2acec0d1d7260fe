"""The clustering in use, those found before and after it, and the search for others in; their page, out."""

from typing import Any, Final

from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from decisioning.customers.models import Customer
from decisioning.learning.judging import percent
from decisioning.models import Artefact
from rules.models import Segment

from . import charts, runs
from .adopting import clusterings
from .asking import AskForm, asked_before
from .personas import PersonaForm
from .told import Persona, clustered_on, drift_of, how_found, moment, personas_of, treated

OLDER: Final = 50
LISTED: Final = ("pk", "active", "trained_at", "metrics__adopted_at", "metrics__customers", "metrics__number",
                 "metrics__chosen")  # fmt: skip


def page(
    request: HttpRequest,
    model_admin: Any,
    chosen: Artefact | None = None,
    ask: AskForm | None = None,
    edited: PersonaForm | None = None,
) -> HttpResponse:
    """The clustering `chosen`, or the one in use, or the newest; `ask` and `edited` are forms that were refused."""
    active, newest = clusterings().filter(active=True).first(), clusterings().order_by("-pk").first()
    shown = chosen or active or newest
    waiting = newest if newest and active and newest.pk > active.pk and _is_new(newest) else None
    run = runs.newest()
    may_change = request.user.has_perm("decisioning.change_artefact")
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _title(shown),
        "content_title": _title(shown),
        "run": run,
        "mark": runs.mark(run),
        "may_change": may_change,
        "may_look": any(request.user.has_perm(f"rules.{verb}_segment") for verb in ("view", "change")),
        "people": None if shown else _people(),
        "active": active,
        "waiting": _waiting(waiting, active) if waiting and active and shown == active else None,
        "others": _others(shown),
        "ask": (ask or AskForm(initial=_begin(request, newest))) if may_change else None,
        "ask_open": ask is not None or "again" in request.GET,
        "defaults": asked_before(None),
        **(_told(request, shown, edited) if shown else {}),
    }
    return TemplateResponse(request, "admin/clustering/page.html", context)


def _title(shown: Artefact | None) -> str:
    return "Clustering" if shown is None or shown.active else f"Clustering {shown.pk}, not in use"


def _people() -> int:
    """How many customers could be compared."""
    return Customer.objects.filter(facts_at__isnull=False, merged_into__isnull=True).count()


def _is_new(artefact: Artefact) -> bool:
    return not artefact.metrics.get("adopted_at")


def _begin(request: HttpRequest, newest: Artefact | None) -> dict[str, list[Any]]:
    """The form as it was filled in the last time, or with the defaults where these are asked for."""
    return asked_before(None if newest is None or request.GET.get("again") == "defaults" else newest.metrics)


def _told(request: HttpRequest, shown: Artefact, edited: PersonaForm | None) -> dict[str, Any]:
    """All that is known of one clustering."""
    metrics = shown.metrics
    personas = personas_of(shown)
    if shown.active and request.user.has_perm("rules.change_segment"):
        _give_forms(personas, edited)
    kept = metrics.get("kept") or {}
    rows = charts.rows(metrics)
    return {
        "shown": shown,
        "metrics": metrics,
        "personas": personas,
        "how": how_found(metrics),
        "facts": clustered_on(metrics),
        "treated": treated(metrics),
        "adopted_at": moment(metrics.get("adopted_at")),
        "kept": None if kept.get("labels") is None else percent(kept["labels"]),
        "members": _members() if shown.active else None,
        "drift": drift_of(metrics) if shown.active else None,
        "online": _online(metrics) if shown.active else None,
        "picture": charts.picture(metrics),
        "explained": charts.explained(metrics),
        "chart": charts.chart(metrics),
        "rows": rows,
        "columns": charts.COLUMNS,
        "limits": charts.limits_told(metrics),
        "allowed": sum(1 for row in rows if not row.refused),
        "alone": charts.alone_told(metrics),
    }


def _give_forms(personas: list[Persona], edited: PersonaForm | None) -> None:
    for one in personas:
        if one.segment is not None:
            mine = edited is not None and edited.instance.pk == one.segment.pk
            one.form = edited if mine else PersonaForm(instance=one.segment)


def _members() -> int:
    """How many customers are in a persona now."""
    rows = Segment.objects.filter(kind=Segment.Kind.CLUSTER, active=True)
    return int(rows.aggregate(members=Sum("size"))["members"] or 0)


def _online(metrics: dict[str, Any]) -> dict[str, Any] | None:
    online = metrics.get("online")
    return {**online, "at": moment(online.get("at"))} if online else None


def _waiting(artefact: Artefact, active: Artefact) -> dict[str, Any]:
    """What was found since, persona by persona beside those in use."""
    found, used = personas_of(artefact), personas_of(active)
    there = {one.key: one for one in found}
    pairs = [_pair(one, there.pop(one.key, None)) for one in used] + [_pair(None, one) for one in there.values()]
    kept = artefact.metrics.get("kept") or {}
    matched = kept.get("former") == active.pk
    return {
        "artefact": artefact,
        "how": how_found(artefact.metrics),
        "facts": clustered_on(artefact.metrics),
        "matched": matched,
        "kept": percent(kept["labels"]) if matched and kept.get("labels") is not None else "",
        "pairs": pairs,
    }


def _pair(used: Persona | None, found: Persona | None) -> dict[str, Any]:
    """A persona in use beside the one that continues it; `renamed`: what it would be called, if something else."""
    names = [one.name for one in (used, found) if one]
    return {"used": used, "found": found, "name": names[0], "renamed": names[-1] if names[-1] != names[0] else ""}


def _others(shown: Artefact | None) -> list[dict[str, Any]]:
    """The other clusterings, newest first."""
    rows = clusterings().exclude(pk=shown.pk if shown else 0).order_by("-pk").values(*LISTED)[:OLDER]
    return [
        {
            **row,
            "number": row["metrics__number"],
            "customers": row["metrics__customers"],
            "how": how_found({"chosen": row["metrics__chosen"]}),
            "score": charts.two((row["metrics__chosen"] or {}).get("score")),
            "adopted_at": moment(row["metrics__adopted_at"]),
        }
        for row in rows
    ]
