"""Customers whose windows have run out in; their facts, segments and triggers put right, with no event, out."""

from datetime import datetime
from typing import Final

from django.db import transaction

from rules.models import How
from rules.segments import Because

from ..customers.facts import dues, streams
from .react import Reacted, settle
from .standing import standing

AT_ONCE: Final = 200


def expire(now: datetime, limit: int = AT_ONCE) -> Reacted:
    """Handle one batch of customers who are due; nobody due gives zeros."""
    if not dues.waiting(now):
        return Reacted()
    with transaction.atomic():
        ids = dues.take(now, limit)
        if not ids:
            return Reacted()
        known = standing()
        found = streams.load(ids, known.histories)
        everybody = {pk: found.get(pk, []) for pk in ids}
        return settle(everybody, (), now, known, set(), Because(How.TIME))
