"""Customers whose windows have run out in; their facts, segments and triggers put right, with no event, out."""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from rules.models import How
from rules.segments import Because

from ..customers.facts import dues
from .anew import settle_anew
from .react import Reacted
from .standing import standing

AT_ONCE: Final = 200
# Who cannot be handled is not taken again before that: the others are due too.
LATER: Final = timedelta(hours=1)


def expire(now: datetime, limit: int = AT_ONCE) -> Reacted:
    """Handle one batch of customers who are due; nobody due gives zeros."""
    if not dues.waiting(now):
        return Reacted()
    with transaction.atomic():
        ids = dues.take(now, limit)
        if not ids:
            return Reacted()
        tried = settle_anew(ids, now, standing(), Because(How.TIME), announce=False)
        if tried.failed:
            dues.write(dict.fromkeys(tried.failed, now + LATER))
        return tried.done
