"""Silences and jumps are found where chance cannot explain them, and nowhere else; summer time is neither."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from decisioning.customers.quality.rhythm import HOUR, Calendar, Counts, calendar, gaps, improbable, jumps

NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)  # a Monday
WHEN = calendar(NOW, 91, "UTC")


def shop(rate: float, seed: int = 1, when: Calendar = WHEN) -> Counts:
    """Poisson counts: open from 8 to 20 by local time, half as many on Sundays."""
    rng = np.random.default_rng(seed)
    hour, weekday = when.weekhours % 24, when.weekhours // 24
    busy = np.where((hour >= 8) & (hour < 20), rate, 0.0) * np.where(weekday == 6, 0.5, 1.0)
    return rng.poisson(busy).astype(float)


def between(start: datetime, end: datetime, when: Calendar = WHEN) -> slice:
    return slice(int((start - when.start) / HOUR), int((end - when.start) / HOUR))


def test_the_calendar_ends_with_the_last_full_hour_and_begins_at_a_midnight() -> None:
    assert WHEN.end == datetime(2026, 3, 2, 15, tzinfo=UTC)
    assert WHEN.start == datetime(2025, 12, 1, tzinfo=UTC)
    assert WHEN.size == 91 * 24 + 15
    assert WHEN.counted({WHEN.start: 2, WHEN.at(5): 3, WHEN.end: 7, WHEN.start - HOUR: 9}).tolist()[:6] == [
        2,
        0,
        0,
        0,
        0,
        3,
    ]


@pytest.mark.parametrize("rate", [0.1, 2.0, 50.0])
def test_a_shop_that_closes_at_night_has_no_gaps(rate: float) -> None:
    for seed in range(5):
        assert gaps(shop(rate, seed), WHEN) == []
        assert jumps(shop(rate, seed), WHEN) == []


def test_some_silent_hours_of_a_busy_event_are_a_gap() -> None:
    counts = shop(50)
    start, end = datetime(2026, 2, 11, 10, tzinfo=UTC), datetime(2026, 2, 11, 13, tzinfo=UTC)
    counts[between(start, end)] = 0
    [gap] = gaps(counts, WHEN)
    assert (gap.start, gap.end, gap.ongoing) == (start, end, False)
    assert gap.expected == pytest.approx(150, rel=0.2)


def test_a_rare_event_is_missed_after_days() -> None:
    counts = shop(0.25)
    start, end = datetime(2026, 1, 12, tzinfo=UTC), datetime(2026, 1, 26, tzinfo=UTC)
    counts[between(start, start + timedelta(days=2))] = 0
    assert gaps(counts, WHEN) == []
    counts[between(start, end)] = 0
    [gap] = gaps(counts, WHEN)
    assert gap.start <= start and gap.end >= end
    assert not gap.ongoing


def test_a_silence_that_has_not_ended_is_told_as_such() -> None:
    counts = shop(50)
    start = datetime(2026, 3, 1, 8, tzinfo=UTC)
    counts[between(start, WHEN.end)] = 0
    [gap] = gaps(counts, WHEN)
    assert (gap.start, gap.end, gap.ongoing) == (start, WHEN.end, True)


def test_before_the_first_event_nothing_is_missed_and_a_young_one_is_not_judged() -> None:
    counts = shop(50)
    counts[: 40 * 24] = 0
    assert gaps(counts, WHEN) == []
    counts[: 80 * 24] = 0
    counts[-60:] = 0
    assert gaps(counts, WHEN) == jumps(counts, WHEN) == []
    assert gaps(np.zeros(WHEN.size), WHEN) == jumps(np.zeros(WHEN.size), WHEN) == []


def test_a_day_with_thrice_or_a_third_of_the_usual_is_a_jump() -> None:
    for factor in (3, 1 / 3):
        counts = shop(20)
        day = between(datetime(2026, 2, 26, tzinfo=UTC), datetime(2026, 2, 27, tzinfo=UTC))
        counts[day] = (counts[day] * factor).round()
        [jump] = jumps(counts, WHEN)
        assert jump.day == datetime(2026, 2, 26).date()
        assert jump.came == counts[day].sum()
        assert jump.usual == pytest.approx(240, rel=0.1)


def test_an_event_of_wild_days_does_not_jump() -> None:
    rng = np.random.default_rng(5)
    wild = shop(20) * np.repeat(rng.choice([0.2, 1, 4], 92), 24)[: WHEN.size]
    assert len(jumps(wild.round(), WHEN)) <= 1


def test_the_hours_that_summer_time_skips_and_shifts_are_no_gap() -> None:
    when = calendar(datetime(2026, 4, 20, 12, tzinfo=UTC), 60, "Europe/Berlin")
    counts = shop(50, when=when)
    assert counts.sum() > 0
    assert gaps(counts, when) == []


def test_what_is_improbable_is_so_at_least_a_millionfold() -> None:
    assert not improbable(0, 13.8)
    assert improbable(0, 13.9)
    assert improbable(300, 200)
    assert not improbable(210, 200)
    assert not improbable(5, 0)
