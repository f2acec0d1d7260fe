"""Comes in: one history, a customer's events one by one, the clock. Goes out: its state and its value.

Without a window every event counts, whatever its time; with one, those from `now - window` to `now`, both
ends included. A customer without such events has a COUNT, SUM and DISTINCT of 0, and no other value.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rules.language.aggregates import AGGREGATES, LARGEST, Scalar, State
from rules.language.comparing import micros_of
from rules.language.lookup import Facts, fact_of
from rules.language.nodes import Condition, History
from rules.language.values import plain

Event = Mapping[str, Any]
Holds = Callable[[Condition, Facts, int], bool]


def fold(history: History, state: State, event: Event, holds: Holds) -> State:
    """The state (plain JSON; None at the start) after one more event."""
    found = _reading(history, event, holds)
    if found is None:
        return state
    if history.window is not None:
        return [*(state or []), list(found)]
    return AGGREGATES[history.aggregate].step(state, *found)


def answer(history: History, state: State, now: int) -> Any:
    """The fact's value at `now` (microseconds), None when missing."""
    aggregate = AGGREGATES[history.aggregate]
    if history.window is None:
        return aggregate.result(state, now)
    inner: State = None
    for micros, value in state or []:
        if now - history.window.micros <= micros <= now:
            inner = aggregate.step(inner, micros, value)
    return aggregate.result(inner, now)


def replay(history: History, events: Iterable[Any], now: int, holds: Holds) -> Any:
    """The value after all of a customer's events."""
    state: State = None
    for event in events:
        if isinstance(event, Mapping):
            state = fold(history, state, event, holds)
    return answer(history, state, now)


def _reading(history: History, event: Event, holds: Holds) -> tuple[int, Any] | None:
    """When the event was and what it adds, or None when it does not count for this history."""
    if event.get("name") != history.event:
        return None
    micros = micros_of(plain(event.get("timestamp")))
    properties = event.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    if micros is None or not (history.where is None or holds(history.where, properties, 0)):
        return None
    value = None if history.attribute is None else fact_of(history.attribute, properties)
    takes = AGGREGATES[history.aggregate].takes
    if takes == "any":
        return None if history.attribute is not None and value is None else (micros, None)
    found = amount(value) if takes == "number" else scalar(value)
    return None if found is None else (micros, found)


def amount(value: Any) -> float | None:
    """A number that can be added up."""
    found = scalar(value)
    return found if type(found) is float and -LARGEST <= found <= LARGEST else None


def scalar(value: Any) -> Scalar | None:
    """A text, number or truth value; numbers become floats, so that 5 and 5.0 are one value."""
    kind = type(value)
    if kind is str or kind is bool:
        return value
    try:
        return float(value) if kind is int or kind is float else None
    except OverflowError:
        return None
