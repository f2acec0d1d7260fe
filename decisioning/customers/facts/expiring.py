"""A customer's state and what published conditions ask come in; when time alone next changes an answer comes out.

Who bought 31 days ago leaves "bought in the last 30 days" with no event. The moment is found from what each fact says
of itself (`BuiltIn.when`), so it can be stored beside the customer and looked up when it has come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf, nextafter
from typing import Any, Final

from decisioning.customers.facts import hearing
from decisioning.customers.facts.asking import Asked, thresholds
from decisioning.customers.facts.clocks import clock_of
from decisioning.customers.facts.deriving import by_name
from decisioning.customers.facts.folding import matured
from decisioning.customers.facts.formulas import BuiltIn
from decisioning.customers.facts.moving import MOST_TRIES, Ageing, Cuts, Either, When, class_of, cost_of, never
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.state import EPOCH, State, micros_of
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language.nodes import History
from rules.language.values import DAY, read_moment

__all__ = ["Asked", "next_change", "thresholds"]

FOREVER: Final = micros_of(datetime.max.replace(tzinfo=EPOCH.tzinfo))
MOST_PLANS: Final = 8


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at: facts with their cuts, histories with theirs, dates, and facts against one another."""

    vocabulary: Vocabulary
    asked: Asked
    histories: Mapping[str, History]
    facts: tuple[tuple[When, Cuts], ...]
    heard: tuple[tuple[str, History, Cuts], ...]
    ages: tuple[tuple[str, Cuts], ...]
    days: tuple[tuple[str, Cuts], ...]
    pairs: tuple[tuple[str, str], ...]

    def fits(self, vocabulary: Vocabulary, histories: Mapping[str, History], asked: Asked) -> bool:
        """Whether it was made of these; mostly they are the very same objects, which is quick to see."""
        return (
            self.asked is asked
            and (self.vocabulary is vocabulary or self.vocabulary == vocabulary)
            and (self.histories is histories or self.histories == histories)
        )


_watches: dict[int, Watch] = {}


