"""Learned things with their metrics, and snapshots, as pages to read; activating one asks and goes live."""

from typing import Any, Final

import msgspec
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display

from decisioning.console import card, gate, watched
from decisioning.console.pages import ReadOnly, confirm, go_live
from decisioning.console.tables import Row, figures_of, in_words, shown
from decisioning.customers import profile
from decisioning.customers.facts.catalogue import catalogue_facts
from decisioning.engine.types import SnapshotData
from decisioning.flows import promote, shadow, watch
from decisioning.learning.schema import FeatureSchema
from decisioning.learning.targets import TARGETS
from decisioning.models import Artefact, Snapshot
from decisioning.store import artefacts

from . import clustering, shadowing, training

CARD: Final = "card"
GATE: Final = "gate"
RETURNING: Final = (Artefact.Kind.SCORER, Artefact.Kind.RECALL)  # what goes back to its former one as it is


@admin.register(Artefact)
class ArtefactAdmin(shadowing.Shadowing, training.Training, ReadOnly):
    """Scorers and clusterings, with what was measured of them."""

    change_form_template = "admin/decisioning/artefact.html"
    fields = [
        *("kind", "active", "trained_at", "created_at", "since", "until", "schema_hash", "size"),
        *("parent", "former", "note", "shadow_since"),
    ]
    list_display = ["__str__", "kind", "active", "auc", "trained_at", "created_at"]
    list_filter = ["kind", "active"]
    ordering = ["-id"]
    actions_detail = ["activate", "rollback", "begin_shadow", "end_shadow"]
    custom_urls = (*clustering.URLS, ("training", "decisioning_artefact_training", training.state))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Artefact]:
        """Without the bytes, which no list needs."""
        return super().get_queryset(request).defer("data")

    def has_activate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change artefacts may choose the one that is used."""
        return request.user.has_perm("decisioning.change_artefact")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """The active one cannot be activated, and goes back to the scorer that it replaced; others may be shadows."""
        artefact = self.get_object(request, str(object_id))
        if artefact is None:
            return []
        scorer = artefact.kind == Artefact.Kind.SCORER
        beside = "end_shadow" if artefact.shadow_since else "begin_shadow"
        idle = ("activate", beside) if scorer else ("activate",)
        back = artefact.kind in RETURNING and artefact.former_id is not None
        used = ("rollback",) if back else ()
        wanted = used if artefact.active else idle
        found = super().get_actions_detail(request, object_id)
        return [each for each in found if str(each.action_name).endswith(wanted)]

    @display(description="AUC")
    def auc(self, artefact: Artefact) -> str:
        """The metric that says most about a scorer."""
        figures = artefact.metrics.get("figures", {})
        return shown(artefact.metrics.get("auc", figures.get("AUC", {}).get("value")))

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
        more: dict[str, Any] = {}
        if artefact:
            more = {
                "tables": _tables(artefact.metrics),
                "card": _card(artefact),
                "gate": gate.drawn(artefact.metrics.get(GATE), artefact.note, artefact.active),
                "watched": watched.drawn(artefact.metrics.get(watch.NAME), _labels(artefact)),
                "shadow": shadowing.shown(artefact),
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

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
                if shadowing.opened(artefact):
                    shadow.promote(artefact.pk)
                else:
                    artefacts.activate(artefact, f"by {request.user} in the admin")
            except ValueError as error:
                raise ValidationError(str(error)) from None
            go_live(request)
            return f"{artefact} is active."

        refused = f" The gate refused it: {artefact.metrics['refused']}." if artefact.metrics.get("refused") else ""
        if shadowing.opened(artefact):
            refused = " Asked with what it saw as a shadow, the gate lets it through."
        page = {
            "title": f"Activate {artefact}?",
            "text": f"It replaces the active {artefact.get_kind_display()} {_from_when(artefact)}.{refused}",
            "button": "Activate",
        }
        return confirm(self, request, page, do, reverse("admin:decisioning_artefact_change", args=[object_id]))

    @action(description="Go back to the former one", permissions=["activate"], icon="undo")
    def rollback(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then put what this one replaced back to work."""
        artefact = self.get_object(request, object_id)
        wanted = artefact is not None and artefact.active and artefact.kind in RETURNING
        if artefact is None or not wanted or artefact.former is None:
            raise Http404(f"Artefact {object_id} is not in use, or it replaced nothing.")

        def do() -> str:
            try:
                former = promote.rollback(artefact.kind)
            except ValueError as error:
                raise ValidationError(str(error)) from None
            go_live(request)
            return f"{former} is active again."

        page = {
            "title": f"Go back to {artefact.former}?",
            "text": f"It replaces {artefact} in every decision, as it did before.",
            "button": "Go back",
        }
        return confirm(self, request, page, do, reverse("admin:decisioning_artefact_changelist"))


def _from_when(artefact: Artefact) -> str:
    """When it is used where it is activated."""
    return "when customers are told next, once a day" if artefact.kind in TARGETS else "in every decision from now on"


def _card(artefact: Artefact) -> card.Drawing | None:
    """What the scorer's card shows, if one was made of it."""
    if CARD not in artefact.metrics:
        return None
    return card.drawn(artefact.metrics[CARD], _labels(artefact))


def _labels(artefact: Artefact) -> dict[str, str]:
    """What people call its features; nothing where that cannot be told."""
    if not {CARD, watch.NAME} & artefact.metrics.keys():
        return {}
    try:
        schema = FeatureSchema.from_dict(msgspec.json.decode(artefacts.read(artefact))["schema"])
    except ValueError:
        # Altered or unreadable: the figures still are what was measured.
        return {}
    facts = {name: fact.label for name, fact in catalogue_facts(profile.vocabulary()).items()}
    return card.labels_of(schema, facts)


def _tables(metrics: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    """The metrics as tables: plain ones first, then one for each group."""
    groups = {name: value for name, value in metrics.items() if isinstance(value, dict) and name != CARD}
    plain = {name: value for name, value in metrics.items() if name not in groups and name != CARD}
    for drawn in (GATE, watch.NAME, shadow.NAME):
        groups.pop(drawn, None)
    named = [(in_words(name), figures_of(group)) for name, group in groups.items()]
    return [table for table in [("Metrics", figures_of(plain)), *named] if table[1]]


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
