"""The request's user in; the menu of what they may see, and the addresses of our style and icon, out."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

Entry = tuple[str, str, str, str]

# Title, icon, app and model, from what marketers do most to what is set up once.
GROUPS: list[tuple[str, list[Entry]]] = [
    (
        "Who",
        [
            ("Segments", "groups", "rules", "segment"),
            ("Live map", "grid_view", "rules", "segment"),
            ("Clustering", "bubble_chart", "decisioning", "artefact"),
            ("Customers", "person", "customers", "customer"),
            ("Same person?", "join_inner", "customers", "proposal"),
        ],
    ),
    (
        "What comes in",
        [
            ("Facts", "data_object", "customers", "customfact"),
            ("Events", "stream", "customers", "event"),
            ("Events as outcomes", "conversion_path", "decisioning", "eventoutcome"),
            ("Tracking plan", "checklist", "customers", "plannedevent"),
            ("Data quality", "rule_settings", "customers", "qualityreport"),
            ("Dead letters", "report", "customers", "deadletter"),
        ],
    ),
    (
        "What is shown",
        [
            ("Rules", "rule", "rules", "rule"),
            ("Contents", "featured_video", "campaigns", "content"),
            ("Placements", "dashboard_customize", "campaigns", "placement"),
            ("Filters", "filter_alt", "campaigns", "filter"),
            ("Windows", "timer", "campaigns", "window"),
            ("Holdout", "person_off", "campaigns", "holdout"),
        ],
    ),
    (
        "What is sent",
        [
            ("Campaigns", "campaign", "campaigns", "campaign"),
            ("Messages", "outbox", "campaigns", "message"),
            ("Contact limits", "notifications_paused", "campaigns", "contactlimit"),
            ("Webhooks", "webhook", "campaigns", "webhook"),
            ("Calls", "call_made", "campaigns", "call"),
        ],
    ),
    (
        "What happened",
        [
            ("Decisions", "manage_search", "decisioning", "decision"),
            ("Traffic", "stacked_bar_chart", "decisioning", "traffic"),
            ("Attribution", "share_windows", "decisioning", "outcome"),
            ("Would have earned", "savings", "decisioning", "decision"),
            ("Artefacts", "model_training", "decisioning", "artefact"),
            ("Snapshots", "photo_camera", "decisioning", "snapshot"),
        ],
    ),
    (
        "Access",
        [
            ("API keys", "key", "decisioning", "apikey"),
            ("People", "badge", "auth", "user"),
            ("Groups", "group", "auth", "group"),
        ],
    ),
]

# Entries that lead to another page of their model than its list.
PLACES = {
    "Clustering": "admin:decisioning_artefact_clustering",
    "Live map": "admin:rules_segment_live",
    "Would have earned": "admin:decisioning_decision_earned",
}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu; pages a user may not see are left out, and groups that would be empty too."""
    first = {"title": "Overview", "icon": "monitoring", "link": reverse("admin:index")}
    groups = [(title, _items(request, entries)) for title, entries in GROUPS]
    _mark([item for _, items in groups for item in items], request.path)
    return [{"items": [first]}, *({"title": title, "items": items} for title, items in groups if items)]


def _items(request: HttpRequest, entries: list[Entry]) -> list[dict[str, Any]]:
    return [
        {"title": title, "icon": icon, "link": reverse(PLACES.get(title, f"admin:{app}_{model}_changelist"))}
        for title, icon, app, model in entries
        if admin.site.is_registered(apps.get_model(app, model)) and _may_see(request, app, model)
    ]


def _mark(items: list[dict[str, Any]], path: str) -> None:
    """The entry whose page one is on, or the nearest above it: one alone, also where its address begins another's."""
    here = max((item["link"] for item in items if path.startswith(item["link"])), key=len, default="")
    for item in items:
        item["active"] = item["link"] == here


def _may_see(request: HttpRequest, app: str, model: str) -> bool:
    return any(request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change"))


def stylesheet(request: HttpRequest) -> str:
    """What our pages add to the theme."""
    return static("decisioning/console.css")


def icon(request: HttpRequest) -> str:
    """The icon of the browser's tab."""
    return static("decisioning/favicon.svg")
