"""The segments of one page of the list in; what its columns show of them, out, in a fixed number of queries."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from decisioning.config import clock

from .. import curves
from ..models import Segment
from .computing import STATES, State, states
from .drawing import signed, spark
from .linked import Use, uses

DAYS: Final = timedelta(days=7)
POINTS: Final = 28
WIDTH, HEIGHT = 96, 24


@dataclass(frozen=True, slots=True)
class Row:
    """What the list shows of a segment beside its own columns."""

    state: State
    line: list[int]
    changed: int | None
    uses: list[Use]


def rows(segments: Iterable[Segment]) -> dict[int, Row]:
    """Everything for one page of the list."""
    found = list(segments)
    ids, now = [segment.pk for segment in found], clock.now()
    known, used = states(found), uses(found)
    lines, before = curves.lines(ids, now, DAYS, POINTS), curves.sizes_before(ids, now - DAYS)
    return {
        segment.pk: Row(
            known[segment.pk],
            [*lines.get(segment.pk, []), segment.size],
            curves.change(segment.size, before.get(segment.pk)),
            used[segment.pk],
        )
        for segment in found
    }


def line_of(row: Row) -> SafeString | str:
    """The small picture of the sizes of the last days."""
    points = spark(row.line, WIDTH, HEIGHT)
    if not points:
        return "–"
    return format_html(
        '<svg class="segments-spark" width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<polyline points="{}"></polyline></svg>',
        WIDTH,
        HEIGHT,
        WIDTH,
        HEIGHT,
        f"from {row.line[0]:,} to {row.line[-1]:,} members in 7 days",
        points,
    )


def changed_of(row: Row) -> SafeString | str:
    """The change in 7 days."""
    if row.changed is None:
        return "–"
    way = "up" if row.changed > 0 else "down" if row.changed < 0 else "same"
    return format_html('<span class="segments-{}">{}</span>', way, signed(row.changed) if row.changed else "0")


def used_of(row: Row) -> SafeString | str:
    """How many rows use it; which, when pointed at."""
    if not row.uses:
        return "–"
    number = len({(use.kind, use.name) for use in row.uses})
    names = "\n".join(dict.fromkeys(f"{use.kind} {use.name}" for use in row.uses))
    return format_html('<span title="{}">{}</span>', names, number)


class InState(admin.SimpleListFilter):
    """By how the computing of a segment goes."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What needs somebody most comes first."""
        return [(code, words) for code, (words, _) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Segment]) -> QuerySet[Segment]:
        """There are hundreds of segments, not millions: their states are told one by one, as the list tells them."""
        if self.value() not in STATES:
            return queryset
        found = states(list(Segment.objects.all()))
        return queryset.filter(pk__in=[pk for pk, state in found.items() if state.code == self.value()])
