"""All facts there are in; the entries of the catalogue that people look at, by theme, out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse

from decisioning.console.fact_uses import Use, uses_of_facts
from decisioning.flows.describe import MOMENT, SCORE
from decisioning.store.catalogue import CONTEXT_FACTS, holders
from rules.models import Segment

from .. import profile
from ..facts import custom, defining, histories
from ..facts.catalogue import built_in_facts, learnt_facts
from ..facts.formulas import BuiltIn
from ..models import Customer, CustomFact, Distribution
from .pictures import Picture, small

OWN, ASKED, TOLD = "Custom facts", "Histories that rules ask for", "Told by the customer (traits)"
OF_REQUESTS, STAYS, SCORES = "Of the moment, from the request", "Memberships", "Scores"
# By the table that a fact is computed from: where people look for it, and which events it is made of.
SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "DAYS": ("Activity", "whatever the customer does"),
    "SESSIONS": ("Activity", "whatever the customer does, with gaps below 30 minutes"),
    "EVENTS": ("Activity", "all events"),
    "ORDERS": ("Orders and money", "Order Completed"),
    "REDEMPTIONS": ("Coupons and campaigns", "Coupon Redeemed"),
    "NAMES": ("Events and responses", "the events that its label names"),
    "DEPARTMENTS": ("Tastes", "the products of Order Completed"),
    "CATEGORIES": ("Tastes", "the products of Order Completed"),
    "BRANDS": ("Tastes", "the products of Order Completed"),
    "BASKETS": ("Baskets, searches and views", "Product Added, Product Removed, Cart Viewed, Order Completed"),
    "CHECKOUTS": ("Baskets, searches and views", "Checkout Started, Order Completed"),
    "SEARCHES": ("Baskets, searches and views", "Products Searched"),
    "CLICKS": ("Events and responses", "Content Clicked"),
    "CONSENTS": ("Events and responses", "what was written down of consents and refusals"),
    "VIEWS": ("Baskets, searches and views", "Product Viewed"),
    "PLACES": ("Devices and places", "the context of events"),
    "DEVICES": ("Devices and places", "the context of events"),
    "COUNTRIES": ("Devices and places", "the context of events"),
    "FACTS": ("Compared and combined", "other facts"),
    "TRAITS": (TOLD, "identify"),
}
OTHER: Final = ("Other facts", "events")
ORDER: Final = (OWN, *dict.fromkeys(theme for theme, _ in SOURCES.values() if theme != TOLD), OTHER[0], TOLD, ASKED,
                STAYS, SCORES, OF_REQUESTS)  # fmt: skip
WINDOW: Final = re.compile(r"_(\d+)d$")
TYPES: Final = {"text_list": "texts", "number_list": "numbers", "boolean": "yes or no"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact: what it is, who has it, how its values are distributed, who uses it."""

    name: str
    label: str
    description: str
    type: str
    theme: str
    source: str = ""
    page: str = ""
    distribution: Distribution | None = None
    coverage: float | None = None
    uses: list[Use] = field(default_factory=list)
    learnable: bool = False
    row: CustomFact | None = None
    clash: str = ""

    @property
    def shown_type(self) -> str:
        """The type for people."""
        return TYPES.get(self.type, self.type)

    @property
    def percent(self) -> float | None:
        """Who has it, of all."""
        return None if self.coverage is None else 100 * self.coverage

    @property
    def picture(self) -> Picture | None:
        """The small picture of its distribution."""
        return small(self.distribution)

    @property
    def window(self) -> str:
        """How far it looks back, where its name says so."""
        found = WINDOW.search(self.name)
        return f"the last {found[1]} days" if found else ""

    @property
    def learnt(self) -> list[Use]:
        """Scorers and clusterings that learned from it."""
        return [use for use in self.uses if use.learnt]

    @property
    def state(self) -> str:
        """Of a custom fact: how its draft stands."""
        return defining.state_of(self.row) if self.row else ""


def page_of(name: str) -> str:
    """The address of a fact's page."""
    return reverse("admin:customers_customfact_fact", args=[name])


def entries() -> dict[str, Entry]:
    """Every fact by its name; those of requests and scores by their name behind `MOMENT` and `SCORE`."""
    known = {row.name: row for row in Distribution.objects.all()}
    uses, words = uses_of_facts(), profile.vocabulary()
    learnable = {*learnt_facts(words), *custom.learnt(defining.published())}
    found = [
        *_custom(holders(words)),
        *map(_built_in, built_in_facts(words)),
        *_histories(),
        *_moments(),
        *_scores(known),
    ]
    everything: dict[str, Entry] = {}
    for entry in found:
        everything.setdefault(entry.name, _completed(entry, known, uses, learnable))
    return everything | {entry.name: entry for entry in _stays(uses)}


