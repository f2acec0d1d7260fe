"""What did not fit the tracking plan in; how often that was, by event, property, code and day, in PostgreSQL, out.

Counted in the process and written at most once a second, so that a flood of bad events costs no flood of writes. A
stopped process writes what it holds (`write`); one that is killed forgets the last second.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Final

from django.db import Error, connection

from ...config.ending import at_end
from ..models import PlanProblem
from .checking import DEFAULT, Problem

log = logging.getLogger(__name__)

SECONDS: Final = 1.0
# Names come from whoever has a write key: so many different ones a day are listed, the rest is one number.
MOST_KEYS: Final = 500
OVERFLOW: Final = "too_many_names"
TOLD: Final = (
    f"More than {MOST_KEYS} different problems in a day; the others are counted here. Look for a broken client."
)
KEPT_DAYS: Final = 90

# Sorted, so that two processes that count the same wait for each other in one order.
ADD: Final = """
INSERT INTO customers_planproblem (event, property, code, day, times, refused, example)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::date[], %s::bigint[], %s::bigint[], %s::text[])
ON CONFLICT (event, property, code, day) DO UPDATE SET times = customers_planproblem.times + excluded.times,
    refused = customers_planproblem.refused + excluded.refused, example = excluded.example
"""

Key = tuple[str, str, str, date]


class Tally:
    """Counts of one process that are not written yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[Key, tuple[int, int, str]] = {}
        self._known: set[Key] = set()
        self._due = 0.0
        self._registered = False

    def count(self, problems: Iterable[Problem], refused: bool, now: datetime, times: int = 1) -> None:
        """Add problems of one event (or of `times` equal ones) to the day of `now`, the product's time."""
        day = now.date()
        with self._lock:
            for problem in problems:
                key, told = self._keyed(problem, day)
                before, refused_before, _ = self._counts.get(key, (0, 0, ""))
                self._counts[key] = (before + times, refused_before + times * refused, told)

    def _keyed(self, problem: Problem, day: date) -> tuple[Key, str]:
        """Where a problem is counted, and the sentence to show for it."""
        key = (problem.event, problem.property, problem.code, day)
        if key in self._known:
            return key, problem.message
        if len(self._known) >= MOST_KEYS:
            if all(known[3] == day for known in self._known):
                return (DEFAULT, "", OVERFLOW, day), TOLD
            self._known = {known for known in self._known if known[3] == day}
        self._known.add(key)
        return key, problem.message

    def write_if_due(self) -> None:
        """Write once a second at most; what is left when the process stops is written then."""
        if not self._counts:
            return
        if self._clock() >= self._due:
            self.write()
        elif not self._registered:
            self._registered = True
            at_end(self._last)

    def _last(self) -> None:
        try:
            self.write()
        except Error as error:
            log.error("problems with the tracking plan were not counted before the stop: %s", error)

    def write(self) -> None:
        """Write what was counted; what cannot be written now is kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, {}
            self._due = self._clock() + SECONDS
        if not counts:
            return
        keys = sorted(counts)
        columns = [list(column) for column in zip(*keys, strict=True)]
        numbers = [list(column) for column in zip(*(counts[key] for key in keys), strict=True)]
        try:
            with connection.cursor() as cursor:
                cursor.execute(ADD, [*columns, *numbers])
        except Exception:
            self._put_back(counts)
            raise

    def _put_back(self, counts: dict[Key, tuple[int, int, str]]) -> None:
        with self._lock:
            for key, (times, refused, told) in counts.items():
                since, refused_since, newer = self._counts.get(key, (0, 0, ""))
                self._counts[key] = (since + times, refused_since + refused, newer or told)

    def forget(self) -> None:
        """Drop what was counted and not written."""
        with self._lock:
            self._counts, self._known, self._due = {}, set(), 0.0


tally = Tally()


def age_out(now: datetime, days: int = KEPT_DAYS) -> int:
    """Delete the counts of days long past; how many rows went."""
    return PlanProblem.objects.filter(day__lt=(now - timedelta(days=days)).date()).delete()[0]
