"""A customer's state and a moment come in; what was known then, counted in windows, comes out, ready for formulas."""

from bisect import bisect_right
from datetime import timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final
from zoneinfo import ZoneInfo

from decisioning.customers.facts.measures import DAY, WINDOWS, YEAR, cents_of, ratio_of
from decisioning.customers.facts.state import EPOCH, MICROSECOND, QUARTER, State

MINUTE: Final = 60_000_000
MONDAY: Final = 3  # the weekday of 1 January 1970, counted from Monday
AT: Final = attrgetter("at")


class Clock(dict[int, int | None]):
    """A zone's offset from UTC in microseconds, by the day in UTC; None for a day on which it changes."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def __missing__(self, day: int) -> int | None:
        morning, evening = self.exact(day * DAY), self.exact(day * DAY + DAY - 1)
        self[day] = morning if morning == evening else None
        return self[day]

    def exact(self, at: int) -> int:
        return ((EPOCH + timedelta(microseconds=at)).astimezone(self.zone).utcoffset() or timedelta()) // MICROSECOND

    def local(self, at: int) -> int:
        """The time on the zone's wall, as microseconds since 1970."""
        offset = self[at // DAY]
        return at + (self.exact(at) if offset is None else offset)


@lru_cache(maxsize=64)
def clock_of(time_zone: str) -> Clock:
    return Clock(ZoneInfo(time_zone))


class Seen:
    """What formulas read of one customer at `now` (microseconds). Windows are in days, None is all-time.

    `visits`, `orders`: counts; `spend`: units; `year`: the orders of the last 365 days, `minutes` and `weekdays` when
    they were; `departments`, `categories`, `brands`: cents by name, last 365 days.
    """

    __slots__ = (
        "brands",
        "categories",
        "departments",
        "departments_total",
        "first_order",
        "minutes",
        "now",
        "orders",
        "recent_categories",
        "spend",
        "state",
        "tenure",
        "traits",
        "visits",
        "weekdays",
        "year",
    )

    def __init__(self, state: State, traits: dict[str, Any], now: int, time_zone: str) -> None:
        self.state, self.traits, self.now = state, traits, now
        clock = clock_of(time_zone)
        self._see_visits(state, clock)
        self._see_orders(state, clock)
        self._see_lines(state)

    def _see_visits(self, state: State, clock: Clock) -> None:
        now, active, local = self.now, state.active, clock.local
        days = [local(at) // DAY for at in active[: bisect_right(active, now)]]
        before = [local(quarter * QUARTER) // DAY for quarter in state.visited]
        self.visits: dict[int | None, int] = {None: len({*before, *days})}
        for span in WINDOWS:
            self.visits[span] = len(set(days[bisect_right(active, now - span * DAY) :]))
        self.tenure = None if state.first is None or state.first > now else now - state.first

    def _see_orders(self, state: State, clock: Clock) -> None:
        times = [order.at for order in state.orders]
        count = bisect_right(times, self.now)
        totals = [order.total for order in state.orders[:count]]
        self.orders: dict[int | None, int] = {None: state.past_orders + count}
        self.spend: dict[int | None, int] = {None: state.past_spend + sum(totals)}
        for span in WINDOWS:
            start = bisect_right(times, self.now - span * DAY, hi=count)
            self.orders[span], self.spend[span] = count - start, sum(totals[start:])
        self.year = state.orders[count - self.orders[YEAR] : count]
        firsts = [at for at in (state.past_first, times[0] if count else None) if at is not None]
        self.first_order = min(firsts) if firsts else None
        walls = [clock.local(order.at) for order in self.year]
        self.minutes = [wall % DAY // MINUTE for wall in walls]
        self.weekdays = [(wall // DAY + MONDAY) % 7 for wall in walls]

    def _see_lines(self, state: State) -> None:
        amounts: tuple[dict[int, int], ...] = ({}, {}, {})
        recent: set[int] = set()
        limit = self.now - 30 * DAY
        departments, categories, brands = amounts
        for order in self.year:
            for department, category, brand, amount in order.lines:
                departments[department] = departments.get(department, 0) + amount
                categories[category] = categories.get(category, 0) + amount
                brands[brand] = brands.get(brand, 0) + amount
            if order.at > limit:
                recent.update(line[1] for line in order.lines)
        self.departments, self.categories, self.brands = (_named(state.words, found) for found in amounts)
        self.departments_total = sum(self.departments.values())
        self.recent_categories = [state.words[word] for word in recent if word >= 0]

    def last(self, name: str) -> int | None:
        """When the last event of the name was."""
        times = self.state.names.get(name)
        if times is None:
            return None
        if times[-1] <= self.now and len(times) > 1:
            return times[-1]
        place = bisect_right(times, self.now, lo=1)
        return times[place - 1] if place > 1 else None

    def since(self, name: str) -> int | None:
        """Microseconds since the last event of the name."""
        last = self.last(name)
        return None if last is None else self.now - last

    def coupons(self, days: int) -> int:
        """Coupons redeemed in the window."""
        return sum(one.coupons for one in self.state.redeemed if self._within(one.at, days))

    def answered(self, days: int) -> int:
        """Different contents redeemed in the window."""
        found = {one.content_key for one in self.state.redeemed if self._within(one.at, days)}
        return len(found - {None})

    def campaigns(self, days: int) -> int:
        """Campaigns received in the window."""
        received = self.state.received
        return bisect_right(received, self.now) - bisect_right(received, self.now - days * DAY)

    def saved(self, column: str) -> float | None:
        """What discounts took off the full price of the last 365 days."""
        saved = cents_of(sum(map(attrgetter(column), self.year)))
        return ratio_of(saved, saved + cents_of(self.spend[YEAR]))

    def _within(self, at: int, days: int) -> bool:
        return self.now - days * DAY < at <= self.now


def _named(words: list[str], amounts: dict[int, int]) -> dict[str, int]:
    """Cents by name, without what has none."""
    return {words[word]: cents_of(amount) for word, amount in amounts.items() if word >= 0}
