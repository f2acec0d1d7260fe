"""Events and the histories that published rules ask for come in; readings of them, and their values, come out.

What an event adds to a history, and what readings come to, is said by the rule language alone. Here readings are kept
as long as a window, or an event ahead of the clock, can still need them one by one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from decisioning.customers.facts.properties import read_object
from decisioning.customers.facts.state import FoldedEvent, Heard
from rules.language import history as language
from rules.language.aggregates import AGGREGATES
from rules.language.nodes import History
from rules.language.values import Span

ANY_WINDOW: Final = Span(1, "DAY")  # in a window the language keeps readings as they are, for whatever length
MOST_PLANS: Final = 16
Asked = Sequence[tuple[str, str, History]]
_plans: dict[tuple[str, ...], dict[str, Asked]] = {}


def by_event(histories: Mapping[str, History]) -> dict[str, Asked]:
    """By event name: each history's text and aggregate, and the history to read with."""
    key = tuple(histories)  # a canonical text says all there is to a history
    found = _plans.get(key)
    if found is None:
        if len(_plans) >= MOST_PLANS:
            _plans.clear()
        found = {}
        for text, one in histories.items():
            found[one.event] = [*found.get(one.event, ()), (text, one.aggregate, replace(one, window=ANY_WINDOW))]
        _plans[key] = found
    return found


def hear(heard: dict[str, Heard], asked: Asked, event: FoldedEvent) -> None:
    """Add what the event gives to each of the histories."""
    plain = {"name": event.name, "timestamp": event.timestamp, "properties": read_object(event.properties)}
    for text, aggregate, reader in asked:
        for micros, value in language.fold(reader, None, plain) or ():
            heard.setdefault(text, Heard(aggregate)).readings.append((micros, value))


def join(heard: dict[str, Heard], others: Mapping[str, Heard]) -> None:
    """Add another state's readings, and what its older ones came to."""
    for text, other in others.items():
        mine = heard.get(text, Heard(other.aggregate))
        heard[text] = Heard(other.aggregate, _joined(mine, other), mine.readings + other.readings)


def _joined(one: Heard, other: Heard) -> str:
    if not one.summary or not other.summary:
        return one.summary or other.summary
    both = msgspec.json.decode(one.summary), msgspec.json.decode(other.summary)
    return _text(JOIN[one.aggregate](AGGREGATES[one.aggregate].step, *both))


def _text(summary: Any) -> str:
    # JSON, because a sum of millionths can be larger than any number msgpack knows.
    return "" if summary is None else msgspec.json.encode(summary).decode()


Step = Callable[[Any, int, Any], Any]


def _counts(step: Step, one: Any, other: Any) -> Any:
    return one + other


def _sums(step: Step, one: Any, other: Any) -> Any:
    return [mine + its for mine, its in zip(one, other, strict=True)]


def _values(step: Step, one: Any, other: Any) -> Any:
    return step(one, 0, other)


def _timed(step: Step, one: Any, other: Any) -> Any:
    return step(one, *other)


def _sets(step: Step, one: Any, other: Any) -> Any:
    for value in other:
        one = step(one, 0, value)
    return one


def _times(step: Step, one: Any, other: Any) -> Any:
    return step(one, other, None)


JOIN: Final[dict[str, Callable[[Step, Any, Any], Any]]] = {
    "COUNT": _counts,
    "SUM": _sums,
    "AVG": _sums,
    "MIN": _values,
    "MAX": _values,
    "FIRST": _timed,
    "LAST": _timed,
    "DISTINCT": _sets,
    "DAYS SINCE": _times,
}
"""How two states of each of the language's aggregates become one."""


def prune(heard: Mapping[str, Heard], histories: Mapping[str, History], now: int) -> dict[str, Heard]:
    """What later moments can ask for: readings in a window or ahead of `now` one by one, the others summed up."""
    kept = {text: _pruned(one, histories[text], now) for text, one in heard.items() if text in histories}
    return {text: one for text, one in kept.items() if one.readings or one.summary}


def _pruned(heard: Heard, history: History, now: int) -> Heard:
    if history.window is not None:
        return Heard(heard.aggregate, heard.summary, language.prune(history, heard.readings, now))
    if not heard.readings:
        return heard
    ahead = [reading for reading in heard.readings if reading[0] > now]
    return Heard(heard.aggregate, _text(_summed(heard, now)), ahead)


def _summed(heard: Heard, now: int) -> Any:
    """The aggregate's state after the readings up to now."""
    step = AGGREGATES[heard.aggregate].step
    state = msgspec.json.decode(heard.summary) if heard.summary else None
    for micros, value in heard.readings:
        if micros <= now:
            state = step(state, micros, value)
    return state


def value_of(history: History, heard: Heard | None, now: int) -> Any:
    """The history's value at `now` (microseconds), None when missing."""
    if heard is None:
        return language.answer(history, None, now)
    if history.window is not None:
        return language.answer(history, heard.readings, now)
    return AGGREGATES[history.aggregate].result(_summed(heard, now), now)


def latest_of(history: History, heard: Heard, now: int) -> int | None:
    """When the last event of a `DAYS SINCE` was that counts at `now` (microseconds)."""
    if history.window is None:
        latest: int | None = _summed(heard, now)
        return latest
    return max((at for at, _ in heard.readings if now - history.window.micros <= at <= now), default=None)
