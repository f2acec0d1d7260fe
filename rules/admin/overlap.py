"""Segments in; who is in two of them at once, out: a page with a table of all pairs, and one about a pair."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import log2, sqrt
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from decisioning.config import clock
from decisioning.customers.models import Customer

from ..crossings import OVERLAP_CUSTOMERS, Held, Overlap, Sample, affordable, counted, holding, overlap, sample_of
from ..models import Segment
from .why import may_look

READABLE: Final = 30  # up to so many segments each cell is a link with its figure
MOST: Final = 300
STRONGEST: Final = 20
EXAMPLES: Final = 8
SHADES: Final = 9


@dataclass(frozen=True, slots=True)
class Measure:
    """A way to say how much two segments overlap: name, meaning, a cell's value, its text and its shade (0 to 9)."""

    name: str
    meaning: str
    value: Callable[[Overlap, int, int], float | None]
    text: Callable[[float, int], str]
    shade: Callable[[float, Overlap], int]


def _share(value: float, step: int) -> str:
    return f"{100 * value:.0f} %" if value >= 0.01 or value == 0 else "< 1 %"


MEASURES: Final = {
    "count": Measure(
        "Customers",
        "How many are in both.",
        lambda found, one, other: float(found.both(one, other)),
        lambda value, step: f"{'~' if step > 1 else ''}{value * step:,.0f}",
        lambda value, found: round(SHADES * sqrt(value / max(1, found.largest))),
    ),
    "jaccard": Measure(
        "Jaccard",
        "Of those who are in either, the share who are in both.",
        lambda found, one, other: found.jaccard(one, other),
        _share,
        lambda value, found: round(SHADES * sqrt(value)),
    ),
    "lift": Measure(
        "Lift",
        "How many times more are in both than if one had nothing to do with the other; 1 is chance, – too few to tell.",
        lambda found, one, other: found.lift(one, other),
        lambda value, step: f"{value:.1f}" if value < 100 else f"{value:,.0f}",
        lambda value, found: round(min(SHADES, max(0, 4.5 + 1.5 * log2(value)))) if value else 0,
    ),
}


@lru_cache(maxsize=4)
def computed(segments: tuple[int, ...], sizes: tuple[int, ...], minute: datetime) -> Overlap:
    """The overlap of these, as of this minute: whoever asks again within it gets the same answer."""
    return overlap(segments, bounded(sizes))


def bounded(sizes: Sequence[int]) -> Sample:
    """As many customers as can be looked at while somebody waits, for segments of these sizes."""
    sample = sample_of(OVERLAP_CUSTOMERS)
    fewer = affordable(sizes, sample.customers * sample.step)
    return sample if fewer >= OVERLAP_CUSTOMERS else sample_of(fewer)


def chosen(request: HttpRequest, name: str = "segment") -> list[Segment]:
    """The segments asked for, else the active ones, by name; at most `MOST`, the largest."""
    asked = [int(text) for text in request.GET.getlist(name) if text.isdecimal() and len(text) < 19]
    rows = Segment.objects.filter(pk__in=asked) if asked else Segment.objects.filter(active=True)
    return sorted(rows.order_by("-size", "key")[:MOST], key=lambda row: row.name.casefold())


def page(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """The table, or, with `one` and `other`, the pair."""
    may_look(request, "rules.segment")
    base = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts}
    if request.GET.get("one") and request.GET.get("other"):
        return TemplateResponse(request, "admin/segments/pair.html", {**base, **_pair(request)})
    rows = chosen(request)
    measure = request.GET.get("by", "")
    measure = measure if measure in MEASURES else "jaccard"
    context = {
        **base,
        "title": "Overlap of segments",
        "segments": rows,
        "everything": Segment.objects.filter(active=True).order_by("name"),
        "asked": request.GET.getlist("segment"),
        "measures": MEASURES,
        "by": measure,
        "kept": "".join(f"&segment={row.pk}" for row in rows) if request.GET.getlist("segment") else "",
        **(_table(rows, MEASURES[measure]) if len(rows) > 1 else {}),
    }
    return TemplateResponse(request, "admin/segments/overlap.html", context)


def _overlap(rows: Sequence[Segment]) -> Overlap:
    now = clock.now().replace(second=0, microsecond=0)
    return computed(tuple(row.pk for row in rows), tuple(row.size for row in rows), now)


def _table(rows: Sequence[Segment], measure: Measure) -> dict[str, Any]:
    found = _overlap(rows)
    places = range(len(rows))
    readable = len(rows) <= READABLE
    body = [
        {
            "segment": rows[one],
            "cells": [_cell(found, measure, rows, one, other) for other in places] if readable else [],
            "colours": "" if readable else _colours(found, measure, one),
        }
        for one in places
    ]
    return {
        "found": found,
        "sample": found.sample,
        "readable": readable,
        "body": body,
        "strongest": _strongest(found, rows),
    }


