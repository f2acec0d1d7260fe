"""A log is parted where both sides have something that has closed, whatever the length of its windows."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from decisioning.learning.dataset import CONVERSION, closed, split_by_time
from decisioning.learning.splitting import split_of

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def log(days: int, window: int) -> pl.DataFrame:
    """A showing an hour."""
    shown = [FIRST + timedelta(hours=hour) for hour in range(24 * days)]
    return pl.DataFrame(
        {
            "customer_id": list(range(len(shown))),
            "content_key": ["a"] * len(shown),
            "shown_at": shown,
            "closes_at": [at + window * DAY for at in shown],
            "converted_at": pl.Series([None] * len(shown), dtype=pl.Datetime("us", "UTC")),
        }
    )


@pytest.mark.parametrize(("days", "window"), [(28, 7), (60, 14), (120, 30), (16, 7), (365, 1), (18, 7)])
def test_both_sides_have_something_that_has_closed(days, window):
    rows, now = log(days, window), FIRST + days * DAY
    parts = split_by_time(closed(rows, now), split_of(rows, now, None, CONVERSION))
    assert min(parts.train.height, parts.test.height) >= 20


def test_with_short_windows_it_is_four_fifths():
    assert split_of(log(100, 1), FIRST + 101 * DAY, None, CONVERSION) - FIRST == pytest.approx(80 * DAY, abs=DAY)


def test_a_log_of_one_moment_is_not_parted_by_what_came_of_it():
    rows = log(2, 1).with_columns(pl.lit(FIRST).alias("shown_at"), pl.lit(FIRST + DAY).alias("closes_at"))
    assert split_of(rows, FIRST + 9 * DAY, None, CONVERSION) == FIRST


def test_where_nothing_has_closed_it_is_told_when_something_will_have():
    with pytest.raises(ValueError, match="has closed yet: first outcomes are known on 2026-01-08 00:00"):
        split_of(log(5, 7), FIRST + 5 * DAY, None, CONVERSION)
    with pytest.raises(ValueError, match=r"Nothing was shown from 2030-01-01 .* the newest is of 2026-01-28 23:00"):
        split_of(log(28, 7), FIRST + 28 * DAY, datetime(2030, 1, 1, tzinfo=UTC), CONVERSION)
