"""Customers in; a list that any identifier searches, and a page about each of them, out."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Case, Exists, IntegerField, OuterRef, Prefetch, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from unfold.decorators import display

from decisioning.console.pages import ReadOnly
from rules.models import Membership, Segment

from ..models import Customer, Identity
from . import what_if
from .counting import Capped
from .finding import find
from .person import story
from .reading import customer_url
from .timeline import KINDS, Mark, page
from .uniting import Uniting

SHOWN, ENTRIES = 4, 100


class InSegment(admin.SimpleListFilter):
    """By a segment the customer is in now."""

    title = "segment"
    parameter_name = "segment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The active segments."""
        active = Segment.objects.filter(active=True).order_by("name")
        return [(str(pk), name) for pk, name in active.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Customer]) -> QuerySet[Customer]:
        """Those whose stay lasts."""
        chosen = self.value() or ""
        if not chosen.isdecimal():
            return queryset
        stays = Membership.objects.filter(segment_id=int(chosen), left_at__isnull=True)
        return queryset.filter(Exists(stays.filter(customer_id=OuterRef("pk"))))


@admin.register(Customer)
class CustomerAdmin(Uniting, ReadOnly):
    """Everything known about one person."""

    change_form_template = "admin/customers/customer.html"
    fieldsets: Any = [(None, {"fields": []})]
    list_display = ["key", "known_by", "in_segments", "facts_at", "created_at"]
    list_filter = [InSegment]
    search_fields = ["key"]
    search_help_text = "Any identifier or key, whole or its beginning"
    ordering = ["-id"]
    sortable_by = ()
    paginator = Capped
    list_per_page = 25
    list_max_show_all = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        """With what the list shows of its rows; who became part of somebody else is met by search alone."""
        rows = super().get_queryset(request).select_related("merged_into")
        if request.resolver_match and request.resolver_match.url_name != "customers_customer_changelist":
            return rows
        rows = rows.defer("traits", "facts", "merged_into__traits", "merged_into__facts")
        current = Membership.objects.filter(left_at__isnull=True).select_related("segment")
        identities = Identity.objects.order_by("id")[: SHOWN + 1]
        return rows.prefetch_related(
            Prefetch("memberships", current), Prefetch("identities", identities, to_attr="shown")
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Without the number of results above everybody: it is told, with its limit, below."""
        shown = super().get_changelist_instance(request)
        if not shown.query and not shown.has_active_filters:
            shown.full_result_count = shown.result_count
        return shown

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Customer], search_term: str
    ) -> tuple[QuerySet[Customer], bool]:
        """By index alone, the surest first."""
        if not search_term.strip():
            return queryset.filter(merged_into__isnull=True), False
        ids = find(search_term).ids
        place = Case(*(When(pk=pk, then=Value(n)) for n, pk in enumerate(ids)), output_field=IntegerField())
        found = queryset.filter(pk__in=ids)
        return (found.order_by(place) if ids else found), False

    @display(description="Known by")
    def known_by(self, customer: Customer) -> str:
        """A few identifiers; of a merged customer whom they are part of now."""
        if winner := customer.merged_into:
            return format_html('now part of <a class="console-link" href="{}">{}</a>', customer_url(winner.pk), winner)
        names = [str(identity) for identity in customer.shown]  # type: ignore[attr-defined]
        return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")

    @display(description="Segments")
    def in_segments(self, customer: Customer) -> str:
        """The segments the customer is in now."""
        return ", ".join(sorted(str(stay.segment) for stay in customer.memberships.all()))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The customer, told from the newest backwards."""
        customer = self.get_object(request, object_id)
        told = story(customer, request) if customer else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})

    def get_custom_urls(self) -> tuple[Any, ...]:
        """The whole timeline, what if, and what unites and parts customers."""
        return (
            ("<int:pk>/timeline/", "customers_customer_timeline", self.timeline),
            ("<int:pk>/what-if/", "customers_customer_what_if", self.what_if),
            *super().get_custom_urls(),
        )

    def what_if(self, request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
        """What the scorer would say if the customer were otherwise."""
        customer = self.seen(request, pk)
        return what_if.page(request, customer, {**self.admin_site.each_context(request), "opts": self.opts})

    def timeline(self, request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
        """Everything that happened with a customer, a page at a time."""
        customer = self.seen(request, pk)
        show = request.GET.get("show", "")
        text = request.GET.get("before", "")
        before = Mark.read(text)
        if (text and before is None) or (show and show not in KINDS):
            raise Http404("There is no such page of the timeline; open it from the customer's page.")
        entries, older = page(customer, show, before, ENTRIES)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": customer,
            "title": f"What happened with {customer}",
            "entries": entries,
            "older": older,
            "older_url": f"?{urlencode({'show': show, 'before': older} if show else {'before': older})}",
            "newest": f"?show={show}" if show else "?",
            "show": show,
            "before": text,
            "kinds": KINDS,
        }
        return TemplateResponse(request, "admin/customers/timeline.html", context)
