"""Comes in: a text or list (or a column of them). Goes out: CONTAINS, STARTS/ENDS WITH, MATCHES, IS EMPTY,
two shapes each.

Ignoring case is comparing casefolded texts (Unicode, section 3.13), which Polars has no word for; those
columns, and patterns, are answered by Python once for each distinct text.
"""

from functools import partial
from typing import Any

import polars as pl

from rules.language.columns import View, by_value
from rules.language.comparing import Answer, One, equal, frame_compare
from rules.language.patterns import program


def contains(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    """Part of a text, or an item of a list."""
    if type(value) is list:
        return equal(value, wanted, now, ignoring)
    both = _texts(value, wanted, ignoring)
    return None if both is None else both[1] in both[0]


def frame_contains(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    if view.kind == "list":
        return frame_compare("=")(view, wanted, now, ignoring)
    if view.kind != "text" or type(wanted) is not str:
        return None
    if ignoring:
        return _through(contains, view, wanted)
    return view.expr.str.contains(wanted, literal=True)


def starts_with(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    both = _texts(value, wanted, ignoring)
    return None if both is None else both[0].startswith(both[1])


def frame_starts_with(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    if view.kind != "text" or type(wanted) is not str:
        return None
    return _through(starts_with, view, wanted) if ignoring else view.expr.str.starts_with(wanted)


def ends_with(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    both = _texts(value, wanted, ignoring)
    return None if both is None else both[0].endswith(both[1])


def frame_ends_with(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    if view.kind != "text" or type(wanted) is not str:
        return None
    return _through(ends_with, view, wanted) if ignoring else view.expr.str.ends_with(wanted)


def matches_pattern(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    """The pattern is found somewhere in the text."""
    if type(value) is not str:
        return None
    try:
        return program(wanted, ignoring).search(value) is not None
    except UnicodeEncodeError:  # half a surrogate pair: RE2 reads UTF-8, in which it cannot be written
        return None


def frame_matches_pattern(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    """Polars has the patterns of Rust, which differ from RE2 in what a letter and a digit is."""
    if view.kind != "text":
        return None
    return by_value(view.expr, lambda value: matches_pattern(value, wanted, now, ignoring))


def empty(value: Any, wanted: Any, now: int, ignoring: bool) -> Answer:
    """A text or a list without anything in it."""
    return not value if type(value) is str or type(value) is list else None


def frame_empty(view: View, wanted: Any, now: int, ignoring: bool) -> pl.Expr | None:
    if view.kind == "text":
        return view.expr == pl.lit("")
    return view.expr.list.len() == 0 if view.kind == "list" else None


def _texts(value: Any, wanted: Any, ignoring: bool) -> tuple[str, str] | None:
    if type(value) is not str or type(wanted) is not str:
        return None
    return (value.casefold(), wanted.casefold()) if ignoring else (value, wanted)


def _through(one: One, view: View, wanted: str) -> pl.Expr:
    return by_value(view.expr, partial(_ignoring_case, one, wanted))


def _ignoring_case(one: One, wanted: str, value: str) -> Answer:
    return one(value, wanted, 0, True)
