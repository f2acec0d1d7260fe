"""Comes in: a value (or a column) and what it is compared with. Goes out: =, <, BETWEEN and IN in their two
shapes.

For one customer an answer is True, False or None, for a frame an expression of true, false and null; None and
null say that the types do not fit, which counts as false whether negated or not.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl

from rules.language.columns import View, by_value
from rules.language.exact import COMPARE, against, constant, holding, items_equal
from rules.language.values import Moment, Relative, Version, read_moment, read_version, to_micros

FEW = 4  # up to so many texts are compared one by one rather than looked up
Answer = bool | None
One = Callable[[Any, Any, int, bool], Answer]
Frame = Callable[[View, Any, int, bool], pl.Expr | None]


class AskPython(Exception):
    """Raised by a frame shape for a mix of types that only the other shape knows."""


def pair(value: Any, wanted: Any, now: int, ignoring: bool) -> tuple[Any, Any] | None:
    """Two values that may be compared with one another, or None when their types do not fit."""
    kind, held = type(wanted), type(value)
    if kind is str:
        if held is str:
            return (value.casefold(), wanted.casefold()) if ignoring else (value, wanted)
        read = read_moment(wanted) if held is datetime else None
        return None if read is None else (to_micros(value), read)
    if kind is int or kind is float:
        return (value, wanted) if held is int or held is float else None
    if kind is bool:
        return (value, wanted) if held is bool else None
    if kind is Version:
        key = read_version(value) if held is str else None
        return None if key is None else (key, wanted.key)
    read, other = micros_of(value), instant(wanted, now)
    return None if read is None or other is None else (read, other)


def micros_of(value: Any) -> int | None:
    """The instant of a datetime, or of a text that is an ISO date."""
    kind = type(value)
    return to_micros(value) if kind is datetime else read_moment(value) if kind is str else None


def instant(wanted: Any, now: int) -> int | None:
    """The instant of a date literal, or of another fact's value."""
    kind = type(wanted)
    if kind is Moment:
        return int(wanted.micros)
    return wanted.micros(now) if kind is Relative else to_micros(wanted) if kind is datetime else None


def equal(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    """`=`: for a list, one of its items equals."""
    if type(value) is list:
        return any(type(item) is not list and equal(item, wanted, now, ignoring) for item in value)
    both = pair(value, wanted, now, ignoring)
    return None if both is None else bool(both[0] == both[1])


def less(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    both = pair(value, wanted, now, ignoring)
    return None if both is None or type(both[0]) is bool else bool(both[0] < both[1])


def at_most(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    both = pair(value, wanted, now, ignoring)
    return None if both is None or type(both[0]) is bool else bool(both[0] <= both[1])


def more(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    both = pair(value, wanted, now, ignoring)
    return None if both is None or type(both[0]) is bool else bool(both[0] > both[1])


def at_least(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    both = pair(value, wanted, now, ignoring)
    return None if both is None or type(both[0]) is bool else bool(both[0] >= both[1])


def between(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    """Both ends belong to it."""
    low, high = at_least(value, wanted[0], now, ignoring), at_most(value, wanted[1], now, ignoring)
    return None if low is None or high is None else low and high


def inside(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    """`IN`: equal to one of the values; of the wrong type only when no value of the list has its type."""
    answers = [equal(value, one, now, ignoring) for one in wanted]
    return True if True in answers else False if False in answers else None


ONE: dict[str, One] = {"=": equal, "<": less, "<=": at_most, ">": more, ">=": at_least}


def frame_compare(word: str) -> Frame:
    """The frame shape of `=`, `<`, `<=`, `>` and `>=`."""
    return partial(_compared, word)


def _compared(word: str, view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    if view.kind == "list":
        return _list_equal(view, wanted, ignoring) if word == "=" else None
    kind = type(wanted)
    if kind is int or kind is float:
        return against(view, word, wanted) if view.kind in ("whole", "number") else None
    if kind is bool:
        return view.expr == pl.lit(wanted) if view.kind == "flag" and word == "=" else None
    if view.kind == "moment":
        read = read_moment(wanted) if kind is str else instant(wanted, now)
        return None if read is None else COMPARE[word](view.expr, pl.lit(read, dtype=pl.Int64))
    if view.kind != "text":
        return None
    if kind is str and not ignoring:
        return COMPARE[word](view.expr, pl.lit(wanted, dtype=pl.String))
    return by_value(view.expr, partial(_answered, ONE[word], wanted, now, ignoring))


def _answered(one: One, wanted: Any, now: int, ignoring: bool, value: Any) -> Answer:
    return one(value, wanted, now, ignoring)


def _list_equal(view: View, wanted: Any, ignoring: bool) -> pl.Expr:
    kind = type(wanted)
    if kind is str and view.item == "text":
        if ignoring:
            raise AskPython
        return holding(view.expr, wanted, pl.String())
    if (kind is int or kind is float) and view.item in ("whole", "number"):
        return items_equal(view, wanted)
    if kind is bool and view.item == "flag":
        return holding(view.expr, wanted, pl.Boolean())
    if view.item == "text" and kind is not bool and kind is not int and kind is not float:
        raise AskPython  # dates and versions written as texts
    return constant(view.expr, False)


def frame_between(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    """The frame shape of `BETWEEN`."""
    low = _compared(">=", view, wanted[0], now, ignoring)
    high = _compared("<=", view, wanted[1], now, ignoring)
    if low is None or high is None:
        return None
    # Null and false is false in Polars, but half a comparison of the wrong type is no answer.
    return pl.when(low.is_not_null() & high.is_not_null()).then(low & high)


def frame_inside(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    """The frame shape of `IN`."""
    texts = [one for one in wanted if type(one) is str]
    if view.kind == "text" and not ignoring and len(texts) == len(wanted) > FEW:
        return view.expr.is_in(pl.Series(texts, dtype=pl.String).implode())
    if view.kind == "text" and (ignoring or len(texts) < len(wanted)):
        return by_value(view.expr, partial(_answered, inside, wanted, now, ignoring))
    answers = [_compared("=", view, one, now, ignoring) for one in wanted]
    known = [answer for answer in answers if answer is not None]
    return pl.any_horizontal(known) if known else None
