"""A time zone and microseconds since 1970 come in; the time on the zone's wall, and what day that is, come out."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from decisioning.customers.facts.state import DAY, EPOCH, MICROSECOND, QUARTER

FIRST_DAY: Final = date(1970, 1, 1).toordinal()
MOST_QUARTERS: Final = 250_000  # that are remembered: seven years of them


class Clock(dict[int, int | None]):
    """A zone's offset from UTC in microseconds, by the day in UTC; None for a day on which it changes."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.days = Days(self)

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


class Days(dict[int, int]):
    """The local day, since 1970, of each quarter of an hour since 1970 in UTC: none holds the end of one."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __missing__(self, quarter: int) -> int:
        if len(self) > MOST_QUARTERS:
            self.clear()
        self[quarter] = self.clock.local(quarter * QUARTER) // DAY
        return self[quarter]


@lru_cache(maxsize=64)
def clock_of(time_zone: str) -> Clock:
    return Clock(ZoneInfo(time_zone))


class Calendar(dict[int, tuple[int, int, int]]):
    """Of a day since 1970 the weekday (Monday is 0), the place in its year (from 0) and the quarter (from 1)."""

    def __missing__(self, day: int) -> tuple[int, int, int]:
        date_of = date.fromordinal(day + FIRST_DAY)
        self[day] = date_of.weekday(), date_of.timetuple().tm_yday - 1, (date_of.month + 2) // 3
        return self[day]


CALENDAR: Final = Calendar()
