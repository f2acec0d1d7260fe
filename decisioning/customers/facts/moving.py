"""What a formula reads comes in; when its value next changes with no event at all comes out, told by the formula.

The third form of a fact. A value is sorted into a class by the `Cuts` it is asked about: a cut c tells values below c
from c and above; without cuts any other value is another class. A `When` gives the first moment after `seen.now`, and
before `limit`, at which the class is another one: None for never, or not before the limit.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from decisioning.customers.facts.counting import hour_of, start_of
from decisioning.customers.facts.measures import DAY, HOUR, LARGEST
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.state import Hours

Cuts = tuple[float, ...]
When = Callable[[Seen, Cuts, int], int | None]
After = Callable[[Seen, int], int | None]
"""The first moment later than the given one at which a value may change."""
Times = Callable[[Seen], Sequence[int]]
"""Times of rows, in rising order."""
One = Callable[[Seen], Any]
MOST_TRIES: Final = 32
"""So many changes of what a value is made from are looked at; the last one is given when none changed the class."""
DAY_TICK, HOUR_TICK = DAY // 1_000_000, HOUR // 1_000_000
"""Microseconds in the sixth digit after the point of a number of days or hours."""


def class_of(value: Any, cuts: Cuts) -> Any:
    """The class a value is in. What is no number lies above every cut, and what is missing below."""
    if not cuts:
        return value
    kind = type(value)
    return bisect_right(cuts, value) if kind is int or kind is float else -1 if value is None else len(cuts)


def never(seen: Seen, cuts: Cuts, limit: int) -> int | None:
    """For what only events change."""
    return None


def summed(
    times_of: Times, days: int, amounts_of: Times | None = None, as_fact: Callable[[int], float] = float
) -> When:
    """For a sum over the rows of a window, or for their number."""
    span = days * DAY

    def when(seen: Seen, cuts: Cuts, limit: int) -> int | None:
        times = times_of(seen)
        place, number = bisect_right(times, seen.now - span), len(times)
        if place == number or times[place] + span >= limit:
            return None
        amounts = [1] * number if amounts_of is None else amounts_of(seen)
        rest = sum(amounts[place:])
        here = class_of(as_fact(rest), cuts)
        while place < number and (at := times[place] + span) < limit:
            while place < number and times[place] + span == at:
                rest -= amounts[place]
                place += 1
            if class_of(as_fact(rest), cuts) != here:
                return at
        return None

    return when


@dataclass(frozen=True, slots=True)
class Ageing:
    """For the time since a moment, in millionths of a day or hour that are each `tick` microseconds.

    Without cuts it is not followed, because it changes all the time.
    """

    base: Callable[[Seen], int | None]
    tick: int = DAY_TICK

    def __call__(self, seen: Seen, cuts: Cuts, limit: int) -> int | None:
        start = self.base(seen)
        if start is None or not cuts:
            return None
        place = bisect_right(cuts, self.ticks(seen.now - start) / 1e6)
        if place == len(cuts) or cuts[place] > LARGEST:
            return None
        at = start + ticks_to(cuts[place]) * self.tick - self.tick // 2
        return at if at < limit else None

    def ticks(self, age: int) -> int:
        """Whole millionths, as facts are rounded."""
        return (age + self.tick // 2) // self.tick

    def next_tick(self, seen: Seen) -> int | None:
        """When the value next changes at all."""
        start = self.base(seen)
        return None if start is None else start + (self.ticks(seen.now - start) + 1) * self.tick - self.tick // 2


def ticks_to(cut: float) -> int:
    """The fewest millionths that are no less than a number."""
    found = ceil(cut * 1e6)
    while (found - 1) / 1e6 >= cut:
        found -= 1
    while found / 1e6 < cut:
        found += 1
    return found


@dataclass(frozen=True, slots=True)
class Stepping:
    """For everything else: it is computed again at each moment at which what it is made from changes."""

    one: One
    afters: tuple[After, ...]

    def __call__(self, seen: Seen, cuts: Cuts, limit: int) -> int | None:
        here = None
        at = seen.now
        for tried in range(MOST_TRIES):
            moments = [moment for after in self.afters if (moment := after(seen, at)) is not None]
            if not moments or (at := min(moments)) >= limit:
                return None
            if not tried:
                here = class_of(self.one(seen), cuts)
            if class_of(self.one(seen.at(at)), cuts) != here:
                return at
        return at


def stepping(one: One, *afters: After) -> When:
    return Stepping(one, afters)


def cost_of(when: When) -> int:
    """The order to ask in: what is quick first, so that the rest need not look beyond its answer."""
    return 0 if isinstance(when, Ageing) else 2 if isinstance(when, Stepping | Either) else 1


@dataclass(frozen=True, slots=True)
class Either:
    """For the time since a moment that may be missing: `there` says when it comes or goes."""

    age: Ageing
    there: When

    def __call__(self, seen: Seen, cuts: Cuts, limit: int) -> int | None:
        moments = [self.age(seen, cuts, limit), self.there(seen, (), limit)]
        return min((moment for moment in moments if moment is not None), default=None)


# -- what a value is made from


def leaving(times: Times, days: int) -> After:
    """Rows that leave a window of days; or that come to count when they are that old."""
    span = days * DAY

    def after(seen: Seen, at: int) -> int | None:
        rows = times(seen)
        place = bisect_right(rows, at - span)
        return rows[place] + span if place < len(rows) else None

    return after


def leaving_hours(hours: Callable[[Seen], Iterable[Hours]], days: int) -> After:
    """Hours that leave a window of days."""
    span = days * DAY

    def after(seen: Seen, at: int) -> int | None:
        first = hour_of(at - span) + 1
        found = [mine[2 * bisect_left(mine[::2], first)] for mine in hours(seen) if mine and mine[-2] >= first]
        return start_of(min(found)) + span if found else None

    return after


def leaving_days(days_of: Callable[[Seen], Iterable[Sequence[int]]], days: int) -> After:
    """Whole days (UTC) that leave a window of days."""

    def after(seen: Seen, at: int) -> int | None:
        first = at // DAY - days + 1
        found = [mine[bisect_left(mine, first)] for mine in days_of(seen) if mine and mine[-1] >= first]
        return (min(found) + days) * DAY if found else None

    return after


def passing(base: Callable[[Seen], int | None], edges: Sequence[float]) -> After:
    """Edges that a number of days since a moment comes to lie above."""
    steps = [(ticks_to(edge) + (ticks_to(edge) / 1e6 == edge)) * DAY_TICK - DAY_TICK // 2 for edge in edges]

    def after(seen: Seen, at: int) -> int | None:
        start = base(seen)
        if start is None:
            return None
        return min((start + step for step in steps if start + step > at), default=None)

    return after