def _completed(
    entry: Entry, known: Mapping[str, Distribution], uses: Mapping[str, list[Use]], learnable: Iterable[str]
) -> Entry:
    row = known.get(entry.name)
    asked = entry.name.removeprefix(MOMENT)
    told: dict[str, Any] = {name: getattr(entry, name) for name in Entry.__slots__}
    told |= {
        "page": entry.page or page_of(entry.name),
        "distribution": row,
        "coverage": row.coverage if row else None,
        "uses": uses.get(asked, []),
        "learnable": entry.name in learnable,
    }
    return Entry(**told)


def _custom(taken: Mapping[str, str]) -> Iterable[Entry]:
    """Those that people defined, drafts among them."""
    for row in CustomFact.objects.order_by("name"):
        page = reverse("admin:customers_customfact_change", args=[row.pk])
        told = row.published_text or row.text
        yield Entry(
            row.name, row.label, row.description, row.type, OWN, told, page, row=row, clash=taken.get(row.name, "")
        )


def _built_in(fact: BuiltIn) -> Entry:
    theme, source = SOURCES.get(fact.source.name, OTHER)
    return Entry(fact.name, fact.label, fact.description, fact.type, theme, source)


def _histories() -> Iterable[Entry]:
    """What published texts ask for: each is a fact that is named by its text."""
    inner = histories.customs().inner
    for text in histories.wanted():
        if text not in inner:
            yield Entry(text, "", "Computed for as long as a published text asks for it.", "", ASKED, text)


def _moments() -> Iterable[Entry]:
    for name, fact in CONTEXT_FACTS.items():
        yield Entry(MOMENT + name, fact.label, fact.description, fact.type, OF_REQUESTS, "the request's context")


def _scores(known: Mapping[str, Distribution]) -> Iterable[Entry]:
    for name in sorted(known):
        if name.startswith(SCORE):
            label = f"Chance of {name.removeprefix(SCORE)}"
            yield Entry(name, label, "The chance that the content converts.", "number", SCORES, "the active scorer")


def _stays(uses: Mapping[str, list[Use]]) -> Iterable[Entry]:
    """The segments: everybody is in or out."""
    total = Customer.objects.filter(merged_into__isnull=True).count()
    told = "The keys of the segments the customer is in."
    readers = [*uses.get("segments", []), *uses.get("customer_segment", [])]
    yield Entry("segments", "Segments", told, "text_list", STAYS, "memberships", uses=readers)
    for segment in Segment.objects.filter(active=True).order_by("name"):
        page = reverse("admin:rules_segment_change", args=[segment.pk])
        share = segment.size / total if total else None
        text = segment.description or segment.get_kind_display()
        yield Entry(f"segment {segment.key}", segment.name, text, "boolean", STAYS, page=page, coverage=share)


# -- what is asked for


def listed(request: HttpRequest) -> dict[str, Any]:
    """What the catalogue's page shows: the entries that fit the search, by theme."""
    asked = {name: request.GET.get(name, "").strip() for name in ("q", "type", "only")}
    everything = entries()
    found = [entry for entry in everything.values() if _fits(entry, **asked)]
    themes = [(theme, [entry for entry in found if entry.theme == theme]) for theme in ORDER]
    newest = Distribution.objects.order_by("-at").first()
    return {
        "themes": [(theme, mine) for theme, mine in themes if mine],
        "number": len(found),
        "total": len(everything),
        "asked": asked,
        "searching": any(asked.values()),
        "types": sorted({entry.shown_type for entry in everything.values() if entry.type}),
        "only": ONLY,
        "counted": newest,
        "clashes": [entry for entry in everything.values() if entry.clash and entry.state != defining.State.DRAFT],
    }


ONLY: Final = {"used": "in use", "unused": "not in use", "learnt": "learned from", "empty": "that nobody has"}


def _fits(entry: Entry, q: str, type: str, only: str) -> bool:
    text = f"{entry.name} {entry.label} {entry.description}".casefold()
    if not all(word in text for word in q.casefold().split()) or (type and entry.shown_type != type):
        return False
    return {
        "used": bool(entry.uses),
        "unused": not entry.uses,
        "learnt": bool(entry.learnt),
        "empty": entry.coverage == 0,
    }.get(only, True)
