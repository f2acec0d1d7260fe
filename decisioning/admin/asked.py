"""What somebody looks for in the ledger in; the newest decisions that fit, and where to go on, out.

A customer's decisions come from an index of theirs. Everything else walks back from the newest in growing windows of
time, so that a page costs the same among a thousand decisions and a hundred million; when its time is over, a search
says how far it came and offers to go on from there.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, Self
from uuid import UUID

from django.db.models import Q, QuerySet

from campaigns.models import Content, Placement
from decisioning.console.searching import Filters, choice, moment, read, text
from decisioning.console.traffic import ENDS, HELD, HELD_REASON
from decisioning.customers.admin.finding import forms_of
from decisioning.customers.identity.family import members_of
from decisioning.customers.models import Customer, Identity
from decisioning.engine.resolver import DEFAULT
from decisioning.models import Decision
from decisioning.store.limiting import OutOfTime
from decisioning.store.whose import keys_of
from rules.models import Rule

PAGE: Final = 50
SECONDS: Final = 3.0
FIRST_WINDOW: Final = timedelta(hours=1)
GROWTH: Final = 8
ANONYMOUS: Final = "anonymous:"
REASONS: Final = (
    "TARGETING_MATCH",
    "SPLIT",
    "RANKED",
    "FALLBACK",
    "OUTSIDE_AUDIENCE",
    "HOLDOUT",
    "CAPPED",
    "ERROR",
)
ROW: Final = ("at", "customer_id", "customer_key", "placement", "items", "rung", "reason", "source")


class Question(Filters):
    """What the decisions shown have in common. Moments are in UTC, by the product's clock."""

    FIRST = ("q", "customer", "placement", "rung")

    q = text("Anything", "customer, rule, content or decision id, whole")
    customer = text("Customer", "key, e-mail or any identifier")
    placement = choice("Placement", [("", "any")])
    rung = choice("Rung", [("", "any"), *((rung, rung) for rung in ENDS)])
    rule = text("Rule", "key")
    content = text("Content shown", "key")
    reason = choice("Reason", [("", "any"), *((reason, reason) for reason in REASONS)])
    source = choice("Asked by", [("", "anybody"), *Decision.Source.choices])
    since, until = moment("From"), moment("Until")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keys = Placement.objects.order_by("key").values_list("key", "name")
        self.fields["placement"].widget.choices = [("", "any"), *keys]
        self.fields["placement"].choices = [("", "any"), *keys]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """An end lies after its beginning."""
        said = super().clean() or {}
        if said.get("since") and said.get("until") and said["until"] <= said["since"]:
            self.add_error("until", "This is not after the beginning.")
        return said


@dataclass(frozen=True, slots=True)
class Mark:
    """The last decision of a page: where the next one goes on."""

    at: datetime
    pk: UUID

    @classmethod
    def read(cls, address: str) -> Self | None:
        """The mark in an address; None for a text that is none."""
        try:
            when, pk = address.split("~")
            at = datetime.fromisoformat(when)
            return cls(at, UUID(pk)) if at.tzinfo else None
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.pk}"

    def past(self) -> Q:
        """What comes after it; the first condition is for the index."""
        return Q(at__lte=self.at) & (Q(at__lt=self.at) | Q(pk__lt=self.pk))


@dataclass(frozen=True, slots=True)
class Answer:
    """Decisions, newest first; `older` is where to go on, `reached` how far back an unfinished search came.

    `stuck`: it was stopped before it came anywhere.
    """

    rows: list[Decision]
    older: str = ""
    reached: datetime | None = None
    stuck: bool = False


def answer(said: dict[str, Any], before: Mark | None) -> Answer:
    """One page, newest first; `said` is a valid form's data."""
    found, quick = narrowed(said)
    if before is not None:
        found = found.filter(before.past())
    found, deadline = found.only(*ROW).order_by("-at", "-pk"), monotonic() + SECONDS
    if quick:
        try:
            return _page(read(found[: PAGE + 1], deadline))
        except OutOfTime:
            return Answer([], stuck=True)
    return _walk(found, before, deadline)


