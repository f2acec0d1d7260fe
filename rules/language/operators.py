"""Comes in: an operator's word. Goes out: its meaning for one customer, for a frame, and the types it fits.

This is the only list of operators. An operator that is added here (and in the grammar) works everywhere.
"""

from dataclasses import dataclass

from rules.language import comparing, dates, texts
from rules.language.comparing import Answer, AskPython, Frame, One

ORDERED = ("text", "number", "date", "version")
LISTS = ("text_list", "number_list")
ALL = ("text", "number", "boolean", "date", "version", *LISTS)


@dataclass(frozen=True, slots=True)
class Operator:
    """`one`: a value and a literal to an answer; `frame`: one view of a column and a literal to an
    expression.

    `fits` are the types of facts it can be asked about.
    """

    one: One
    frame: Frame
    fits: tuple[str, ...]


OPERATORS: dict[str, Operator] = {
    "=": Operator(comparing.equal, comparing.frame_compare("="), ALL),
    "<": Operator(comparing.less, comparing.frame_compare("<"), ORDERED),
    "<=": Operator(comparing.at_most, comparing.frame_compare("<="), ORDERED),
    ">": Operator(comparing.more, comparing.frame_compare(">"), ORDERED),
    ">=": Operator(comparing.at_least, comparing.frame_compare(">="), ORDERED),
    "BETWEEN": Operator(comparing.between, comparing.frame_between, ORDERED),
    "IN": Operator(comparing.inside, comparing.frame_inside, ALL),
    "IN SEGMENT": Operator(comparing.equal, comparing.frame_compare("="), LISTS),
    "CONTAINS": Operator(texts.contains, texts.frame_contains, ("text", *LISTS)),
    "STARTS WITH": Operator(texts.starts_with, texts.frame_starts_with, ("text",)),
    "ENDS WITH": Operator(texts.ends_with, texts.frame_ends_with, ("text",)),
    "MATCHES": Operator(texts.matches_pattern, texts.frame_matches_pattern, ("text",)),
    "BEFORE": Operator(dates.before, dates.frame_before, ("date",)),
    "AFTER": Operator(dates.after, dates.frame_after, ("date",)),
    "ON": Operator(dates.on_day, dates.frame_on_day, ("date",)),
    "WITHIN LAST": Operator(dates.within_last, dates.frame_within_last, ("date",)),
    "WITHIN NEXT": Operator(dates.within_next, dates.frame_within_next, ("date",)),
    "IS EMPTY": Operator(texts.empty, texts.frame_empty, ("text", *LISTS)),
}

__all__ = ["ALL", "LISTS", "OPERATORS", "ORDERED", "Answer", "AskPython", "Operator"]
