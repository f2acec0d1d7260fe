"""The REST API's addresses."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from . import decisions, evaluation, lists, ofrep, people, reports, segments, views
from .intake import EVENTS, MAIN, PATHS
from .pixel import PixelView
from .sources import RUDDER
from .unsubscribe import unsubscribe

urlpatterns = [
    path("v1/decide", views.DecideView.as_view(), name="decide"),
    path("v1/decide/batch", views.ManyView.as_view(), name="decide_many"),
    path("v1/outcomes", views.OutcomeView.as_view(), name="outcomes"),
    path("v1/outcomes/pixel.gif", PixelView.as_view(), name="pixel"),
    path("v1/reports/attribution", reports.AttributionView.as_view(), name="attribution"),
    path("v1/reports/evaluate", evaluation.EvaluateView.as_view(), name="evaluate"),
    path("v1/decisions/<uuid:decision_id>", decisions.DecisionView.as_view(), name="decision"),
    path("v1/decisions/<uuid:decision_id>/replay", decisions.ReplayView.as_view(), name="replay"),
    path("v1/segments", segments.SegmentsView.as_view(), name="segments"),
    path("v1/segments/<str:key>", segments.SegmentView.as_view(), name="segment"),
    path("v1/segments/<str:key>/members", segments.MembersView.as_view(), name="segment_members"),
    path("v1/segments/<str:key>/history", segments.HistoryView.as_view(), name="segment_history"),
    path("v1/segments/<str:key>/list", lists.ListView.as_view(), name="segment_list"),
    path("v1/facts", people.FactsView.as_view(), name="facts"),
    # A customer's key may have slashes in it.
    path("v1/customers/<path:customer_id>/facts", people.CustomerFactsView.as_view(), name="customer_facts"),
    path("v1/customers/<path:customer_id>/segments", people.CustomerSegmentsView.as_view(), name="customer_segments"),
    path("v1/unsubscribe/<str:token>", unsubscribe, name="unsubscribe"),
    path("v1/schema", SpectacularAPIView.as_view(), name="schema"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    *[path(address.lstrip("/"), views.tracking_view(kind).as_view(), name=kind) for address, kind in MAIN.items()],
    path(EVENTS.lstrip("/"), views.CloudEventsView.as_view(), name="cloudevents"),
    path("v1/projects/<str:write_key>/settings", views.SettingsView.as_view(), name="client_settings"),
    *[
        path(address.lstrip("/"), views.AliasView.as_view())
        for address in (*PATHS, *RUDDER)
        if address not in MAIN and address != EVENTS
    ],
    path("ofrep/v1/evaluate/flags", ofrep.FlagsView.as_view(), name="evaluate_flags"),
    path("ofrep/v1/evaluate/flags/<path:key>", ofrep.FlagView.as_view(), name="evaluate_flag"),
    re_path(r"^ofrep/v1/evaluate/flags/(?P<key>[\s\S]+)\Z", ofrep.OddFlagView.as_view()),
    re_path("^(?:ofrep/)?v1/", views.nowhere),
]
