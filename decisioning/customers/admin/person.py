"""One customer's rows in; what their page tells of them, and why each thing is there, out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest

from decisioning.config import clock
from decisioning.console.tables import rows_of, shown
from decisioning.store import catalogue
from rules.admin import words
from rules.models import Membership

from ..facts import state
from ..identity.evidence import STRENGTH
from ..identity.family import last_words
from ..models import Customer, Event, Identity, Link, Merge, Pending, State
from .contacted import contacts_of
from .reading import arrived, customer_url, event_url, events_behind
from .timeline import KINDS, page

LATEST: Final = 20
MOST_IDENTITIES: Final = 200
COUNTED: Final = 1000
# How many events each identity has, counted no further than people read numbers.
COUNTS: Final = """
SELECT i.id, (SELECT count(*) FROM (SELECT FROM customers_event WHERE identity_id = i.id LIMIT %s) AS counted)
FROM unnest(%s::bigint[]) AS i(id)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """One identifier of a customer, and the words that say why it is theirs."""

    identity: Identity
    events: str
    why: str
    url: str
    told_by: str


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait as it stands; when it was last told and by which event, where that is known."""

    name: str
    value: str
    at: datetime | None = None
    url: str = ""


def story(customer: Customer, request: HttpRequest) -> dict[str, Any]:
    """What the page shows, by the names its template knows."""
    identities = sorted(customer.identities.all()[:MOST_IDENTITIES], key=_order)
    ids = [identity.pk for identity in identities]
    links = list(_links(ids))
    entries, older = page(customer, "", None, LATEST)
    return {
        "now_part_of": customer.merged_into,
        "may_change": request.user.has_perm("customers.change_customer"),
        "known_by": known_by(customer, identities, [link for link in links if link.followed]),
        "left_out": customer.identities.count() - len(identities),
        "traits": traits_of(customer, identities),
        "facts": rows_of(customer.facts, {name: fact.label for name, fact in catalogue.current().facts.items()}),
        "consents": last_words(customer.pk),
        "contacted": contacts_of(customer),
        **stays_of(customer),
        "merges": merges_of(customer),
        "open_links": [_open(link, ids) for link in links if not link.followed],
        "waiting": waiting_of(ids),
        "entries": entries,
        "older": older,
        "kinds": KINDS,
        "product_now": clock.now(),
    }


def _order(identity: Identity) -> tuple[int, datetime, str]:
    return STRENGTH[identity.kind], identity.first_at or identity.created_at, identity.value


def _links(ids: Sequence[int]) -> Any:
    touching = Q(one__in=ids) | Q(other__in=ids)
    return (
        Link.objects.filter(touching)
        .select_related("one__customer", "other__customer", "refused_by")
        .order_by("at", "pk")[: 5 * MOST_IDENTITIES]
    )


def known_by(customer: Customer, identities: Sequence[Identity], links: Sequence[Link]) -> list[Known]:
    """Each identifier with the tie that brought it in."""
    ties = _brought_in(identities[0].pk, links) if identities else {}
    counts, behind = _counts([identity.pk for identity in identities]), events_behind(list(ties.values()))
    return [
        _known(customer, identity, place == 0, ties.get(identity.pk), counts, behind)
        for place, identity in enumerate(identities)
    ]


def _brought_in(leader: int, links: Sequence[Link]) -> dict[int, Link]:
    """By identity: the tie that joined it to those who were with the leader already, the earliest tie first."""
    ties: dict[int, Link] = {}
    reached, left, grew = {leader}, [link for link in links if link.followed], True
    while grew:
        grew = False
        for link in left:
            if (link.one_id in reached) != (link.other_id in reached):
                newcomer = link.other_id if link.one_id in reached else link.one_id
                ties[newcomer] = link
                reached.add(newcomer)
                left.remove(link)
                grew = True
                break
    for link in links:
        # Beside those ties, what is known of an identifier that nothing joins: why it is not.
        for end in (link.one_id, link.other_id):
            if end not in reached:
                ties.setdefault(end, link)
    return ties


def _known(
    customer: Customer,
    identity: Identity,
    leads: bool,
    tie: Link | None,
    counts: Mapping[int, int],
    behind: Mapping[tuple[str, datetime], UUID],
) -> Known:
    count = counts.get(identity.pk, 0)
    events = f"{COUNTED:,} or more" if count >= COUNTED else f"{count:,}"
    if leads:
        return Known(identity, events, "The strongest identifier: it leads.", "", "")
    if tie is None:
        why = "The customer came into being with it." if identity.home_id == customer.pk else "No tie is known."
        return Known(identity, events, why, "", "")
    event = behind.get((tie.message_id, tie.at))
    return Known(
        identity, events, tie.reason or tie.get_how_display(), event_url(event) if event else "", tie.message_id
    )


def _counts(ids: Sequence[int]) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, [COUNTED, list(ids)])
        return dict(cursor.fetchall())


def traits_of(customer: Customer, identities: Sequence[Identity]) -> list[Trait]:
    """The traits by name; of those that identify events told, when and by which."""
    told = _told([identity.pk for identity in identities])
    urls = _urls({message for _, message in told.values()}, [identity.pk for identity in identities])
    found = []
    for name, value in sorted(customer.traits.items()):
        at, message = told.get(name, (None, ""))
        found.append(Trait(name, shown(value), at, urls.get(message, "")))
    return found


def _told(ids: Sequence[int]) -> dict[str, tuple[datetime, str]]:
    """trait -> when it was last told, and the message that did, as the folded states remember it."""
    last: dict[str, tuple[int, str]] = {}
    for data in State.objects.filter(pk__in=ids).values_list("data", flat=True):
        for told in _unpacked(data):
            for name in msgspec.json.decode(told.traits):
                last[name] = max(last.get(name, (told.at, told.message_id)), (told.at, told.message_id))
    return {name: (state.EPOCH + at * state.MICROSECOND, message) for name, (at, message) in last.items()}


def _unpacked(data: bytes | memoryview) -> list[state.Told]:
    """What identify events told; nothing where the state is of another layout and waits to be rebuilt."""
    try:
        return state.unpack(data).told
    except msgspec.MsgspecError:
        return []


def _urls(messages: set[str], ids: Sequence[int]) -> dict[str, str]:
    found = Event.objects.filter(identity_id__in=ids, type="identify", message_id__in=messages)
    return {message: event_url(pk) for message, pk in found.values_list("message_id", "id")[: len(messages)]}


def stays_of(customer: Customer) -> dict[str, Any]:
    """The segments they are in now, each with why; the stays that ended last; and how many more there were."""
    rows = customer.memberships.select_related("segment")
    current = rows.filter(left_at__isnull=True).order_by("-entered_at", "-pk")
    former = list(rows.filter(left_at__isnull=False).order_by("-left_at", "-pk")[: LATEST + 1])
    return {
        "stays": [_stay(stay) for stay in current],
        "former_stays": [_stay(stay) for stay in former[:LATEST]],
        "older_stays": len(former) > LATEST,
    }


def _stay(stay: Membership) -> dict[str, Any]:
    left = words.told(stay.left_how, stay.left_by) if stay.left_at else None
    entered = words.told(stay.entered_how, stay.entered_by)
    return {"stay": stay, "segment": stay.segment, "entered": entered, "left": left}


def merges_of(customer: Customer) -> list[Merge]:
    """Merges this customer took part in, newest first."""
    involved = Merge.objects.filter(Q(winner=customer) | Q(loser=customer))
    return list(involved.select_related("winner", "loser", "by", "undone_by").order_by("-at", "-pk")[:LATEST])


def _open(link: Link, ids: Sequence[int]) -> dict[str, Any]:
    """A tie that is not followed: to whom it would lead, and why it does not."""
    mine, theirs = (link.one, link.other) if link.one_id in ids else (link.other, link.one)
    refused = link.refused_at is not None
    return {
        "mine": mine,
        "theirs": theirs,
        "customer": theirs.customer,
        "url": customer_url(theirs.customer_id),
        "reason": link.reason or link.get_how_display(),
        "refused": refused,
        "by": link.refused_by,
        "at": link.refused_at or link.at,
    }


def waiting_of(ids: Sequence[int]) -> list[dict[str, Any]]:
    """The customer's events whose effects are not committed: pending ones, and those set aside with the reason."""
    found = Pending.objects.filter(identity_id__in=ids).order_by("-problem", "event_id")[:LATEST]
    return [
        {"url": event_url(row.pk), "at": arrived(row.pk), "problem": row.problem, "attempts": row.attempts}
        for row in found
    ]
