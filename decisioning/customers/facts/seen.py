"""A customer's state and a moment come in; what was known then, counted in windows, comes out, ready for formulas.

Nothing is counted before a formula asks for it, and nothing twice.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from decisioning.customers.facts import activity, counting, sighting
from decisioning.customers.facts.baskets import ANSWERED, LIFE, Basket, basket_of, unanswered
from decisioning.customers.facts.clocks import CALENDAR, Clock
from decisioning.customers.facts.events import ORDER
from decisioning.customers.facts.lazy import once, part
from decisioning.customers.facts.measures import DAY, UNITS, WINDOWS, YEAR, cents_of, ratio_of
from decisioning.customers.facts.state import QUARTER, Bought, State
from decisioning.customers.facts.telling import traits_of

MINUTE: Final = 60_000_000
SPANS: Final = tuple((days, days * DAY) for days in WINDOWS)


class Seen:
    """What formulas read of one customer at `now` (microseconds). Windows are in days, None is all-time.

    Nothing in the state lies after `now`. `consents` are the channels that were allowed, by name. `scores` are for
    formulas that share some.
    """

    def __init__(self, state: State, now: int, clock: Clock, consents: Sequence[str] = ()) -> None:
        self.state, self.now, self.clock, self.consents = state, now, clock, consents
        self.scores: dict[object, list[int | None]] = {}

    def at(self, later: int) -> "Seen":
        """The same customer at another moment, when nothing has happened since."""
        return Seen(self.state, later, self.clock, self.consents)

    @once
    def traits(self) -> dict[str, Any]:
        return traits_of(self.state)

    # -- visits and sessions

    def _see_visits(self) -> None:
        days, now = self.clock.days, self.now
        # Of a local day the last one stays.
        last = {days[at // QUARTER]: at for at in self.state.ends}
        ends = sorted(last.values())
        number = len(ends)
        visits: dict[int | None, int] = {window: number - bisect_right(ends, now - span) for window, span in SPANS}
        if self.state.visited:
            number = len({days[quarter] for quarter in self.state.visited} | last.keys())
        visits[None] = number
        self.__dict__["visit_ends"], self.__dict__["visits"] = ends, visits

    visit_ends: part[list[int]] = part(_see_visits)
    """The last activity of each local day that was not forgotten, rising."""
    visits: part[dict[int | None, int]] = part(_see_visits)
    """Days with activity, by window."""

    def _see_sessions(self) -> None:
        state, now = self.state, self.now
        firsts, ends, counts = activity.sessions(state.starts, state.ends, state.counts)
        number = len(ends)
        sessions = {days: number - bisect_right(ends, now - span) for days, span in SPANS}
        start, found = number - sessions[90], self.__dict__
        length = sum(ends[start:]) - sum(firsts[start:])
        found["session_ends"], found["sessions"] = ends, sessions
        found["stays"] = (number - start, length, sum(counts[start:]))

    session_ends: part[list[int]] = part(_see_sessions)
    sessions: part[dict[int, int]] = part(_see_sessions)
    """How many sessions ended in each window."""
    stays: part[tuple[int, int, int]] = part(_see_sessions)
    """Of the sessions of the last 90 days: how many, how long together (µs), and their events."""

    # -- orders

    def _see_orders(self) -> None:
        mine, now = self.state.orders, self.now
        times, totals = [order.at for order in mine], [order.total for order in mine]
        number, start = len(times), 0
        orders: dict[int | None, int] = {None: self.state.past_orders + number}
        spend: dict[int | None, int] = {None: self.state.past_spend + sum(totals)}
        for days, span in SPANS:
            start = bisect_right(times, now - span)
            orders[days], spend[days] = number - start, sum(totals[start:])
        found = self.__dict__
        # The last window is the year.
        found["order_times"], found["orders"], found["spend"], found["year"] = times, orders, spend, mine[start:]

    order_times: part[list[int]] = part(_see_orders)
    orders: part[dict[int | None, int]] = part(_see_orders)
    """How many, by window."""
    spend: part[dict[int | None, int]] = part(_see_orders)
    """Units, by window."""
    year: part[list[Bought]] = part(_see_orders)
    """The orders of the last 365 days."""

    @once
    def first_order(self) -> int | None:
        return activity.least(self.state.past_first, self.order_times[0] if self.order_times else None)

    def _see_rhythm(self) -> None:
        local, found = self.clock.local, self.__dict__
        minutes, weekdays, seasons, quarters = [], [], [], []
        for order in self.year:
            wall = local(order.at)
            weekday, season, quarter = CALENDAR[wall // DAY]
            minutes.append(wall % DAY // MINUTE)
            weekdays.append(weekday)
            seasons.append(season)
            quarters.append(quarter)
        found["minutes"], found["weekdays"], found["seasons"], found["quarters"] = minutes, weekdays, seasons, quarters

    # Of the orders of the year, on the clock of the vocabulary's zone: minute of the day, weekday (Monday is 0), day of
    # the year (from 0) and quarter of the year (from 1).
    minutes: part[list[int]] = part(_see_rhythm)
    weekdays: part[list[int]] = part(_see_rhythm)
    seasons: part[list[int]] = part(_see_rhythm)
    quarters: part[list[int]] = part(_see_rhythm)

    # -- what was bought

    @once
    def amounts(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Cents by department, category and brand, last 365 days."""
        departments: dict[int, int] = {}
        categories: dict[int, int] = {}
        brands: dict[int, int] = {}
        for order in self.year:
            for department, category, brand, amount in order.lines:
                departments[department] = departments.get(department, 0) + amount
                categories[category] = categories.get(category, 0) + amount
                brands[brand] = brands.get(brand, 0) + amount
        return self._named(departments), self._named(categories), self._named(brands)

    def _named(self, amounts: dict[int, int]) -> dict[str, int]:
        """Cents by name, without what has none."""
        amounts.pop(-1, None)
        words, half, cent = self.state.words, UNITS // 200, UNITS // 100  # as `cents_of`, without its call
        return {words[word]: (amount + half) // cent for word, amount in amounts.items()}

    @once
    def shares(self) -> dict[str, float | None] | None:
        """Of all that was spent on departments, what went to each; None without spend."""
        departments = self.amounts[0]
        total = sum(departments.values())
        return {name: ratio_of(cents, total) for name, cents in departments.items()} if total > 0 else None

    @once
    def recent_categories(self) -> list[str]:
        """Categories bought from in the last 30 days."""
        limit, words = self.now - 30 * DAY, self.state.words
        recent = {line[1] for order in self.year if order.at > limit for line in order.lines}
        return [words[word] for word in recent if word >= 0]

    def saved(self, column: str) -> float | None:
        """What discounts took off the full price of the last 365 days."""
        saved = cents_of(sum([getattr(order, column) for order in self.year]))
        return ratio_of(saved, saved + cents_of(self.spend[YEAR]))

    # -- baskets, looks and searches

    @once
    def basket(self) -> Basket:
        touches = self.state.touches
        return basket_of(touches, max(self.last(ORDER) or 0, self.now - LIFE)) if touches else Basket()

    def abandoned(self, days: int) -> int:
        """Checkouts in the window that no order followed."""
        if not self.state.checkouts:
            return 0
        found = unanswered(self.state.checkouts, self.order_times)
        return sum(self.now - days * DAY < at <= self.now - ANSWERED for at in found)

    @once
    def looks(self) -> dict[str, int]:
        """Looks at products by category, last 90 days."""
        limit = counting.hour_of(self.now - 90 * DAY)
        found: dict[str, int] = {}
        for name, hours in self.state.viewed.items():
            if name and hours[-2] > limit:
                found[name] = sum(hours[1::2]) if hours[0] > limit else counting.number_in(hours, self.now, 90)
        return found

    def number(self, name: str, days: int) -> int:
        """How many events of a counted name there were in the window."""
        hours = self.state.counted.get(name)
        return 0 if hours is None else counting.number_in(hours, self.now, days)

    # -- when and where

    def last(self, name: str) -> int | None:
        """When the last event of the name was."""
        times = self.state.names.get(name)
        return None if times is None else times[1]

    def told(self, unit: int, place: int) -> str | None:
        """What was last told of one of `contexts.UNITS`, at that place of it."""
        sight = self.state.sights.get(unit)
        return None if sight is None else sight[1][place] or None

    def systems(self, days: int) -> int:
        """Different devices with their systems in the window."""
        limit = self.now // DAY - days
        return sum([mine[-1] > limit for mine in self.state.devices.values()])

    def usual_device(self) -> str | None:
        devices = self.state.devices
        return sighting.usual(sighting.by_kind(devices), self.now) if devices else None

    def usual_country(self) -> str | None:
        countries = self.state.countries
        return sighting.usual(countries, self.now) if countries else None

    # -- redemptions

    def coupons(self, days: int) -> int:
        """Coupons redeemed in the window."""
        limit = self.now - days * DAY
        return sum([one.coupons for one in self.state.redeemed if one.at > limit])

    def answered(self, days: int) -> int:
        """Different contents redeemed in the window."""
        limit = self.now - days * DAY
        return len({one.content_key for one in self.state.redeemed if one.at > limit} - {None})
