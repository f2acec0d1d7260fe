"""A customer in; what happened with them, of every kind in one stream, newest first, out, a page at a time.

Pages go on after the last entry shown, not after a number of entries: what arrives meanwhile moves nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.urls import reverse

from campaigns.models import Message
from decisioning.models import Decision

from ..identity.family import members_of
from ..models import Customer, Merge
from .reading import customer_url, event_url, product, real, rows

KINDS: Final = {"event": "Events", "decision": "Decisions", "message": "Messages", "merge": "Merges"}
RANKS: Final = {kind: rank for rank, kind in enumerate(KINDS)}
# Each identity's newest events by its own index; together they cannot be more than identities times a page.
EVENTS: Final = """
SELECT e.id FROM unnest(%s::bigint[]) AS i(id) CROSS JOIN LATERAL (
    SELECT id, timestamp FROM customers_event WHERE identity_id = i.id AND {keyset}
    ORDER BY timestamp DESC, id DESC LIMIT %s
) AS e ORDER BY e.timestamp DESC, e.id DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: what, where to read more, and in a few words how."""

    at: datetime
    kind: str
    pk: str
    title: str
    url: str
    told: str = ""
    marks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last entry of a page: its moment, its kind and its primary key."""

    at: datetime
    kind: str
    pk: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The mark in an address; None for a text that is none."""
        try:
            moment, kind, pk = text.split("~")
            at = datetime.fromisoformat(moment)
            int(pk) if kind in ("message", "merge") else UUID(pk)
        except ValueError:
            return None
        return cls(at, kind, pk) if kind in KINDS and at.tzinfo else None

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.kind}~{self.pk}"

    def past(self, kind: str, at: str) -> Q:
        """What of this kind comes after the mark; `at` is the column of its moment, in the product's time."""
        if RANKS[kind] < RANKS[self.kind]:
            return Q(**{f"{at}__lt": self.at})
        if RANKS[kind] > RANKS[self.kind]:
            return Q(**{f"{at}__lte": self.at})
        return Q(**{f"{at}__lt": self.at}) | Q(**{at: self.at, "pk__lt": self.pk})


Source = Callable[[Customer, Mark | None, int], list[Entry]]


def page(customer: Customer, show: str, before: Mark | None, size: int) -> tuple[list[Entry], str]:
    """The newest entries past the mark, and the mark of the next page ("" at the end).

    `show` is a kind, or "" for all of them.
    """
    kinds = [show] if show in KINDS else list(KINDS)
    entries = [entry for kind in kinds for entry in SOURCES[kind](customer, before, size + 1)]
    entries.sort(key=lambda entry: (-entry.at.timestamp(), RANKS[entry.kind]))
    shown = entries[:size]
    last = shown[-1] if shown else None
    return shown, str(Mark(last.at, last.kind, last.pk)) if last and len(entries) > size else ""


def _ids(customer: Customer) -> list[int]:
    """The customer's own id; of one whom others became part of, theirs too."""
    return [customer.pk] if customer.merged_into_id else members_of(customer.pk)


def _events(customer: Customer, before: Mark | None, size: int) -> list[Entry]:
    ids = list(customer.identities.values_list("pk", flat=True))
    keyset, values = _event_keyset(before)
    with connection.cursor() as cursor:
        cursor.execute(EVENTS.format(keyset=keyset), [ids, *values, size, size])
        found = [pk for (pk,) in cursor.fetchall()]
    events: QuerySet[Any] = rows().filter(pk__in=found).order_by("-timestamp", "-id")
    return [
        Entry(
            event.timestamp,
            "event",
            str(event.id),
            event.name,
            event_url(event.id),
            event.said if event.said != "{}" else "",
            [word for word, on in (("historical", event.historical), ("bot", event.bot)) if on],
        )
        for event in events
    ]


def _event_keyset(before: Mark | None) -> tuple[str, Sequence[Any]]:
    if before is None:
        return "true", ()
    if before.kind == "event":
        return "(timestamp, id) < (%s, %s)", (before.at, before.pk)
    return "timestamp < %s", (before.at,)


def _decisions(customer: Customer, before: Mark | None, size: int) -> list[Entry]:
    past = before.past("decision", "at") if before else Q()
    found = Decision.objects.filter(past, customer_id__in=_ids(customer)).order_by("-at", "-pk")
    wanted = found.only("at", "placement", "items", "rung")[:size]
    return [
        Entry(
            row.at,
            "decision",
            str(row.pk),
            row.placement,
            reverse("admin:decisioning_decision_change", args=[row.pk]),
            ", ".join(str(item.get("key", "")) for item in row.items) or "nothing",
            [row.rung],
        )
        for row in wanted
    ]


def _messages(customer: Customer, before: Mark | None, size: int) -> list[Entry]:
    """Messages are written by the database's clock; the stream is in the product's time."""
    past = Mark(real(before.at), before.kind, before.pk).past("message", "created_at") if before else Q()
    found = Message.objects.filter(past, customer_id__in=_ids(customer)).order_by("-created_at", "-pk")
    return [
        Entry(
            product(row.created_at),
            "message",
            str(row.pk),
            str(row.campaign),
            reverse("admin:campaigns_message_change", args=[row.pk]),
            f"{row.get_state_display()}{f': {row.reason}' if row.reason else ''}",
        )
        for row in found.select_related("campaign").defer("body")[:size]
    ]


def _merges(customer: Customer, before: Mark | None, size: int) -> list[Entry]:
    past = before.past("merge", "at") if before else Q()
    involved = Q(winner=customer) | Q(loser=customer)
    found = Merge.objects.filter(past, involved).select_related("winner", "loser").order_by("-at", "-pk")
    return [
        Entry(
            merge.at,
            "merge",
            str(merge.pk),
            f"{merge.loser} became part of {merge.winner}",
            customer_url(merge.winner_id if merge.loser_id == customer.pk else merge.loser_id),
            merge.reason,
            ["undone"] if merge.undone_at else [],
        )
        for merge in found[:size]
    ]


SOURCES: Final[dict[str, Source]] = {
    "event": _events,
    "decision": _decisions,
    "message": _messages,
    "merge": _merges,
}
