"""A cookie, words or a segment in; the customer a visitor has become, or customers to become, out."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase

from rules.models import Membership, Segment

from ..customers.models import Customer, Identity
from ..store import catalogue

COOKIE = "shop_customer"
SHOWN, OF_A_SEGMENT = 24, 6
TRAITS = ("age", "household_comp", "income", "home_ownership")
# What moves as a visitor looks, fills the basket and buys.
WATCHED = (
    "products_viewed_7d",
    "basket_products",
    "basket_value",
    "orders_30d",
    "recency_days",
    "spend_90d",
    "average_order_value",
    "coupon_redemptions_365d",
    "favourite_department",
)
# What nobody bought with or looked around with yet says little about a person.
KNOWN = Q(merged_into__isnull=True) & Q(facts_at__isnull=False)


def current(request: HttpRequest) -> Customer | None:
    """Whom the visitor has become; None for somebody anonymous."""
    key = request.COOKIES.get(COOKIE, "")
    return find(key) if key else None


def find(key: str) -> Customer | None:
    """A customer by key, or whom they were merged into."""
    one = Customer.objects.select_related("merged_into").filter(key=key[:220]).first()
    return (one.merged_into or one) if one else None


def keep(response: HttpResponseBase, customer: Customer | None) -> None:
    """Remember whom the visitor is."""
    if customer is None:
        response.delete_cookie(COOKIE, samesite="Lax")
    else:
        response.set_cookie(COOKIE, customer.key, httponly=True, samesite="Lax")


def search(words: str) -> list[dict[str, Any]]:
    """Customers whose key, or one of whose traits, has all these words; the best known ones first."""
    found = Customer.objects.filter(KNOWN)
    for word in words.split()[:5]:
        found = found.filter(Q(key__istartswith=word) | Q(traits__icontains=word))
    return cards(found.order_by("pk")[:SHOWN])


def by_segment() -> list[dict[str, Any]]:
    """Segments that have members, with a few of each: somebody worth becoming, for every rule there is."""
    groups = []
    for segment in Segment.objects.filter(active=True, size__gt=0).order_by("name"):
        inside = Membership.objects.filter(segment=segment, left_at__isnull=True, customer__merged_into__isnull=True)
        people = Customer.objects.filter(KNOWN, pk__in=inside.order_by("customer_id").values("customer_id")[:200])
        groups.append({"segment": segment, "people": cards(people.order_by("pk")[:OF_A_SEGMENT])})
    return [group for group in groups if group["people"]]


def cards(people: QuerySet[Customer]) -> list[dict[str, Any]]:
    """What a card shows of each: key, a line of traits, and a few facts."""
    return [
        {
            "key": one.key,
            "about": ", ".join(str(one.traits[name]) for name in TRAITS if one.traits.get(name)) or "no traits known",
            "orders": one.facts.get("orders_365d") or 0,
            "spend": one.facts.get("spend_365d") or 0,
            "favourite": one.facts.get("favourite_department") or "",
        }
        for one in people
    ]


def whose(request: HttpRequest) -> Customer | None:
    """The customer of the page that asks: whom it has become, or whom its anonymous id belongs to by now."""
    if COOKIE in request.COOKIES:
        return current(request)
    value = request.GET.get("anonymous_id", "")[:200]
    named = Identity.objects.filter(kind=Identity.Kind.ANONYMOUS, value=value).select_related("customer__merged_into")
    one = named.first()
    return (one.customer.merged_into or one.customer) if one else None


def state(one: Customer | None) -> dict[str, Any]:
    """What the strip at the top shows of a visitor; nothing is known of somebody who only just came."""
    if one is None:
        return {"key": None, "version": 0, "facts": [], "segments": []}
    known = catalogue.current().facts
    stays = Membership.objects.filter(customer=one, left_at__isnull=True, segment__active=True)
    return {
        "key": one.key,
        "version": one.facts_version,
        "facts": [
            {"name": name, "label": known[name].label or name, "value": one.facts[name]}
            for name in WATCHED
            if name in known and one.facts.get(name) is not None
        ],
        "segments": [
            {"key": stay.segment.key, "name": stay.segment.name, "by": stay.entered_by}
            for stay in stays.select_related("segment").order_by("entered_at", "segment__key")
        ],
    }