def _page(rows: list[Decision]) -> Answer:
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return Answer(rows[:PAGE], str(Mark(last.at, last.pk)) if last else "")


def _walk(found: QuerySet[Decision], before: Mark | None, deadline: float) -> Answer:
    """Window after window into the past, each longer than the one before, until the page is full."""
    ends = Decision.objects.order_by("at").values_list("at", flat=True)
    newest, oldest = ends.reverse().first(), ends.first()
    if newest is None or oldest is None:
        return Answer([])
    upper, span = min(newest, before.at) if before else newest, FIRST_WINDOW
    rows: list[Decision] = []
    after = upper + timedelta(microseconds=1)
    while after > oldest:
        lower = max(after - span, oldest)
        try:
            rows += read(found.filter(at__lt=after, at__gte=lower)[: PAGE + 1 - len(rows)], deadline)
        except OutOfTime:
            return Answer(rows, str(Mark(after, UUID(int=0))), after, stuck=span == FIRST_WINDOW)
        if len(rows) > PAGE:
            break
        if lower == oldest:
            break
        after, span = lower, span * GROWTH
    return _page(rows)


def narrowed(said: dict[str, Any]) -> tuple[QuerySet[Decision], bool]:
    """The decisions a question is about, and whether an index finds them without a walk through time."""
    rows, quick = Decision.objects.all(), False
    plain = {name: said[name] for name in ("placement", "reason", "source") if said.get(name)}
    rows = rows.filter(_by_end(said.get("rung") or ""), **plain)
    if said.get("rule"):
        rows = rows.filter(_by_rule(said["rule"]))
    if said.get("content"):
        rows = rows.filter(_by_content(said["content"]))
    if said.get("since"):
        rows = rows.filter(at__gte=said["since"])
    if said.get("until"):
        rows = rows.filter(at__lt=said["until"])
    if said.get("customer"):
        rows, quick = rows.filter(of_customer(said["customer"])), True
    if said.get("q"):
        about, sure = _about(said["q"].strip())
        rows, quick = rows.filter(about), quick or sure
    return rows, quick


def of_customer(term: str) -> Q:
    """A customer's decisions by key or any identifier, with those of everybody who is one with them.

    Those of before anybody knew them are theirs too.
    """
    forms = forms_of(term)
    named = Identity.objects.filter(value__in=forms).values_list("customer_id", flat=True)
    keyed = Customer.objects.filter(key__in=forms).values_list("pk", flat=True)
    ids = sorted({one for pk in {*named, *keyed} for one in members_of(pk)})
    if not ids:
        return Q(customer_key__in=[*forms, *(ANONYMOUS + form for form in forms)])
    known = Q(customer_id=ids[0]) if len(ids) == 1 else Q(customer_id__in=ids)
    return known | Q(customer_id__isnull=True, customer_key__in=keys_of(ids))


def _about(term: str) -> tuple[Q, bool]:
    """What a term can mean: a decision by id, a rule's or content's part in it, or a customer; and if that is quick."""
    try:
        return Q(pk=UUID(term)), True
    except ValueError:
        pass
    found = Q()
    if Rule.objects.filter(key=term).exists():
        found |= _by_rule(term)
    if Content.objects.filter(key=term).exists():
        found |= _by_content(term)
    return (found, False) if found else (of_customer(term), True)


def _by_end(end: str) -> Q:
    """By rung, as the page of traffic tells it: who was held out is not among those for whom something was missing."""
    if end == HELD:
        return Q(reason=HELD_REASON)
    return Q(rung=end) & (~Q(reason=HELD_REASON) if end == DEFAULT else Q()) if end else Q()


def _by_rule(key: str) -> Q:
    return Q(explanation__contains={"rules": [{"key": key}]})


def _by_content(key: str) -> Q:
    return Q(items__contains=[{"key": key}])
