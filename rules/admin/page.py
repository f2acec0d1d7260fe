"""A segment in; what its page tells above the form, out: size, state, members, movements, uses, and who they are."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse

from decisioning.config import clock
from decisioning.console.tables import shown
from decisioning.customers.models import Customer, Identity
from decisioning.models import Artefact
from decisioning.store import catalogue

from .. import curves, history, lists
from ..language.lookup import fact_of
from ..language.nodes import Named, Test, leaves
from ..language.printer import operand_text
from ..models import Membership, Segment
from .computing import lasting, states
from .drawing import signed, size_chart
from .linked import built_on, parsed, uses
from .words import told

SAMPLE: Final = 10
LATEST: Final = 10
FACTS: Final = 4  # columns of the sample
TELLING: Final = 6  # facts of a cluster's profile
DAY, WEEK = timedelta(days=1), timedelta(days=7)


def told_of(segment: Segment, request: HttpRequest) -> dict[str, Any]:
    """What the template knows, by name."""
    now = clock.now()
    reach = request.GET.get("chart", "")
    reach = reach if reach in curves.REACHES else "days"
    points = curves.curve(segment, curves.REACHES[reach], now)
    size = points[-1].size or 0
    cluster = cluster_of(segment)
    state = states([segment])[segment.pk]
    used = uses([segment])[segment.pk]
    may_look = request.user.has_perm("customers.view_customer") or request.user.has_perm("customers.change_customer")
    may_change = request.user.has_perm("rules.change_segment")
    may_export, may_import = may_look and may_change, may_change and segment.kind == Segment.Kind.LIST
    return {
        "product_now": now,
        "size": size,
        "changes": changes(segment, size, now),
        "reaches": curves.REACHES,
        "reach": reach,
        "reach_words": curves.REACHES[reach].words,
        "points": points,
        "chart": size_chart(points, curves.REACHES[reach]),
        "state": state,
        "took": lasting(state.ran),
        "remains": lasting(state.left),
        "silent": lasting(state.silent),
        "uses": [use for use in used if use.kind != "Segment"],
        "nested_in": [use for use in used if use.kind == "Segment"],
        "built_on": built_on(segment),
        "cluster": cluster,
        "entries": lists.count(segment.pk) if segment.kind == Segment.Kind.LIST else None,
        "may_look": may_look,
        "export_url": reverse("admin:rules_segment_export", args=[segment.pk]) if may_export else "",
        "list_url": reverse("admin:rules_segment_list", args=[segment.pk]) if may_import else "",
        "latest": latest(segment.pk, now) if may_look else [],
        **(sampled(segment, request, cluster) if may_look else {}),
    }


def changes(segment: Segment, size: int, now: datetime) -> list[tuple[str, str]]:
    """How much larger or smaller it is than a day and a week ago."""
    former = [curves.sizes_before([segment.pk], now - ago).get(segment.pk) for ago in (DAY, WEEK)]
    return [
        (words, signed(curves.change(size, before)))
        for words, before in zip(("24 hours", "7 days"), former, strict=True)
    ]


def latest(segment: int, now: datetime) -> list[dict[str, Any]]:
    """The newest entries and exits, the newest first."""
    moves = [_entry(stay, now) for stay in history.entered_last(segment, LATEST)]
    moves += [_exit(stay, now) for stay in history.left_last(segment, LATEST)]
    return sorted(moves, key=lambda move: move["at"], reverse=True)[:LATEST]


def _entry(stay: Membership, now: datetime) -> dict[str, Any]:
    reason = told(stay.entered_how, stay.entered_by)
    return {"customer": stay.customer, "verb": "entered", "at": stay.entered_at, "now": now, "reason": reason}


def _exit(stay: Membership, now: datetime) -> dict[str, Any]:
    reason = told(stay.left_how, stay.left_by)
    return {"customer": stay.customer, "verb": "left", "at": stay.left_at, "now": now, "reason": reason}


def sampled(segment: Segment, request: HttpRequest, cluster: Mapping[str, Any] | None) -> dict[str, Any]:
    """A few members with the facts that make them members, and the number that draws others."""
    text = request.GET.get("sample", "")
    seed = int(text) if text.isdecimal() and len(text) < 9 else 0
    ids = history.sample(segment.pk, SAMPLE, seed)
    names = facts_read(segment, cluster)
    known = catalogue.current().facts if names else {}
    people = Customer.objects.defer("traits").in_bulk(ids)
    known_by = first_identities(ids)
    return {
        "sample": [
            {
                "customer": people[pk],
                "known_by": known_by.get(pk, ""),
                "values": [shown(fact_of(name, people[pk].facts)) for name in names],
            }
            for pk in ids
        ],
        "fact_labels": [(known[name].label or name) if name in known else name for name in names],
        "next_sample": seed + 1,
    }


def facts_read(segment: Segment, cluster: Mapping[str, Any] | None) -> list[str]:
    """The facts its condition reads or its clusters were made from, a few, in their order."""
    if cluster:
        return list(cluster["means"])[:FACTS]
    condition = parsed(segment)
    tests = [leaf for leaf in leaves(condition) if isinstance(leaf, Test)] if condition else []
    named = [
        test.operand.name if isinstance(test.operand, Named) else operand_text(test.operand)
        for test in tests
        if test.operator != "IN SEGMENT"
    ]
    # What every customer has, and says nothing about this one.
    return [name for name in dict.fromkeys(named) if name not in ("segments", "customer_segment")][:FACTS]


def first_identities(customers: Sequence[int]) -> dict[int, str]:
    """customer -> an identifier people know them by, where there is one beside the key."""
    rows = Identity.objects.filter(customer_id__in=list(customers)).order_by("customer_id", "-kind", "pk")
    found: dict[int, str] = {}
    for row in rows.select_related("customer").defer("customer__facts", "customer__traits"):
        if row.value not in row.customer.key:
            found.setdefault(row.customer_id, str(row))
    return found


def cluster_of(segment: Segment) -> dict[str, Any] | None:
    """What the active clustering knows of a segment by clustering: share, profile, drift; None where it has no part."""
    if segment.kind != Segment.Kind.CLUSTER:
        return None
    active = Artefact.objects.filter(kind=Artefact.Kind.CLUSTERING, active=True).defer("data").first()
    if active is None:
        return None
    mine = [one for one in active.metrics.get("clusters", []) if f"cluster-{one['key']}"[:100] == segment.key]
    if not mine:
        return None
    profile = mine[0].get("profile") or {}
    labels = active.metrics.get("labels") or {}
    plain = [(labels.get(name, name), shown(mean)) for name, mean in mine[0].get("means", {}).items()]
    return {
        "artefact": active,
        "share": round(100 * mine[0].get("share", 0), 1),
        "drafted": mine[0].get("drafted_name", mine[0].get("name", "")),
        "drafted_story": mine[0].get("story", ""),
        "means": mine[0].get("means", {}),
        "plain": plain,
        "profile": [_told_fact(one) for one in profile.get("facts", [])[:TELLING]],
        "values": [_told_value(one) for one in profile.get("values", [])[:TELLING]],
    }


def _told_fact(one: Mapping[str, Any]) -> dict[str, Any]:
    effect = one.get("effect") or 0.0
    width = min(abs(effect), 3) / 3 * 50
    return {
        "label": one.get("label", one["fact"]),
        "mean": shown(one.get("mean")),
        "mean_all": shown(one.get("mean_all")),
        "effect": f"{effect:+.1f}".replace("-", "−"),
        "width": round(width, 1),
        "from": round(50 - width, 1),
        "up": effect >= 0,
    }


def _told_value(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": one.get("label", one["fact"]),
        "value": shown(one.get("value")),
        "share": f"{100 * (one.get('share') or 0):.0f} %",
        "share_all": f"{100 * (one.get('share_all') or 0):.0f} %",
    }
