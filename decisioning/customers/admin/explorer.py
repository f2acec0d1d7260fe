"""The event log in; pages that search it, follow it live and tell of one event, out."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timesince import timesince

from decisioning.config import clock
from decisioning.console.pages import ReadOnly
from decisioning.store.limiting import OutOfTime

from ..intake.ingest import digest_of
from ..intake.partitions import moment_of
from ..models import Event, Pending, PlannedEvent, Receipt
from .asking import PAGE, Answer, Question, answer, live
from .reading import (
    arrived,
    as_row,
    badge,
    customer_url,
    first_id,
    pretty,
    product,
    standing,
    whole,
)

SUGGESTED: Final = 200
# Events that commit late have a smaller id than some already shown: the tail looks this far back again.
OVERLAP: Final = timedelta(seconds=5)
LATE: Final = timedelta(minutes=1)


@admin.register(Event)
class EventAdmin(ReadOnly):
    """The log: what arrived, from whom, and how far it is."""

    change_form_template = "admin/customers/event.html"
    fieldsets: Any = [(None, {"fields": []})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """With the JSON as text: what clients sent is never parsed to be shown."""
        return whole()

    def get_custom_urls(self) -> tuple[Any, ...]:
        """What the live tail asks for."""
        return (("tail/", "customers_event_tail", self.tail),)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The explorer: the newest events that fit what is asked."""
        question, found = self._asked(request), Answer([])
        lost = _lost(question)
        if question.is_valid() and not lost:
            found = answer(question.cleaned_data, _cursor(request), datetime.now(UTC))
        waiting = standing(event.id for event in found.events)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Events",
            "question": question,
            "asked": question.is_valid() and any(question.cleaned_data.values()),
            "found": found,
            "rows": [as_row(event, waiting.get(event.id)) for event in found.events],
            "reached": product(found.reached) if found.reached else None,
            "lost": lost,
            "first_page": "before" not in request.GET,
            "older": _address(request, before=found.older) if found.older else "",
            "newest": _address(request),
            "tail": reverse("admin:customers_event_tail"),
            "after": first_id(datetime.now(UTC) - OVERLAP),
            "seconds": 3,
            **_suggestions(found.events),
        }
        return TemplateResponse(request, "admin/customers/explorer.html", context)

    def tail(self, request: HttpRequest, model_admin: Any) -> HttpResponse:
        """What arrived since `after`, newest first, and the `after` to ask with next: JSON."""
        question = self._asked(request)
        try:
            after = UUID(request.GET.get("after", ""))
        except ValueError:
            return JsonResponse({"detail": "after must be the id that the former answer gave."}, status=400)
        if not question.is_valid():
            return JsonResponse({"detail": "The filters cannot be read; open the explorer anew."}, status=400)
        next_after = first_id(datetime.now(UTC) - OVERLAP)
        try:
            events = live(question.cleaned_data, after)
        except OutOfTime:
            return JsonResponse({"rows": [], "after": str(next_after), "more": True})
        waiting = standing(event.id for event in events)
        rows = [_plain(as_row(event, waiting.get(event.id))) for event in events[:PAGE]]
        return JsonResponse({"rows": rows, "after": str(next_after), "more": len(events) > PAGE})

    def _asked(self, request: HttpRequest) -> Question:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return Question(request.GET)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One event, whole."""
        event = self.get_object(request, object_id)
        told = _told(event) if event else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})


def _cursor(request: HttpRequest) -> UUID | None:
    text = request.GET.get("before", "")
    try:
        found = UUID(text) if text else None
        if found is not None:
            moment_of(found)  # a later one than any clock can show
        return found
    except (ValueError, OverflowError, OSError):
        raise Http404("There is no such page of the log; open the explorer anew.") from None


def _address(request: HttpRequest, before: UUID | None = None) -> str:
    """The same question from its beginning, or from `before` on."""
    asked = request.GET.copy()
    asked.pop("before", None)
    for name in [name for name, value in asked.items() if not value]:
        del asked[name]
    if before is not None:
        asked["before"] = str(before)
    return f"?{asked.urlencode()}"


def _lost(question: Question) -> str:
    """A message id that never came in, so that nobody searches the log for it."""
    message = question.cleaned_data.get("message", "") if question.is_valid() else ""
    if not message or Receipt.objects.filter(pk=UUID(bytes=digest_of(message))).exists():
        return ""
    return "" if _is_event(message) else message


def _is_event(text: str) -> bool:
    try:
        return Event.objects.filter(pk=UUID(text)).exists()
    except ValueError:
        return False


def _suggestions(events: list[Event]) -> dict[str, list[str]]:
    """Names and sources to choose from: those of the plan, and those on this page."""
    planned = PlannedEvent.objects.exclude(name="*").order_by("-seen").values_list("name", flat=True)[:SUGGESTED]
    names = dict.fromkeys([*planned, *sorted({event.name for event in events})])
    return {"names": list(names), "sources": sorted({event.source for event in events if event.source})}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """The row for a script: moments as they are written in the table."""
    moments = {name: f"{row[name]:%-d %b %Y, %H:%M:%S}" for name in ("arrived", "happened")}
    return {**row, **moments}


def _told(event: Any) -> dict[str, Any]:
    """What the page of one event shows."""
    waiting = Pending.objects.filter(pk=event.pk).first()
    came = arrived(event.pk)
    behind = event.received_at - event.timestamp
    return {
        "title": event.name,
        "customer": event.identity.customer,
        "customer_url": customer_url(event.identity.customer_id),
        "identifiers": _identifiers(event.identifiers_text),
        "properties_said": pretty(event.properties_text),
        "context_said": pretty(event.context_text),
        "arrived": came,
        "delay": timesince(event.timestamp, event.received_at) if behind > LATE else "",
        "waiting": waiting,
        "state": badge(waiting),
        "product_now": clock.now(),
    }


def _identifiers(text: str) -> list[tuple[str, str]]:
    """Kind and value of what the event was sent with."""
    return [(pair[0], pair[1]) for pair in msgspec.json.decode(text)]