def _shade(found: Overlap, measure: Measure, one: int, other: int) -> str:
    """The class of a cell's colour; none where there is nothing to tell."""
    if one == other:
        return "itself"
    value = measure.value(found, one, other)
    return "" if value is None else f"h{measure.shade(value, found)}"


def _colours(found: Overlap, measure: Measure, one: int) -> SafeString:
    """A row of cells without text: tens of thousands of them are too many for a template's loop."""
    shades = [_shade(found, measure, one, other) for other in range(len(found.segments))]
    return mark_safe("".join(f'<td class="{shade}"></td>' for shade in shades))  # noqa: S308 (our own words)


def _cell(found: Overlap, measure: Measure, rows: Sequence[Segment], one: int, other: int) -> dict[str, Any]:
    shown = MEASURES["count"] if one == other else measure
    value = shown.value(found, one, other)
    text = "–" if value is None else shown.text(value, found.sample.step)
    return {"itself": one == other, "text": text, "shade": _shade(found, measure, one, other), "segment": rows[other]}


def _strongest(found: Overlap, rows: Sequence[Segment]) -> list[dict[str, Any]]:
    """The pairs that share most, by Jaccard: what a large table hides, and what the keyboard reaches."""
    pairs = [
        (found.jaccard(one, other) or 0.0, one, other)
        for one in range(len(rows))
        for other in range(one)
        if found.counts[one, other]
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    return [
        {
            "one": rows[other],
            "other": rows[one],
            "url": pair_url(rows[other].pk, rows[one].pk),
            **_figures(found, other, one),
        }
        for _, one, other in pairs[:STRONGEST]
    ]


def _figures(found: Overlap, one: int, other: int) -> dict[str, str]:
    values = {name: measure.value(found, one, other) for name, measure in MEASURES.items()}
    return {
        name: "–" if value is None else MEASURES[name].text(value, found.sample.step) for name, value in values.items()
    }


def pair_url(one: int, other: int) -> str:
    """The page about two segments."""
    return reverse("admin:rules_segment_overlap", query={"one": one, "other": other})


def _pair(request: HttpRequest) -> dict[str, Any]:
    keys = [request.GET.get(name, "") for name in ("one", "other")]
    rows = Segment.objects.in_bulk([int(key) for key in keys if key.isdecimal() and len(key) < 19])
    if len(rows) != 2:
        raise Http404("One of these segments is gone, or it is the same one twice; choose a pair from the table.")
    one, other = (rows[int(key)] for key in keys)
    sample = bounded([one.size, other.size])
    held = holding([one.pk, other.pk], sample)
    found = counted([one.pk, other.pk], held, sample)
    both = found.both(0, 1)
    first, second = found.both(0, 0), found.both(1, 1)
    parts = [
        (f"in {one} alone", first - both, (True, False)),
        ("in both", both, (True, True)),
        (f"in {other} alone", second - both, (False, True)),
    ]
    look = request.user.has_perm("customers.view_customer")
    examples = _examples((one.pk, other.pk), held) if look else {}
    whole = max(1, first + second - both)
    starts = (0, first - both, first)
    return {
        "title": f"{one} and {other}",
        "one": one,
        "other": other,
        "sample": sample,
        "figures": _figures(found, 0, 1),
        "measures": MEASURES,
        "parts": [
            {
                "words": words,
                "count": MEASURES["count"].text(count, sample.step),
                "x": round(100 * start / whole, 2),
                "width": round(100 * count / whole, 2),
                "people": examples.get(key, []),
            }
            for (words, count, key), start in zip(parts, starts, strict=True)
        ],
        "shares": [(one, other, _of(both, first)), (other, one, _of(both, second))],
    }


def _of(both: int, whole: int) -> str:
    return f"{100 * both / whole:.1f} %" if whole else "–"


def _examples(pair: tuple[int, int], held: Held) -> dict[tuple[bool, bool], list[Customer]]:
    """A few customers of the sample for each part."""
    ids: dict[tuple[bool, bool], list[int]] = {}
    for customer, mine in held.items():
        part = ids.setdefault((pair[0] in mine, pair[1] in mine), [])
        if len(part) < EXAMPLES:
            part.append(customer)
    people = Customer.objects.defer("facts", "traits").in_bulk([pk for part in ids.values() for pk in part])
    return {key: [people[pk] for pk in part if pk in people] for key, part in ids.items()}
