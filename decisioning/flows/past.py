"""Customers and moments in; their facts as the event log would have given them just before, out."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
from django.conf import settings
from django.db import connection

from ..customers import profile
from ..customers.facts.deriving import derive
from ..customers.facts.folding import fold
from ..customers.facts.frame import Prepared, prepare, vocabulary_of
from ..customers.facts.state import FoldedEvent, State
from ..customers.facts.vocabulary import Vocabulary

# Of whom the log says anything that was dealt with.
HEARD_OF: Final = """
SELECT DISTINCT i.customer_id FROM customers_identity i
JOIN customers_event e ON e.identity_id = i.id
WHERE i.customer_id = ANY(%s) AND NOT e.bot AND NOT EXISTS (SELECT FROM customers_pending p WHERE p.event_id = e.id)
"""
Facts = dict[str, Any]


class Past:
    """Facts as they stood, from the event log as it is when somebody in it is first asked for.

    Only events strictly before a moment count, traits among them. Quintiles, departments and the like are those that
    could be learned at the beginning of that week (Monday, UTC), for which the log is read once as a whole.
    """

    def __init__(self) -> None:
        self._log: Prepared | None = None
        self._customers = pl.DataFrame()
        self._words: dict[datetime, Vocabulary] = {}

    def facts(self, asked: Sequence[tuple[int, datetime]]) -> dict[tuple[int, datetime], Facts]:
        """Facts by customer and moment (UTC), of those of whom the log knows anything."""
        heard = _heard_of({pk for pk, _ in asked})
        moments: dict[int, set[datetime]] = {}
        for pk, at in asked:
            if pk in heard:
                moments.setdefault(pk, set()).add(at)
        events = _events_of(moments)
        return {
            (pk, at): facts for pk in moments for at, facts in self._through(events.get(pk, []), sorted(moments[pk]))
        }

    def _through(self, events: Sequence[FoldedEvent], moments: Sequence[datetime]) -> Iterator[tuple[datetime, Facts]]:
        """One customer's facts at rising moments; `events` rise too."""
        state, done = State(), 0
        for at in moments:
            until = done
            while until < len(events) and events[until].timestamp < at:
                until += 1
            state = fold(state, events[done:until], {}, at)
            done = until
            yield at, derive(state, at, self._vocabulary(at), {})

    def _vocabulary(self, at: datetime) -> Vocabulary:
        week = at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=at.weekday())
        if week not in self._words:
            if self._log is None:
                self._log, self._customers = prepare(profile.read_events()), profile.read_customers()
            known = self._log.before(week, inclusive=False)
            self._words[week] = vocabulary_of(known, self._customers, week, settings.FACTS_TIME_ZONE)
        return self._words[week]


def _heard_of(ids: Collection[int]) -> set[int]:
    if not ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(HEARD_OF, [list(ids)])
        return {pk for (pk,) in cursor.fetchall()}


def _events_of(ids: Collection[int]) -> dict[int, list[FoldedEvent]]:
    """Each customer's events as they happened."""
    if not ids:
        return {}
    found: dict[int, list[FoldedEvent]] = {}
    frame = profile.read_events(sorted(ids)).sort("timestamp", "message_id")
    for pk, message_id, kind, name, at, properties, context in frame.iter_rows():
        found.setdefault(pk, []).append(FoldedEvent(message_id, kind, name, at, properties, context))
    return found
