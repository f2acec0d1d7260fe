"""Parsed conditions come in; what they compare each fact with comes out, so that it is known which changes matter.

cuts of numbers      a cut c tells values below c from c and above: `> 5` is cut by the next float after 5
no cuts              every change matters: texts, lists, one fact against another
keys made by `age`   cuts of how old a date is (µs), for dates that are compared with the clock
keys made by `day`   the same from the beginning (UTC) of the date's day, for `TODAY` and `ON`
keys made by `than`  two facts that are compared with one another
"""

from collections.abc import Iterable, Iterator, Mapping
from math import inf, nextafter
from typing import Final

from rules.language.nodes import Named, Node, Test, leaves
from rules.language.printer import operand_text
from rules.language.values import DAY, Relative, Span

Asked = Mapping[str, tuple[float, ...]]
BELOW: Final = frozenset({"=", "<", ">=", "BETWEEN", "IN"})
"""Operators that tell a value from what is just below it."""
ABOVE: Final = frozenset({"=", ">", "<=", "BETWEEN", "IN"})
"""Operators that tell a value from what is just above it."""
EARLIER: Final = {"BEFORE": "<", "AFTER": ">"}


def age(name: str) -> str:
    return f"\0age\0{name}"


def day(name: str) -> str:
    return f"\0day\0{name}"


def than(one: str, other: str) -> str:
    return f"\0than\0{one}\0{other}"


def thresholds(nodes: Iterable[Node]) -> dict[str, tuple[float, ...]]:
    """What these conditions compare each fact with, by the fact's name or the canonical text of a history.

    Numbers are in the fact's unit, rising; an empty tuple says that every change matters. To be handed to
    `expiring.next_change`; ask for all conditions at once, because what one asks another does not.
    """
    cuts: dict[str, set[float]] = {}
    everything = set[str]()
    for node in nodes:
        for leaf in leaves(node):
            if isinstance(leaf, Test):
                for key, cut in _asked(leaf):
                    mine = cuts.setdefault(key, set())
                    if cut is None:
                        everything.add(key)
                    else:
                        mine.add(cut)
    return {key: () if key in everything else tuple(sorted(mine)) for key, mine in cuts.items()}


def _asked(test: Test) -> Iterator[tuple[str, float | None]]:
    """Keys and cuts; None for every change."""
    name = operand_text(test.operand)
    if test.operator == "IS MISSING":
        yield name, -inf
        return
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    for place, value in enumerate(values):
        operator = (">=", "<=")[place] if test.operator == "BETWEEN" else test.operator
        kind = type(value)
        if kind is int or kind is float:
            for cut in _of_number(operator, value):  # type: ignore[arg-type]
                yield name, cut
        else:
            yield name, None
            yield from _of_other(name, operator, value)


def _of_number(operator: str, number: float) -> Iterator[float]:
    try:
        near = float(number)
    except OverflowError:
        return  # no fact is as large
    if operator in BELOW or near != number:
        yield near
    if operator in ABOVE or near != number:
        yield nextafter(near, inf)
    if near > number:
        yield nextafter(near, -inf)


def _of_other(name: str, operator: str, value: object) -> Iterator[tuple[str, float | None]]:
    if isinstance(value, Named):
        yield value.name, None
        yield than(name, value.name), None
    elif isinstance(value, Span):
        ends = (0, value.micros + 1) if operator == "WITHIN LAST" else (-value.micros, 1)
        yield from ((age(name), float(end)) for end in ends)
    elif isinstance(value, Relative) and value.word == "TODAY":
        yield from ((day(name), float(end)) for end in (0, DAY))
    elif isinstance(value, Relative):
        yield from _of_clock(name, EARLIER.get(operator, operator), -value.micros(0))


def _of_clock(name: str, operator: str, old: int) -> Iterator[tuple[str, float | None]]:
    """A date compared with the moment `old` microseconds ago: the older a date, the smaller it is."""
    if operator == "ON":
        yield from ((day(name), float(end)) for end in (old, old + DAY))
    if operator in ABOVE:
        yield age(name), float(old)
    if operator in BELOW:
        yield age(name), float(old + 1)
