"""Counts of one event by hour in; when it fell silent and when its volume jumped, out. Pure.

What to expect is the median of the same weekday (and hour) over the other weeks. Silence is reported where it would be
a chance of less than one in a million, were events independent (a Poisson count; Chernoff's bound, 1952).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]
HOUR: Final = timedelta(hours=1)
IMPROBABLE: Final = 1e-6
FEWEST_DAYS: Final = 21  # three of each weekday
RECENT: Final = 7
TWICE: Final = 2.0
SPREADS: Final = 5.0  # median absolute deviations, as standard deviations of a normal distribution
TO_DEVIATION: Final = 1.4826


class Gap(NamedTuple):
    """From `start` until `end` nothing came where about `expected` were to be; `ongoing`: it has not ended."""

    start: datetime
    end: datetime
    expected: float
    ongoing: bool


class Jump(NamedTuple):
    """On `day` came so many where about `usual` were to be."""

    day: date
    came: int
    usual: float


@dataclass(frozen=True)
class Calendar:
    """The full hours from `start` (UTC, a full hour) until `end`, and the local weekday, hour and day of each."""

    start: datetime
    end: datetime
    zone: str

    @cached_property
    def size(self) -> int:
        return max(0, int((self.end - self.start) / HOUR))

    @cached_property
    def local(self) -> list[datetime]:
        zone = ZoneInfo(self.zone)
        return [(self.start + place * HOUR).astimezone(zone) for place in range(self.size)]

    @cached_property
    def weekhours(self) -> npt.NDArray[np.int64]:
        """0 to 167, Monday at midnight first: an hour that the clock skips or repeats is no gap and no jump."""
        return np.array([24 * at.weekday() + at.hour for at in self.local], np.int64)

    @cached_property
    def days(self) -> npt.NDArray[np.int64]:
        """Which local day each hour is of, by its ordinal."""
        return np.array([at.date().toordinal() for at in self.local], np.int64)

    def counted(self, hours: Mapping[datetime, int]) -> Counts:
        """Counts in the order of the hours."""
        found = np.zeros(self.size)
        for at, count in hours.items():
            place = int((at - self.start) // HOUR)
            if 0 <= place < self.size:
                found[place] += count
        return found

    def at(self, place: int) -> datetime:
        """When the hour at a place began (UTC)."""
        return self.start + place * HOUR


def calendar(now: datetime, days: int, zone: str) -> Calendar:
    """The last so many days, up to the last full hour; from a local midnight on."""
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = (now.astimezone(ZoneInfo(zone)) - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    start = first.astimezone(UTC)
    return Calendar(start.replace(minute=0), end, zone)


def improbable(count: float, expected: float) -> bool:
    """Whether a Poisson count so far from its expectation, on this side, has a chance below `IMPROBABLE`."""
    if expected <= 0:
        return False
    exponent = expected - count + (count * math.log(count / expected) if count > 0 else 0.0)
    return exponent > -math.log(IMPROBABLE)


def gaps(counts: Counts, when: Calendar) -> list[Gap]:
    """Silences, the longest expected loss first: whole days for rare events, hours for frequent ones."""
    begun = np.flatnonzero(counts)
    if not len(begun) or when.days[-1] - when.days[begun[0]] < FEWEST_DAYS:
        return []
    # Only full hours and days since the event was first seen tell what is usual.
    since = int(begun[0])
    hourly = _usual(counts[since:], when.weekhours[since:])
    found = list(_silences(counts, hourly, since, when))
    daily = _by_days(counts, when, since)
    found += [gap for gap in daily if not any(gap.start < other.end and other.start < gap.end for other in found)]
    return sorted(found, key=lambda gap: -gap.expected)


def _silences(counts: Counts, usual: Counts, since: int, when: Calendar) -> Iterator[Gap]:
    for start, end in _runs(counts[since:] == 0):
        expected = float(usual[start:end].sum())
        if improbable(0, expected):
            # Hours in which nothing was to be expected at the ends are not part of it.
            busy = np.flatnonzero(usual[start:end] > 0)
            first, last = since + start + int(busy[0]), since + start + int(busy[-1]) + 1
            ongoing = since + end == len(counts)
            yield Gap(when.at(first), when.end if ongoing else when.at(last), expected, ongoing)


def _by_days(counts: Counts, when: Calendar, since: int) -> list[Gap]:
    numbers, sums = _daily(counts, when, since)
    usual = _usual(sums, numbers % 7)
    found = []
    for start, end in _runs(sums == 0):
        expected = float(usual[start:end].sum())
        if improbable(0, expected):
            ongoing = end == len(sums)
            ends = (_midnight(int(numbers[start]), when), _midnight(int(numbers[end - 1]) + 1, when))
            found.append(Gap(ends[0], when.end if ongoing else ends[1], expected, ongoing))
    return found


def jumps(counts: Counts, when: Calendar) -> list[Jump]:
    """Days of the last week with half or twice what is usual, far beyond chance and beyond the usual scatter."""
    begun = np.flatnonzero(counts)
    if not len(begun) or when.days[-1] - when.days[begun[0]] < FEWEST_DAYS:
        return []
    numbers, sums = _daily(counts, when, int(begun[0]))
    found = []
    for place in range(max(0, len(sums) - RECENT), len(sums)):
        before = sums[:place][numbers[:place] % 7 == numbers[place] % 7]
        if len(before) >= 3 and sums[place] > 0 and _stands_out(float(sums[place]), before):
            day = date.fromordinal(int(numbers[place]))
            found.append(Jump(day, int(sums[place]), float(np.median(before))))
    return found


def _stands_out(count: float, before: Counts) -> bool:
    usual = float(np.median(before))
    scatter = SPREADS * TO_DEVIATION * float(np.median(np.abs(before - usual)))
    apart = count >= TWICE * usual or count <= usual / TWICE
    return apart and abs(count - usual) > scatter and improbable(count, usual)


def _daily(counts: Counts, when: Calendar, since: int) -> tuple[npt.NDArray[np.int64], Counts]:
    """The full local days after the first event's, and their sums; today is not over."""
    first, today = int(when.days[since]) + 1, int(when.days[-1])
    numbers = np.arange(first, today, dtype=np.int64)
    sums = np.bincount(when.days - when.days[0], counts)[first - int(when.days[0]) : today - int(when.days[0])]
    return numbers, np.asarray(sums, np.float64)


def _usual(counts: Counts, labels: npt.NDArray[np.int64]) -> Counts:
    """For each place the median of all places with its label."""
    found = np.zeros(len(counts))
    for label in np.unique(labels):
        same = labels == label
        found[same] = np.median(counts[same])
    return found


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, end) of each run of what is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _midnight(number: int, when: Calendar) -> datetime:
    day = date.fromordinal(number)
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(when.zone)).astimezone(UTC)
