"""Comes in: a date (or a column of dates). Goes out: BEFORE, AFTER, ON and WITHIN, in their two shapes.

A date is a datetime, or a text written as ISO 8601 / RFC 3339 has it; the clock is microseconds since 1970
UTC.
"""

from functools import partial
from typing import Any

import polars as pl

from rules.language.columns import View, by_value
from rules.language.comparing import Answer, One, instant, micros_of
from rules.language.values import DAY, Span, read_moment


def before(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    read, other = micros_of(value), _date(wanted, now)
    return None if read is None or other is None else read < other


def frame_before(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    other = _date(wanted, now)
    if other is None or view.kind != "moment":
        return _texts(before, view, wanted, now)
    return view.expr < other


def after(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    read, other = micros_of(value), _date(wanted, now)
    return None if read is None or other is None else read > other


def frame_after(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    other = _date(wanted, now)
    if other is None or view.kind != "moment":
        return _texts(after, view, wanted, now)
    return view.expr > other


def on_day(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    """Within the 24 hours, in UTC, of the day the wanted instant falls in."""
    read, other = micros_of(value), _date(wanted, now)
    return None if read is None or other is None else read // DAY == other // DAY


def frame_on_day(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    other = _date(wanted, now)
    if other is None or view.kind != "moment":
        return _texts(on_day, view, wanted, now)
    start = other - other % DAY
    return view.expr.is_between(start, start + DAY, closed="left")


def within_last(value: Any, wanted: Span, now: int, ignoring: bool) -> Answer:
    read = micros_of(value)
    return None if read is None else now - wanted.micros <= read <= now


def frame_within_last(view: View, wanted: Span, now: int, ignoring: bool) -> pl.Expr | None:
    if view.kind != "moment":
        return _texts(within_last, view, wanted, now)
    return view.expr.is_between(now - wanted.micros, now)


def within_next(value: Any, wanted: Span, now: int, ignoring: bool) -> Answer:
    read = micros_of(value)
    return None if read is None else now <= read <= now + wanted.micros


def frame_within_next(view: View, wanted: Span, now: int, ignoring: bool) -> pl.Expr | None:
    if view.kind != "moment":
        return _texts(within_next, view, wanted, now)
    return view.expr.is_between(now, now + wanted.micros)


def _date(wanted: Any, now: int) -> int | None:
    return read_moment(wanted) if type(wanted) is str else instant(wanted, now)


def _texts(one: One, view: View, wanted: Any, now: int) -> pl.Expr | None:
    return by_value(view.expr, partial(_told, one, wanted, now)) if view.kind == "text" else None


def _told(one: One, wanted: Any, now: int, value: str) -> Answer:
    return one(value, wanted, now, False)
