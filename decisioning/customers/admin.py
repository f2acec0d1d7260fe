"""One customer's rows in; a page to read, with traits, facts, segments, events and decisions, out."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import Truncator
from unfold.decorators import display

from decisioning.config import clock
from decisioning.console.pages import ReadOnly
from decisioning.console.tables import rows_of
from decisioning.models import Decision
from decisioning.store import catalogue

from .models import Customer

LATEST, LONGEST_TEXT = 20, 160


@admin.register(Customer)
class CustomerAdmin(ReadOnly):
    """Everything known about one person."""

    change_form_template = "admin/customers/customer.html"
    fieldsets: Any = [(None, {"fields": []})]
    list_display = ["key", "in_segments", "facts_at", "created_at"]
    list_filter = ["memberships__segment"]
    search_fields = ["=key", "=identities__value"]
    search_help_text = "A key, user id, anonymous id or e-mail address, whole"
    ordering = ["id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        """With the segments of the list's rows; the traits and facts are read on the customer's own page."""
        return super().get_queryset(request).prefetch_related("memberships__segment")

    @display(description="Segments")
    def in_segments(self, customer: Customer) -> str:
        """The segments the customer is in now."""
        return ", ".join(sorted(str(stay.segment) for stay in customer.memberships.all() if stay.left_at is None))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The customer, told from the newest backwards."""
        customer = self.get_object(request, object_id)
        story = _story(customer) if customer else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **story})


def _story(customer: Customer) -> dict[str, Any]:
    """What the page shows of one customer."""
    labels = {name: fact.label for name, fact in catalogue.current().facts.items()}
    return {
        "product_now": clock.now(),
        "traits": rows_of(customer.traits),
        "facts": rows_of(customer.facts, labels),
        "identities": customer.identities.order_by("kind", "value"),
        "consents": customer.consents.order_by("channel"),
        "stays": customer.memberships.select_related("segment").order_by("left_at", "-entered_at")[:LATEST],
        "events": [
            {"row": event, "told": Truncator(json.dumps(event.properties, ensure_ascii=False)).chars(LONGEST_TEXT)}
            for event in customer.events.order_by("-timestamp")[:LATEST]
        ],
        "decisions": Decision.objects.filter(customer_id=customer.pk).order_by("-at")[:LATEST],
        "messages_owed": customer.messages.select_related("campaign").order_by("-id")[:LATEST],
        "latest": LATEST,
    }
