"""A customer and a placement in; the contents of a message, chosen by the same resolver and kept in the ledger, out."""

from datetime import datetime

from uuid_utils.compat import uuid7

from ..customers.models import Customer
from ..engine.resolver import resolve
from ..engine.types import Ask
from ..models import Decision
from ..store.publishing import compose
from ..store.snapshot import holder
from .deliver import ChosenContents
from .recording import row_of


class NoSnapshot(RuntimeError):
    """This worker holds no snapshot that knows the placement; the message is tried again later."""


def choose(customer_key: str, placement_key: str, now: datetime) -> ChosenContents:
    """Decide for a message. Reads the customer from PostgreSQL: a worker may wait, and Redis may be away."""
    holder.start()
    prepared = holder.current
    if prepared is None or placement_key not in prepared.slots:
        raise NoSnapshot(f"No snapshot with the placement {placement_key!r} has reached this worker yet.")
    profile = compose([Customer.objects.only("pk").get(key=customer_key).pk])[0]
    decision_id = uuid7()
    # A message's decision is its own request, so that exploration differs from message to message.
    ask = Ask(placement_key, None, profile, {}, customer_key, str(decision_id))
    resolution = resolve(prepared, ask, now)
    row = row_of(decision_id, prepared, ask, resolution, now, Decision.Source.CAMPAIGN, {"mode": "execute"})
    row.save(force_insert=True)
    contents = [{"key": item.content.key, "name": item.content.name, **item.content.body} for item in resolution.items]
    return ChosenContents(decision_id, contents)
