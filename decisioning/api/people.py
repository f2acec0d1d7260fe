"""Facts over REST: the catalogue of all, and one customer's facts and segments."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema

from rules.language.facts import built_in
from rules.models import Membership

from ..customers.models import Customer, Identity
from ..flows.contract import Refused
from ..store import catalogue
from .reading import NUL, TAGS, UNCHANGED, Reading, answered
from .schema import CUSTOMER_FACTS, CUSTOMER_SEGMENTS, FACTS
from .views import AWAY, ERRORS, KEY


def customer_of(customer_id: str) -> Customer:
    """The customer whom decisions call so: by key or by user id, with whoever they became part of. Raises Refused."""
    if NUL in customer_id:
        raise unknown(customer_id)
    named = Identity.objects.filter(kind=Identity.Kind.USER, value=customer_id).values("customer_id")
    rows = Customer.objects.select_related("merged_into")
    found = rows.filter(key=customer_id).first() or rows.filter(pk__in=named).first()
    if found is None:
        raise unknown(customer_id)
    return found.merged_into or found


def unknown(customer_id: str) -> Refused:
    """The refusal of an id that nobody has."""
    return Refused(404, "unknown_customer", f"No customer has the id {customer_id[:200]!r}.")


class FactsView(Reading):
    @extend_schema(
        operation_id="list_facts",
        summary="The catalogue of facts",
        parameters=TAGS,
        responses={200: OpenApiResponse(FACTS, "By name."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        """What rules, segments and templates may name. Those `of` the moment come with a request."""
        known = catalogue.current().facts
        moment = {*catalogue.CONTEXT_FACTS, *built_in()}
        facts: list[dict[str, Any]] = [
            {
                "name": name,
                "type": one.type,
                "label": one.label or name,
                "description": one.description,
                "of": "moment" if name in moment else "customer",
            }
            for name, one in sorted(known.items())
        ]
        return answered(request, {"facts": facts})


class CustomerFactsView(Reading):
    @extend_schema(
        operation_id="read_customer_facts",
        summary="A customer's facts",
        parameters=TAGS,
        responses={200: OpenApiResponse(CUSTOMER_FACTS, "As stored."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest, customer_id: str) -> HttpResponse:
        """Those that are known, as of `facts_at`."""
        one = customer_of(customer_id)
        return answered(request, {"customer_id": one.key, "facts_at": one.facts_at, "facts": one.facts})


class CustomerSegmentsView(Reading):
    @extend_schema(
        operation_id="list_customer_segments",
        summary="The segments a customer is in",
        parameters=TAGS,
        responses={200: OpenApiResponse(CUSTOMER_SEGMENTS, "By key."), **UNCHANGED, **ERRORS, **AWAY},
        auth=KEY,
    )
    def get(self, request: HttpRequest, customer_id: str) -> HttpResponse:
        """Those that are active, with when and why they entered."""
        one = customer_of(customer_id)
        stays = Membership.objects.filter(customer=one, left_at__isnull=True, segment__active=True)
        segments = [
            {
                "key": stay.segment.key,
                "name": stay.segment.name,
                "entered_at": stay.entered_at,
                "how": stay.entered_how,
                "by": stay.entered_by,
            }
            for stay in stays.select_related("segment").order_by("segment__key")
        ]
        return answered(request, {"customer_id": one.key, "segments": segments})
