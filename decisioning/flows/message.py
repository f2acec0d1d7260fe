"""A customer and a placement in; the contents of a message, chosen by the same resolver and kept in the ledger, out."""

from datetime import datetime

from uuid_utils.compat import uuid7

from ..customers.models import Customer
from ..engine.prepare import Prepared
from ..engine.resolver import resolve
from ..engine.types import Ask
from ..models import Decision
from ..store.admission import shown_to
from ..store.publishing import compose, with_scores
from ..store.snapshot import holder
from .asking import Shown
from .preparing import ChosenContents
from .recording import row_of


class NoSnapshot(RuntimeError):
    """This worker holds no snapshot that knows the placement; the message is tried again later."""


def choose(customer_key: str, placement_key: str, now: datetime) -> ChosenContents:
    """Decide for a message. Reads the customer from PostgreSQL: a worker may wait, and Redis may be away.

    Raises NoSnapshot, and `admission.Unknown` where a content has a cap and nobody can say what the customer saw.
    """
    holder.start()
    prepared = holder.current
    if prepared is None or placement_key not in prepared.slots:
        raise NoSnapshot(f"No snapshot with the placement {placement_key!r} has reached this worker yet.")
    customer = Customer.objects.only("pk", "merged_into").get(key=customer_key)
    profile = with_scores(compose([customer.pk]))[0]
    caps = caps_in(prepared, placement_key)
    shown: Shown = {}
    if caps:
        since = now.timestamp() - 3600 * max(caps.values())
        shown = shown_to(customer.merged_into_id or customer.pk, customer_key, since)
    decision_id = uuid7()
    # A message's decision is its own request, so that exploration differs from message to message.
    ask = Ask(placement_key, None, profile, {}, customer_key, str(decision_id), shown=shown)
    resolution = resolve(prepared, ask, now)
    row = row_of(decision_id, prepared, ask, resolution, now, Decision.Source.CAMPAIGN, {"mode": "execute"})
    row.save(force_insert=True)
    contents = [{"key": item.content.key, "name": item.content.name, **item.content.body} for item in resolution.items]
    capped = tuple(item.content.key for item in resolution.items if item.content.key in caps)
    return ChosenContents(decision_id, contents, capped)


def caps_in(prepared: Prepared, placement: str) -> dict[str, float]:
    """The hours of the caps of what a placement may show, by content."""
    slot = prepared.slots[placement]
    return {one.key: one.cap_hours for one in (*slot.pool, *slot.defaults) if one.cap_count is not None}
