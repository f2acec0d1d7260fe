"""A group of segments and two moments in; who went from which to which, out: a page with a picture and a table."""

from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from decisioning.config import clock
from decisioning.customers.models import Customer

from ..crossings import MIGRATION_CUSTOMERS, Migration, migration, movers, sample_of
from ..models import Membership, Segment
from .members import moment_of
from .page import first_identities
from .ribbons import Flows, Key, flows
from .why import may_look, why_url

AGO: Final = (7, 30, 90)
MOST: Final = 40
SHOWN: Final = 50
NONE: Final = "none of these"


def page(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The picture and the table; with `start` and `end`, some of those who went that way."""
    may_look(request, "rules.segment")
    group, named = group_of(request)
    now = clock.now()
    then, ago = _then(request, now)
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Migration between segments",
        "group": group,
        "named": named,
        "everything": Segment.objects.order_by("-active", "name"),
        "ago": ago,
        "choices": AGO,
        "then": then,
        "now": now,
        "wrong_moment": bool(request.GET.get("from")) and moment_of(request.GET["from"]) is None,
        "kept": "".join(f"&segment={row.pk}" for row in group) if named else "",
    }
    if group:
        context |= _told(request, group, then, now)
    return TemplateResponse(request, "admin/segments/migration.html", context)


def group_of(request: HttpRequest) -> tuple[list[Segment], bool]:
    """The segments asked for and True; else those of the clusterings that anybody was ever in, and False."""
    asked = [int(text) for text in request.GET.getlist("segment") if text.isdecimal() and len(text) < 19]
    if asked:
        return list(Segment.objects.filter(pk__in=asked).order_by("-size", "name")[:MOST]), True
    stays = Membership.objects.filter(segment=OuterRef("pk"))
    clusters = Segment.objects.filter(Exists(stays), kind=Segment.Kind.CLUSTER)
    return list(clusters.order_by("-active", "-size", "name")[:MOST]), False


def _then(request: HttpRequest, now: datetime) -> tuple[datetime, int | None]:
    """The earlier moment; and how many days ago, where it was chosen so."""
    if (moment := moment_of(request.GET.get("from", ""))) is not None:
        return min(moment, now), None
    text = request.GET.get("ago", "")
    ago = int(text) if text in {str(days) for days in AGO} else AGO[1]
    return now - timedelta(days=ago), ago


def _told(request: HttpRequest, group: list[Segment], then: datetime, now: datetime) -> dict[str, Any]:
    ids = [row.pk for row in group]
    sample = sample_of(MIGRATION_CUSTOMERS)
    found = migration(ids, then, now, sample)
    names: dict[Key, str] = {row.pk: row.name for row in group} | {None: NONE}
    order: list[Key] = [*ids, None]
    way = _way(request, order)
    return {
        "sample": sample,
        "picture": _picture(found, names, order),
        "matrix": _matrix(found, names, order),
        "columns": [names[key] for key in order],
        "stayed": _percent(
            sum(n for (start, end), n in found.moves.items() if start == end), sum(found.moves.values())
        ),
        "counted": sum(found.moves.values()) * sample.step,
        "way": way and {"start": names[way[0]], "end": names[way[1]]},
        "people": _people(request, ids, way, then, now, found) if way else [],
    }


def _picture(found: Migration, names: dict[Key, str], order: list[Key]) -> Flows | None:
    """Counts are those of everybody, estimated where a sample was looked at."""
    moves = {pair: times * found.sample.step for pair, times in found.moves.items()}
    return flows(moves, names, order) if moves else None


def _matrix(found: Migration, names: dict[Key, str], order: list[Key]) -> list[dict[str, Any]]:
    """A row for each segment of before: how many went where, and which share of the row that is."""
    rows = []
    for start in order:
        counts = [found.moves.get((start, end), 0) for end in order]
        whole = sum(counts)
        cells = [
            {
                "count": count * found.sample.step,
                "share": _percent(count, whole),
                "shade": round(9 * (count / whole) ** 0.5) if whole else 0,
                "stays": start == end,
                "query": f"start={start or 'none'}&end={end or 'none'}",
            }
            for end, count in zip(order, counts, strict=True)
        ]
        rows.append({"name": names[start], "whole": whole * found.sample.step, "cells": cells, "pk": start})
    return rows


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _way(request: HttpRequest, order: list[Key]) -> tuple[Key, Key] | None:
    """The cell that was clicked."""
    texts = [request.GET.get(name, "") for name in ("start", "end")]
    if not all(texts):
        return None
    ends = [None if text == "none" else int(text) if text.isdecimal() else -1 for text in texts]
    if not set(ends) <= set(order) or ends == [None, None]:
        raise Http404("Nobody can have gone this way; choose a cell of the table.")
    return ends[0], ends[1]


def _people(
    request: HttpRequest, ids: list[int], way: tuple[Key, Key], then: datetime, now: datetime, found: Migration
) -> list[dict[str, Any]]:
    if not request.user.has_perm("customers.view_customer"):
        return []
    chosen = movers(ids, way, then, now, found.sample, SHOWN)
    people = Customer.objects.defer("facts", "traits").in_bulk(chosen)
    known_by = first_identities(chosen)
    segment = way[1] or way[0] or 0
    return [
        {"customer": people[pk], "known_by": known_by.get(pk, ""), "why": why_url(segment, people[pk].key)}
        for pk in chosen
        if pk in people
    ]


def url(segments: list[int]) -> str:
    """The page about these segments."""
    return reverse("admin:rules_segment_migration", query={"segment": segments})
