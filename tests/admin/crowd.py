"""A few people with identities, ties, events and a merge, made row by row as intake and merging leave them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from decisioning.customers.intake.ingest import digest_of
from decisioning.customers.models import Customer, Event, Identity, Link, Merge, Receipt

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_customer(key: str, *pairs: tuple[str, str], **changes: Any) -> Customer:
    """A customer who came into being with the first of these identities; the others met it in one event."""
    customer = Customer.objects.create(key=key, **changes)
    first = None
    for kind, value in pairs:
        home = None if first else customer
        identity = Identity.objects.create(kind=kind, value=value, customer=customer, home=home, first_at=NOW)
        if first is None:
            first = identity
        else:
            reason = f"{identity} was first seen with {first} in event m-{value} on 2026-03-01."
            ends = {"one": first, "other": identity, "message_id": f"m-{value}", "reason": reason}
            Link.objects.create(how="event", at=NOW, followed=True, code="joined", **ends)
    return customer


def an_event(identity: Identity, name: str = "Order Completed", **changes: Any) -> Event:
    """An event in the log with its receipt, filed under this identity."""
    row: dict[str, Any] = {
        "id": uuid7(),
        "message_id": f"m-{uuid7()}",
        "type": "track",
        "identifiers": [[identity.kind, identity.value]],
        "properties": {"total": 49.9, "products": [{"price": 3}]},
        "context": {"page": {"path": "/checkout"}},
        "timestamp": NOW,
        "received_at": NOW + timedelta(seconds=1),
        "source": "web",
    }
    row |= changes
    Receipt.objects.create(digest=UUID(bytes=digest_of(row["message_id"])), event_id=row["id"])
    return Event.objects.create(identity=identity, name=name, **row)


def merged(winner: Customer, loser: Customer, message_id: str = "m-met") -> Merge:
    """Two customers that one event made one, as merging leaves them."""
    one, other = winner.identities.earliest("pk"), loser.identities.earliest("pk")
    link = Link.objects.create(
        one=one,
        other=other,
        how="event",
        at=NOW,
        message_id=message_id,
        followed=True,
        code="joined",
        reason=f"Anonymous id {other.value} was first seen with user id {one.value} in event {message_id}.",
    )
    Identity.objects.filter(customer=loser).update(customer=winner)
    Customer.objects.filter(pk=loser.pk).update(merged_into=winner)
    return Merge.objects.create(winner=winner, loser=loser, link=link, reason=link.reason, at=NOW)


def id_at(moment: datetime) -> UUID:
    """An id as it would have been made at this real time."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (uuid7().int & ((1 << 80) - 1)))
