"""A segment and a customer in; why the customer is in it or not, test by test, out: a page."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from decisioning.config import clock
from decisioning.console.tables import shown
from decisioning.customers.admin.finding import find
from decisioning.customers.models import Customer, Identity
from decisioning.learning.clusters import Clusters
from decisioning.store import catalogue, clusters

from .. import history
from ..language import explain, matches
from ..language.facts import Catalogue
from ..language.nodes import Condition, Named, Test, leaves
from ..models import ListEntry, Membership, Segment
from .linked import parsed
from .needed import needed
from .words import Told, told

CANDIDATES = 20


def may_look(request: HttpRequest, *models: str) -> None:
    """Raise PermissionDenied for people who may not see rows of all of these models ("rules.segment")."""
    for model in models:
        app, name = model.split(".")
        if not any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change")):
            raise PermissionDenied


def why(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """The page; `customer` is a key or `q` a term to find one by."""
    may_look(request, "rules.segment", "customers.customer")
    segment = get_object_or_404(Segment, pk=pk)
    base = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, "original": segment}
    key, term = (request.GET.get(name, "").replace("\x00", "").strip() for name in ("customer", "q"))
    if not key:
        found = _candidates(term)
        if len(found) == 1:
            return redirect(why_url(segment.pk, found[0].key))
        page = {"title": f"Why is somebody in {segment} or not?", "term": term, "found": found}
        return TemplateResponse(request, "admin/segments/ask.html", {**base, **page})
    customer = get_object_or_404(Customer.objects.select_related("merged_into"), key=key)
    if customer.merged_into is not None:
        return redirect(why_url(segment.pk, customer.merged_into.key))
    return TemplateResponse(request, "admin/segments/why.html", {**base, **answer(segment, customer, clock.now())})


def why_url(segment: int, key: str) -> str:
    """The page about this customer and segment."""
    page = reverse("admin:rules_segment_why", args=[segment], query={"customer": key})
    return page


def _candidates(term: str) -> list[Customer]:
    ids = find(term).ids[:CANDIDATES] if term else ()
    rows = Customer.objects.filter(merged_into__isnull=True).defer("facts", "traits")
    by_id = rows.prefetch_related("identities").in_bulk(ids)
    return [by_id[pk] for pk in ids if pk in by_id]


def answer(segment: Segment, customer: Customer, now: datetime) -> dict[str, Any]:
    """What the page shows."""
    stays = history.of_customers(segment.pk, [customer.pk])
    inside = any(stay.left_at is None for stay in stays)
    known = catalogue.current()
    kinds = {
        Segment.Kind.CONDITION: _by_condition,
        Segment.Kind.CLUSTER: _by_cluster,
        Segment.Kind.LIST: _by_list,
    }
    reason = kinds[Segment.Kind(segment.kind)](segment, customer, inside, now, known)
    return {
        "title": f"Why is {customer} {'in' if inside else 'not in'} {segment}?",
        "customer": customer,
        "inside": inside,
        "stays": [_stay(stay, now) for stay in stays],
        "now": now,
        **reason,
    }


def _stay(stay: Membership, now: datetime) -> dict[str, Any]:
    entered = told(stay.entered_how, stay.entered_by)
    left: Told | None = told(stay.left_how, stay.left_by) if stay.left_at else None
    return {"stay": stay, "entered": entered, "left": left, "until": stay.left_at or now}


def facts_of(customer: Customer) -> dict[str, Any]:
    """What conditions read of a customer: facts as stored, the segments they are in, what chances draw by."""
    stays = Membership.objects.filter(customer=customer, left_at__isnull=True, segment__active=True)
    pairs = sorted(stays.values_list("segment__key", "segment__name"))
    keys = [key for key, _ in pairs]
    names = [name for _, name in pairs]
    unit = customer.unit or customer.key
    return {**customer.facts, "customer_id": unit, "segments": keys, "customer_segment": keys + names}


def _by_condition(
    segment: Segment, customer: Customer, inside: bool, now: datetime, known: Catalogue
) -> dict[str, Any]:
    condition = parsed(segment)
    if condition is None:
        return {"unreadable": True}
    facts = facts_of(customer)
    holds = matches(condition, facts, now)
    labels = {name: fact.label for name, fact in known.facts.items() if fact.label}
    return {
        "tree": _labelled(explain(condition, facts, now), labels),
        "holds": holds,
        "differs": holds != inside,
        "need": needed(condition, facts, now, not holds, labels),
        "of_the_moment": sorted(_names(condition) & catalogue.CONTEXT_FACTS.keys() - customer.facts.keys()),
    }


def _names(condition: Condition) -> set[str]:
    """The facts that its tests are about."""
    tests = [leaf for leaf in leaves(condition) if isinstance(leaf, Test)]
    return {test.operand.name for test in tests if isinstance(test.operand, Named)}


def _labelled(tree: dict[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """The explained condition with what people call each fact, and values as short texts."""
    if "parts" in tree:
        return {**tree, "parts": [_labelled(part, labels) for part in tree["parts"]]}
    compared = {"compared": shown(tree["compared_with"])} if "compared_with" in tree else {}
    return {**tree, **compared, "label": labels.get(tree["fact"], ""), "shown": shown(tree["value"])}


def _by_cluster(segment: Segment, customer: Customer, inside: bool, now: datetime, known: Catalogue) -> dict[str, Any]:
    found = clusters.current()
    if found is None or not customer.facts_at:
        return {"unclustered": True}
    table = distances(found, customer.facts)
    keys = [clusters.segment_key(one) for one in found.clusters]
    names = dict(Segment.objects.filter(key__in=keys).values_list("key", "name"))
    order = np.argsort([table["whole"][place] for place in range(len(keys))])
    columns = [
        {
            "name": names.get(keys[place], found.clusters[place].name),
            "mine": keys[place] == segment.key,
            "distance": float(np.sqrt(table["whole"][place])),
        }
        for place in order
    ]
    rows = [
        {
            "label": known.facts[name].label if name in known.facts else name,
            "value": shown(customer.facts.get(name)),
            "parts": [float(table["parts"][place][n]) for place in order],
            "most": max(float(part[n]) for part in table["parts"]),
        }
        for n, name in enumerate(found.facts)
    ]
    nearest = keys[int(order[0])]
    return {
        "columns": columns,
        "rows": rows,
        "differs": (nearest == segment.key) != inside,
        "gone": segment.key not in keys,
    }


def distances(found: Clusters, facts: Mapping[str, Any]) -> dict[str, Any]:
    """For each cluster its nearest centre's squared distance (`whole`), and what each fact adds to it (`parts`).

    In standard deviations, on the scale that was clustered.
    """
    scaler = found.scaler
    scaled = (np.array(scaler.moved_one(facts)) - np.array(scaler.mean)) / np.array(scaler.scale)
    squares = (np.array(found.centres) - scaled) ** 2
    owners = np.array(found.owners)
    best = []
    for place in range(len(found.clusters)):
        mine = squares[owners == place]
        best.append(mine[mine.sum(axis=1).argmin()])
    return {"parts": best, "whole": [float(part.sum()) for part in best]}


def _by_list(segment: Segment, customer: Customer, inside: bool, now: datetime, known: Catalogue) -> dict[str, Any]:
    pairs = list(Identity.objects.filter(customer=customer).values_list("kind", "value"))
    mine = Q()
    for kind, value in pairs:
        mine |= Q(kind=kind, value=value)
    entries = list(ListEntry.objects.filter(mine, segment=segment).order_by("at", "pk")) if pairs else []
    return {"entries": entries, "looked_for": pairs, "differs": bool(entries) != inside}
