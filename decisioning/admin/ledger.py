"""The ledger's rows; a page that says why a customer got what they got, out."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.text import Truncator
from unfold.decorators import display

from campaigns.models import Content
from decisioning.console.pages import ReadOnly
from decisioning.console.tables import rows_of, shown
from decisioning.customers.models import Customer
from decisioning.models import Decision, Outcome
from rules.models import Rule

RUNG_COLOURS = {
    "full": "success",
    "rules+model": "success",
    "rules+prior": "info",
    "rules": "warning",
    "default": "danger",
}


class RungFilter(admin.SimpleListFilter):
    """By the rung of the ladder that answered."""

    title = "rung"
    parameter_name = "rung"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every rung, whether or not it occurs: no scan of the ledger."""
        return [(rung, rung) for rung in RUNG_COLOURS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Decision]) -> QuerySet[Decision]:
        """The decisions of the chosen rung."""
        return queryset.filter(rung=self.value()) if self.value() else queryset


@admin.register(Decision)
class DecisionAdmin(ReadOnly):
    """Every decision with its reasons."""

    change_form_template = "admin/decisioning/decision.html"
    fieldsets: Any = [(None, {"fields": []})]
    list_display = ["when", "customer_key", "placement", "chosen", "shown_rung", "reason", "source"]
    list_display_links = ["when", "chosen"]
    list_filter = [RungFilter, "source", "reason"]
    search_fields = ["id"]
    search_help_text = "A customer, rule or content by its whole key, or a decision's id"
    ordering = ["-at"]
    list_per_page = 50

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Decision], search_term: str
    ) -> tuple[QuerySet[Decision], bool]:
        """Whole keys only: the ledger is too long to be searched for parts of words."""
        return (queryset.filter(_about(search_term.strip())) if search_term.strip() else queryset), False

    @display(description="When (UTC)", ordering="at")
    def when(self, decision: Decision) -> str:
        """To the second: a page asks for several placements at once."""
        return f"{decision.at:%-d %b %Y, %H:%M:%S}"

    @display(description="Contents")
    def chosen(self, decision: Decision) -> str:
        """The chosen contents, first one first."""
        return ", ".join(str(item.get("key", "")) for item in decision.items) or "nothing"

    @display(description="Rung", label=RUNG_COLOURS, ordering="rung")
    def shown_rung(self, decision: Decision) -> str:
        """How far down the ladder it fell."""
        return decision.rung

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The decision, told from the answer backwards."""
        decision = self.get_object(request, object_id)
        story = _story(decision) if decision else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **story})


def _about(term: str) -> Q:
    """The decisions a term can mean: one by id, a customer's, or those a rule or content took part in."""
    try:
        return Q(pk=UUID(term))
    except ValueError:
        pass
    customer = Customer.objects.filter(key=term).values_list("pk", flat=True).first()
    if customer is not None:
        return Q(customer_id=customer)
    found = Q(customer_key=term)
    if Rule.objects.filter(key=term).exists():
        found |= Q(explanation__contains={"rules": [{"key": term}]})
    if Content.objects.filter(key=term).exists():
        found |= Q(items__contains=[{"key": term}])
    return found


def _story(decision: Decision) -> dict[str, Any]:
    """What the page shows of one decision; its JSON is read leniently: old rows stay readable."""
    told = decision.explanation
    rules, dropped = told.get("rules", []), told.get("dropped", {})
    contents = _known(Content, {item.get("key") for item in decision.items} | set(dropped))
    known = _known(Rule, {rule.get("key") for rule in rules})
    return {
        "chosen": [_chosen(item, contents) for item in decision.items],
        "rules": [{**rule, **known.get(rule.get("key"), {}), "tests": _tests(rule.get("tests"))} for rule in rules],
        "dropped": _by_reason(dropped, contents),
        "started": told.get("campaigns", []),
        "in_segments": told.get("segments", []),
        "facts": rows_of(decision.facts),
        "moment": rows_of(decision.context),
        "outcomes": Outcome.objects.filter(decision_id=decision.pk).order_by("at"),
        "customer_url": _customer_url(decision.customer_id),
        "rung_colour": RUNG_COLOURS.get(decision.rung, "info"),
    }


def _chosen(item: dict[str, Any], contents: dict[Any, dict[str, str]]) -> dict[str, Any]:
    numbers = {name: shown(item.get(name)) for name in ("score", "propensity")}
    return {**item, **numbers, **contents.get(item.get("key"), {})}


def _by_reason(dropped: dict[str, str], contents: dict[Any, dict[str, str]]) -> list[dict[str, Any]]:
    """The contents not chosen under the reason they share; the rarest reason first, as it says most."""
    groups: dict[str, list[dict[str, str]]] = {}
    for key, why in sorted(dropped.items()):
        groups.setdefault(why, []).append({"key": key, **contents.get(key, {})})
    return [{"why": why, "contents": group} for why, group in sorted(groups.items(), key=lambda pair: len(pair[1]))]


def _known(model: type[Content] | type[Rule], keys: set[Any]) -> dict[Any, dict[str, str]]:
    """Name and admin page of each row that still exists, by key."""
    page = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    rows = model.objects.filter(key__in=keys).values_list("key", "name", "pk")
    return {key: {"name": name, "url": reverse(page, args=[pk])} for key, name, pk in rows}


def _customer_url(customer_id: int | None) -> str | None:
    if customer_id is None or not Customer.objects.filter(pk=customer_id).exists():
        return None
    return reverse("admin:customers_customer_change", args=[customer_id])


LONGEST_VALUE = 60
GROUPS = {"AND": "all of", "OR": "any of", "NOT": "not"}


def _tests(tree: Any, depth: int = 0) -> list[dict[str, Any]]:
    """The tests of a rule's condition as lines: text, value seen, result; groups indent what they hold."""
    if not isinstance(tree, dict):
        return []
    group = GROUPS.get(tree.get("group", ""))
    seen = "" if group else tree.get("why") or Truncator(shown(tree.get("value"))).chars(LONGEST_VALUE)
    line = {
        "text": group or tree.get("text", ""),
        "seen": seen,
        "result": tree.get("result"),
        "indent": depth * 16,
    }
    return [line, *(each for part in tree.get("parts", []) for each in _tests(part, depth + 1))]
