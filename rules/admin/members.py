"""A segment in; who is, was, or was once in it, out: pages of a list that any number of members leaves quick."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.dateparse import parse_date, parse_datetime

from decisioning.config import clock
from decisioning.customers.admin.finding import find

from .. import history
from ..history import AS_OF, FORMER, NOW, Page
from ..models import Membership, Segment
from .page import first_identities
from .why import may_look, why_url
from .words import told

SIZE: Final = 50
TITLES: Final = {NOW: "Current members", FORMER: "Former members", AS_OF: "Members at a moment"}
BOUNDS: Final = (1970, 9998)


def members(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """The list; `show` is one of `history.SHOWN`, `at` the moment of `as-of`, `q` a search, `after` the page's mark."""
    may_look(request, "rules.segment", "customers.customer")
    segment = get_object_or_404(Segment, pk=pk)
    show = request.GET.get("show") or NOW
    if show not in history.SHOWN:
        raise Http404("There is no such list; open the members from the segment's page.")
    at = moment_of(request.GET.get("at", ""))
    term = request.GET.get("q", "").replace("\x00", "").strip()
    now = clock.now()
    found = _found(segment.pk, show, at or now, term, request.GET.get("after", ""))
    asked = {name: value for name, value in request.GET.items() if value and name != "after"}
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": segment,
        "title": f"Members of {segment}",
        "rows": rows_of(segment.pk, found.stays),
        "show": show,
        "titles": TITLES,
        "at": request.GET.get("at", "") if at else f"{now:%Y-%m-%d}",
        "wrong_moment": bool(request.GET.get("at")) and at is None,
        "term": term,
        "may_export": request.user.has_perm("rules.change_segment"),
        "now": now,
        "first_page": not request.GET.get("after"),
        "first_url": f"?{urlencode(asked)}",
        "next_url": f"?{urlencode({**asked, 'after': found.after})}" if found.after else "",
    }
    return TemplateResponse(request, "admin/segments/members.html", context)


def moment_of(text: str) -> datetime | None:
    """A day (its end) or a moment, in UTC; None for what is neither."""
    try:
        day = parse_date(text)
        moment = datetime.combine(day, time.max) if day else parse_datetime(text)
    except ValueError:
        return None
    if moment is None or not BOUNDS[0] <= moment.year <= BOUNDS[1]:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _found(segment: int, show: str, at: datetime, term: str, after: str) -> Page:
    if term:
        return Page(_search(segment, show, at, term))
    try:
        if show == FORMER:
            return history.former(segment, after, SIZE)
        return history.members_at(segment, at, after, SIZE) if show == AS_OF else history.members(segment, after, SIZE)
    except (ValueError, OverflowError, OSError):
        raise Http404("There is no such page of the list; open the members from the segment's page.") from None


def _search(segment: int, show: str, at: datetime, term: str) -> list[Membership]:
    """The stays of the customers whom the term finds; at most a hundred of them are looked at."""
    rows = history.stays(segment).filter(customer_id__in=find(term).ids)
    if show == FORMER:
        return list(rows.filter(left_at__isnull=False).order_by("-left_at", "-pk")[:SIZE])
    if show == AS_OF:
        rows = rows.filter(history.within(at), customer__merged_into__isnull=True)
    else:
        rows = rows.filter(left_at__isnull=True)
    return list(rows.order_by("customer_id")[:SIZE])


def rows_of(segment: int, stays: Sequence[Membership]) -> list[dict[str, Any]]:
    """A line of a table for each stay."""
    known_by = first_identities([stay.customer_id for stay in stays])
    return [
        {
            "stay": stay,
            "customer": stay.customer,
            "known_by": known_by.get(stay.customer_id, ""),
            "entered": told(stay.entered_how, stay.entered_by),
            "left": told(stay.left_how, stay.left_by) if stay.left_at else None,
            "why": why_url(segment, stay.customer.key),
        }
        for stay in stays
    ]