def next_change(
    state: State, now: datetime, vocabulary: Vocabulary, histories: Mapping[str, History], asked: Asked
) -> datetime | None:
    """The first moment after `now` at which a condition may answer otherwise without an event; None for never.

    `asked` is what `thresholds` made of all conditions; it and `histories` must not be changed between calls. Before
    the moment every condition on `derive`'s facts answers as it does now; at it, one of the facts asked for is on the
    other side of a cut, or an event that lay ahead of the clock happens. Only where a fact is made of so much that
    `MOST_TRIES` changes of it leave it as it was, or two ages are compared with one another, it may come early.
    Names that are no facts of a customer's events (memberships, scores, the moment's context) are left out.
    """
    clock = micros_of(now)
    if state.ahead:
        state = matured(state, now, histories)
    limit = min((micros_of(event.timestamp) for event in state.ahead), default=FOREVER)
    watch = _watch(vocabulary, histories, asked)
    seen = Seen(state, clock, clock_of(vocabulary.time_zone))
    for when, cuts in watch.facts:
        limit = _sooner(limit, when(seen, cuts, limit))
    for text, history, cuts in watch.heard:
        limit = _sooner(limit, _heard_change(seen, text, history, cuts, limit))
    for name, cuts in watch.ages:
        limit = _sooner(limit, _older(clock, _date_of(watch, seen, name), cuts))
    for name, cuts in watch.days:
        date = _date_of(watch, seen, name)
        limit = _sooner(limit, None if date is None else _older(clock, date // DAY * DAY, cuts))
    for one, other in watch.pairs:
        limit = _sooner(limit, _overtaken(watch, seen, one, other, limit))
    return None if limit >= FOREVER else EPOCH + timedelta(microseconds=limit)


def _sooner(limit: int, moment: int | None) -> int:
    return limit if moment is None or moment >= limit else moment


def _watch(vocabulary: Vocabulary, histories: Mapping[str, History], asked: Asked) -> Watch:
    """What to look at; kept for as long as the same things are asked."""
    known = _watches.get(id(asked))
    if known is None or not known.fits(vocabulary, histories, asked):
        if len(_watches) >= MOST_PLANS:
            _watches.clear()
        known = _watches[id(asked)] = _planned(vocabulary, histories, asked)
    return known


def _planned(vocabulary: Vocabulary, histories: Mapping[str, History], asked: Asked) -> Watch:
    facts = by_name(vocabulary)
    mine = [(facts[name].when, cuts) for name, cuts in asked.items() if name in facts]
    mine.sort(key=lambda pair: cost_of(pair[0]))
    parts = [(name.split("\0"), cuts) for name, cuts in asked.items() if name.startswith("\0")]
    return Watch(
        vocabulary,
        asked,
        histories,
        tuple((when, cuts) for when, cuts in mine if when is not never),
        tuple((name, histories[name], cuts) for name, cuts in asked.items() if name in histories),
        tuple((words[2], cuts) for words, cuts in parts if words[1] == "age"),
        tuple((words[2], cuts) for words, cuts in parts if words[1] == "day"),
        tuple((words[2], words[3]) for words, _ in parts if words[1] == "than"),
    )


def _value(watch: Watch, seen: Seen, name: str) -> Any:
    """A fact's value now."""
    fact = by_name(watch.vocabulary).get(name)
    if fact is not None:
        return fact.one(seen)
    history = watch.histories.get(name)
    return None if history is None else hearing.value_of(history, seen.state.heard.get(name), seen.now)


# -- histories


def _heard_change(seen: Seen, text: str, history: History, cuts: Cuts, limit: int) -> int | None:
    """When the history's value next changes its class."""
    heard = seen.state.heard.get(text)
    if heard is None:
        return None
    if history.aggregate == "DAYS SINCE":
        return _days_pass(hearing.value_of(history, heard, seen.now), seen, text, history, cuts)
    if history.window is None:
        return None
    span = history.window.micros + 1
    ends = sorted({at + span for at, _ in heard.readings if seen.now < at + span < limit})
    here = class_of(hearing.value_of(history, heard, seen.now), cuts)
    for end in ends[:MOST_TRIES]:
        if class_of(hearing.value_of(history, heard, end), cuts) != here:
            return end
    return ends[MOST_TRIES] if len(ends) > MOST_TRIES else None


def _days_pass(value: int | None, seen: Seen, text: str, history: History, cuts: Cuts) -> int | None:
    """When whole days since the last event come to the next cut, or that event leaves its window."""
    latest = hearing.latest_of(history, seen.state.heard[text], seen.now)
    if value is None or latest is None:
        return None
    later = [cut for cut in cuts if cut > value]
    days = value + 1 if not cuts else ceil(later[0]) if later and later[0] < FOREVER // DAY else None
    ends = [] if days is None else [latest + days * DAY]
    if history.window is not None:
        ends.append(latest + history.window.micros + 1)
    return min(ends, default=None)


# -- dates


def _date_of(watch: Watch, seen: Seen, name: str) -> int | None:
    """The moment a fact's value says, if it is a date."""
    value = _value(watch, seen, name)
    return read_moment(value) if isinstance(value, str) else None


def _older(now: int, start: int | None, cuts: Cuts) -> int | None:
    """When something that began then is next as old as one of the cuts (µs)."""
    return None if start is None else min((start + int(cut) for cut in cuts if start + cut > now), default=None)


# -- one fact against another


def _overtaken(watch: Watch, seen: Seen, one: str, other: str, limit: int) -> int | None:
    """When an age comes to what it is compared with; what changes by steps is looked at on its own."""
    ages = [_ageing(by_name(watch.vocabulary).get(name)) for name in (one, other)]
    if ages[0] is not None and ages[1] is not None:
        return _side_by_side(seen, ages[0], ages[1])
    for mine, name in zip(ages, (other, one), strict=True):
        value = None if mine is None else _value(watch, seen, name)
        if mine is not None and isinstance(value, int | float):
            return mine(seen, (value, nextafter(value, inf)), limit)
    return None


def _ageing(fact: BuiltIn | None) -> Ageing | None:
    when = None if fact is None else fact.when
    return when if isinstance(when, Ageing) else when.age if isinstance(when, Either) else None


def _side_by_side(seen: Seen, one: Ageing, other: Ageing) -> int | None:
    """Two ages keep their distance, but for the rounding of those less than one digit apart."""
    starts = one.base(seen), other.base(seen)
    if starts[0] is None or starts[1] is None:
        return None
    apart = abs(starts[0] - starts[1])
    if one.tick == other.tick and (apart == 0 or apart >= one.tick):
        return None
    return min(tick for age in (one, other) if (tick := age.next_tick(seen)) is not None)
