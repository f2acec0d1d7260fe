"""What somebody asks of the event log in; the newest events that answer it, and where to go on, out.

The log has no limit, so a search has one: it walks back from the newest in growing windows, and when its time is over
it says how far it came and offers to go on from there.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from decisioning.console.searching import Filters, choice, moment, read, text
from decisioning.store.limiting import OutOfTime

from ..intake.ingest import digest_of
from ..intake.partitions import leaves, moment_of
from ..models import Event, Receipt
from .finding import identities_of
from .reading import first_id, real, rows

PAGE: Final = 50
SECONDS: Final = 3.0
LIVE_SECONDS: Final = 0.8
FIRST_WINDOW: Final = timedelta(hours=1)
GROWTH: Final = 8
# Years that an event may have; with room for the product's clock on both sides.
EARLIEST, LATEST = 1971, 2999
LAST: Final = UUID(int=(1 << 128) - 1)
TYPES: Final = ("track", "page", "screen", "identify", "group", "alias")
EITHER: Final = [("", "either"), ("no", "no"), ("yes", "yes")]
VALUE: Final = "coalesce(customers_event.properties ->> %s, customers_event.properties #>> %s)"


class Question(Filters):
    """What the events shown have in common. Moments are in UTC, by the product's clock."""

    FIRST = ("name", "who", "property", "value")

    name = text("Event", "Order Completed", "event-names")
    who = text("Customer", "a whole key or identifier")
    type = choice("Type", [("", "any"), *((name, name) for name in TYPES)])
    source = text("Source", "whole", "event-sources")
    property = text("Property", "total, or products.0.price")
    value = text("has the value", "49.9")
    arrived_from, arrived_to = moment("Arrived from"), moment("to")
    happened_from, happened_to = moment("Happened from"), moment("to")
    historical = choice("Historical", EITHER)
    bot = choice("By a bot", EITHER)
    message = text("Message id or event id", "whole")

    def clean(self) -> dict[str, Any]:
        """A value needs the property that has it; an end lies after its beginning."""
        said = super().clean() or {}
        if said.get("value") and not said.get("property"):
            self.add_error("property", "Name the property that has this value.")
        for name in ("arrived_from", "arrived_to", "happened_from", "happened_to"):
            moment = said.get(name)
            if moment and not EARLIEST <= moment.year <= LATEST:
                self.add_error(name, f"Give a year between {EARLIEST} and {LATEST}.")
        for kind in ("arrived", "happened"):
            start, end = said.get(f"{kind}_from"), said.get(f"{kind}_to")
            if start and end and end <= start:
                self.add_error(f"{kind}_to", "This is not after the beginning.")
        return said


@dataclass(frozen=True, slots=True)
class Answer:
    """Events, newest first; `older` is where to go on, `reached` how far back an unfinished search came."""

    events: list[Event]
    older: UUID | None = None
    reached: datetime | None = None
    stuck: bool = False


def narrowed(said: dict[str, Any]) -> QuerySet[Event]:
    """The events a question is about, in no order; `said` is a valid form's data."""
    events = rows()
    plain = {name: said[name] for name in ("name", "type", "source") if said.get(name)}
    flags = {name: said[name] == "yes" for name in ("historical", "bot") if said.get(name)}
    events = events.filter(**plain, **flags)
    if said.get("property"):
        path = said["property"]
        found = RawSQL(VALUE, (path, path.split(".")), output_field=TextField())  # noqa: S611 (values are parameters)
        events = events.annotate(found=found)
        events = events.filter(found=said["value"]) if said.get("value") else events.filter(found__isnull=False)
    if said.get("who"):
        events = events.filter(identity_id__in=identities_of(said["who"]))
    if said.get("message"):
        events = _with_id(events, said["message"])
    return _within(events, said)


def _with_id(events: QuerySet[Event], text: str) -> QuerySet[Event]:
    """The event of a message id, found by its receipt; or the one with this id in the log."""
    receipt = Receipt.objects.filter(pk=UUID(bytes=digest_of(text))).first()
    if receipt is not None and receipt.event_id is not None:
        return events.filter(pk=receipt.event_id)
    try:
        return events.filter(pk=UUID(text))
    except ValueError:
        return events.none()


def _within(events: QuerySet[Event], said: dict[str, Any]) -> QuerySet[Event]:
    """Between the moments given. What arrived later has the larger id, so arrival needs no column of its own."""
    if said.get("arrived_from"):
        events = events.filter(id__gte=first_id(real(said["arrived_from"])))
    if said.get("arrived_to"):
        events = events.filter(id__lt=first_id(real(said["arrived_to"])))
    if said.get("happened_from"):
        events = events.filter(timestamp__gte=said["happened_from"])
    if said.get("happened_to"):
        events = events.filter(timestamp__lt=said["happened_to"])
    return events


def answer(said: dict[str, Any], before: UUID | None, now: datetime) -> Answer:
    """One page, newest first; `before` is the `older` of the page before, `now` is real time."""
    upper = before or LAST
    if said.get("arrived_to"):
        upper = min(upper, first_id(real(said["arrived_to"])))
    events, deadline = narrowed(said), monotonic() + SECONDS
    if said.get("who"):
        # By text, so that PostgreSQL reads the customer's events and sorts them instead of walking the whole log.
        ordered = events.filter(id__lt=upper).order_by(Cast("id", TextField()).desc())
        return _one_window(ordered, deadline)
    return _walk(events.order_by("-id"), upper, _lowest(said), now, deadline)


def live(said: dict[str, Any], after: UUID) -> list[Event]:
    """The newest events since `after`, up to one more than a page; raises OutOfTime before the next look is due."""
    return read(narrowed(said).filter(id__gt=after).order_by("-id")[: PAGE + 1], monotonic() + LIVE_SECONDS)


def _one_window(events: QuerySet[Event], deadline: float) -> Answer:
    try:
        found = read(events[: PAGE + 1], deadline)
    except OutOfTime:
        return Answer([], stuck=True)
    return _page(found) or Answer(found)


def _page(found: list[Event]) -> Answer | None:
    """A full page, if there is one."""
    return Answer(found[:PAGE], found[PAGE - 1].id) if len(found) > PAGE else None


def _walk(events: QuerySet[Event], upper: UUID, lowest: UUID, now: datetime, deadline: float) -> Answer:
    """Window after window into the past, each longer than the one before, until the page is full."""
    found: list[Event] = []
    edge, span = min(moment_of(upper), now) if upper != LAST else now, FIRST_WINDOW
    while upper > lowest:
        edge -= span
        lower = max(first_id(edge), lowest)
        try:
            found += read(events.filter(id__lt=upper, id__gte=lower)[: PAGE + 1 - len(found)], deadline)
        except OutOfTime:
            return Answer(found, upper, moment_of(upper) if upper != LAST else now, stuck=span == FIRST_WINDOW)
        if full := _page(found):
            return full
        upper, span = lower, span * GROWTH
    return Answer(found)


def _lowest(said: dict[str, Any]) -> UUID:
    """Where the log begins, or where the question does."""
    if said.get("arrived_from"):
        return first_id(real(said["arrived_from"]))
    months = [month for _, _, month, _, _ in leaves()]
    return UUID(int=0) if not months else first_id(datetime.combine(min(months), time(), UTC))
