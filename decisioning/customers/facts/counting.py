"""Names and times of events come in; how often each was in which hour comes out, as short as it can be kept.

What is shown to customers, sent to them and looked at by them happens often. So it is kept by the hour: an event is in
a window of n days until n days after the hour it fell in began.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final

from decisioning.customers.facts.events import (
    CLICKED,
    CONVERTED,
    FOLLOWED,
    OPENED,
    RECEIVED,
    SEARCHED,
    SENT,
    SHOWN,
    VIEWED,
)
from decisioning.customers.facts.measures import DAY, HOUR, YEAR
from decisioning.customers.facts.state import Hours

COUNTED: Final = {
    RECEIVED: YEAR,
    SEARCHED: 30,
    **dict.fromkeys((VIEWED, SHOWN, CLICKED, CONVERTED, SENT, OPENED, FOLLOWED), 90),
}
"""For how many days events of a name are kept by the hour."""
FIRST_HOUR: Final = 473_352
"""Hours are counted from 2024 on, so that they stay numbers of two bytes for years."""


def hour_of(at: int) -> int:
    return at // HOUR - FIRST_HOUR


def start_of(hour: int) -> int:
    """Microseconds since 1970."""
    return (hour + FIRST_HOUR) * HOUR


def count(hours: dict[str, Hours], name: str, at: int) -> None:
    """Count one more, early or late."""
    hour = at // HOUR - FIRST_HOUR
    mine = hours.get(name)
    if mine is None:
        hours[name] = [hour, 1]
    elif mine[-2] == hour:
        mine[-1] += 1
    elif mine[-2] < hour:
        mine += (hour, 1)
    else:
        place = bisect_left(mine[::2], hour) * 2
        if mine[place] == hour:
            mine[place + 1] += 1
        else:
            mine[place:place] = [hour, 1]


def join(whole: dict[str, Hours], others: Mapping[str, Hours]) -> None:
    """Add another state's counts, which stay as they are."""
    for name, other in others.items():
        mine = whole.get(name)
        whole[name] = list(other) if mine is None else _joined(mine, other)


def _joined(one: Hours, other: Hours) -> Hours:
    times = dict(zip(one[::2], one[1::2], strict=True))
    for hour, number in zip(other[::2], other[1::2], strict=True):
        times[hour] = times.get(hour, 0) + number
    return [value for hour in sorted(times) for value in (hour, times[hour])]


def forget(hours: dict[str, Hours], name: str, limit: int) -> None:
    """Drop hours that began by then (µs), and with the last of them the name."""
    mine, last = hours[name], limit // HOUR - FIRST_HOUR
    if mine[0] <= last:
        del mine[: bisect_left(mine[::2], last + 1) * 2]
        if not mine:
            del hours[name]


def number_in(hours: Sequence[int], now: int, days: int) -> int:
    """How often in the last `days` days."""
    last = (now - days * DAY) // HOUR - FIRST_HOUR
    if hours[0] > last:
        return hours[1] if len(hours) == 2 else sum(hours[1::2])
    return 0 if hours[-2] <= last else sum(hours[2 * bisect_left(hours[::2], last + 1) + 1 :: 2])
