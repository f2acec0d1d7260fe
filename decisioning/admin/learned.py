"""Learned things with their metrics, and snapshots, as pages to read; activating one asks and goes live."""

from typing import Any

import msgspec
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display

from decisioning.console.pages import ReadOnly, confirm, go_live
from decisioning.console.tables import Row, rows_of, shown
from decisioning.engine.types import SnapshotData
from decisioning.models import Artefact, Snapshot
from decisioning.store import artefacts

from . import clustering


@admin.register(Artefact)
class ArtefactAdmin(ReadOnly):
    """Scorers and clusterings, with what was measured of them."""

    change_form_template = "admin/decisioning/artefact.html"
    fields = ["kind", "active", "trained_at", "created_at", "schema_hash", "size"]
    list_display = ["__str__", "kind", "active", "auc", "trained_at", "created_at"]
    list_filter = ["kind", "active"]
    ordering = ["-id"]
    actions_detail = ["activate"]
    custom_urls = clustering.URLS

    def get_queryset(self, request: HttpRequest) -> QuerySet[Artefact]:
        """Without the bytes, which no list needs."""
        return super().get_queryset(request).defer("data")

    def has_activate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change artefacts may choose the one that is used."""
        return request.user.has_perm("decisioning.change_artefact")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """The active one cannot be activated."""
        artefact = self.get_object(request, str(object_id))
        return [] if artefact is None or artefact.active else super().get_actions_detail(request, object_id)

    @display(description="AUC")
    def auc(self, artefact: Artefact) -> str:
        """The metric that says most about a scorer."""
        return shown(artefact.metrics.get("auc"))

    @display(description="Size")
    def size(self, artefact: Artefact) -> str:
        """How many bytes it has."""
        return f"{len(artefact.data) / 1024:,.1f} KiB"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the metrics as tables."""
        artefact = self.get_object(request, object_id)
        tables = _tables(artefact.metrics) if artefact else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "tables": tables})

    @action(description="Activate", permissions=["activate"], icon="check_circle")
    def activate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then put this one to work in place of the other of its kind."""
        artefact = self.get_object(request, object_id)
        if artefact is None:
            raise Http404(f"There is no artefact {object_id}.")
        if artefact.kind == Artefact.Kind.CLUSTERING:
            # Its clusters become segments, and everybody moves.
            return redirect("admin:decisioning_artefact_clustering_adopt", artefact.pk)

        def do() -> str:
            try:
                artefacts.activate(artefact)
            except artefacts.Tampered as error:
                raise ValidationError(str(error)) from None
            go_live(request)
            return f"{artefact} is active."

        page = {
            "title": f"Activate {artefact}?",
            "text": f"It replaces the active {artefact.get_kind_display()} in every decision.",
            "button": "Activate",
        }
        return confirm(self, request, page, do, reverse("admin:decisioning_artefact_change", args=[object_id]))


def _tables(metrics: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    """The metrics as tables: plain ones first, then one for each group."""
    groups = {name: value for name, value in metrics.items() if isinstance(value, dict)}
    plain = {name: value for name, value in metrics.items() if name not in groups}
    named = [(name.capitalize(), rows_of(group)) for name, group in groups.items()]
    return [table for table in [("Metrics", rows_of(plain)), *named] if table[1]]


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly):
    """What decisions were made with, by number."""

    fields = ["number", "built_at", "digest", "holds", "rules"]
    list_display = ["__str__", "built_at", "digest"]
    ordering = ["-number"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """Without the bytes, which no list needs."""
        return super().get_queryset(request).defer("data")

    @display(description="Holds")
    def holds(self, row: Snapshot) -> str:
        """How much of everything is frozen in it."""
        data = _read(row)
        counts = {
            "rules": len(data.rules),
            "contents": len(data.contents),
            "placements": len(data.placements),
            "segments": len(data.segments),
        }
        scorer = f"scorer {data.scorer.version}" if data.scorer else "no scorer"
        return ", ".join([*(f"{count:,} {name}" for name, count in counts.items()), scorer])

    @display(description="Rules")
    def rules(self, row: Snapshot) -> str:
        """The rules with their revision and text."""
        texts = [
            f"{rule.key} (revision {rule.revision}, priority {rule.priority})\n{rule.text}" for rule in _read(row).rules
        ]
        return format_html('<pre class="console-code">{}</pre>', "\n\n".join(texts) or "none")


def _read(row: Snapshot) -> SnapshotData:
    return msgspec.msgpack.decode(bytes(row.data), type=SnapshotData)
