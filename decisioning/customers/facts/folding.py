"""Events of one identity come in, one by one and in any order; its state comes out.

    fold(state, events, histories)    more events into a state
    merge(states)                     the states of several identities as one
    prune(state, now, histories)      without the readings no later moment can ask for
    traits_of(state)                  the traits as last told

The order of events, and how they are split among identities, may change the layout of a state but nothing that
`deriving.derive` gives.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from decisioning.customers.facts import hearing
from decisioning.customers.facts.formulas import ORDER, PASSIVE, RECEIVED, REDEEMED
from decisioning.customers.facts.history import DONE
from decisioning.customers.facts.measures import DAY, YEAR
from decisioning.customers.facts.ordering import bought, renumbered, tidied
from decisioning.customers.facts.properties import coupons_of, read_redemption
from decisioning.customers.facts.seen import AT
from decisioning.customers.facts.state import QUARTER, FoldedEvent, Redeemed, State, micros_of
from decisioning.customers.facts.telling import tell, told_by, traits_of
from rules.language.nodes import History

__all__ = ["fold", "merge", "prune", "traits_of"]

LASTING: Final = YEAR * DAY  # the longest window of a built-in fact
SHORTEST_DAY: Final = 80  # quarters: no local day since 1970 is shorter than 20 hours, but those that were left out


def fold(state: State | None, events: Sequence[FoldedEvent], histories: Mapping[str, History]) -> State:
    """The state after these events; a given state is changed and returned, None starts an empty one.

    Events come in any order and each once (duplicates are dropped upstream, and bots' events left out). `histories`
    maps canonical texts to what published rules ask for; `state.schema_of(histories)` tells whether a stored state was
    folded with the same ones. No property makes it raise; a timestamp without a zone is a `TypeError`.
    """
    state = State() if state is None else state
    asked = hearing.by_event(histories) if histories else {}
    for event in events:
        at, name = micros_of(event.timestamp), event.name
        _count(state.names, name, at)
        if event.type in DONE and name not in PASSIVE:
            _be_active(state, at)
        if name in SPECIAL:
            SPECIAL[name](state, event, at)
        if event.type == "identify":
            tell(state.told, told_by(event, at))
        if name in asked:
            hearing.hear(state.heard, asked[name], event)
    return state


def _count(names: dict[str, list[int]], name: str, at: int) -> None:
    times = names.get(name)
    if times is None:
        names[name] = [1, at]
        return
    times[0] += 1
    if len(times) == 1 or at >= times[-1]:
        times.append(at)
    else:
        insort(times, at, lo=1)


def _be_active(state: State, at: int) -> None:
    if state.first is None or at < state.first:
        state.first = at
    _touch(state.active, at)


def _touch(active: list[int], at: int) -> None:
    """Keep the first and the last of each quarter of an hour: what lies between is in a window when they are."""
    quarter = at // QUARTER
    low = bisect_left(active, quarter * QUARTER)
    high = bisect_left(active, (quarter + 1) * QUARTER, lo=low)
    if low == high:
        active.insert(low, at)
    elif at < active[low]:
        active[low:high] = [at, active[high - 1]]
    elif at > active[high - 1]:
        active[low:high] = [active[low], at]


def _buy(state: State, event: FoldedEvent, at: int) -> None:
    insort(state.orders, bought(event.properties, at, state.words), key=AT)


def _receive(state: State, event: FoldedEvent, at: int) -> None:
    insort(state.received, at)


def _redeem(state: State, event: FoldedEvent, at: int) -> None:
    answer = read_redemption(event.properties)
    insort(state.redeemed, Redeemed(at, coupons_of(answer), answer.content_key), key=AT)


SPECIAL: Final = {ORDER: _buy, RECEIVED: _receive, REDEEMED: _redeem}


def merge(states: Iterable[State]) -> State:
    """One state of all events of these, which stay as they are: what folding them together would give."""
    whole = State()
    for state in states:
        _add_names(whole.names, state.names)
        whole.first = _least(whole.first, state.first)
        _add_visits(whole, state)
        _add_orders(whole, state)
        whole.received += state.received
        whole.redeemed += state.redeemed
        for told in state.told:
            tell(whole.told, told)
        hearing.join(whole.heard, state.heard)
    whole.orders.sort(key=AT)
    whole.received.sort()
    whole.redeemed.sort(key=AT)
    return whole


def _add_names(names: dict[str, list[int]], others: Mapping[str, list[int]]) -> None:
    for name, (number, *times) in others.items():
        mine = names.get(name, [0])
        names[name] = [mine[0] + number, *sorted(mine[1:] + times)]


def _add_orders(whole: State, state: State) -> None:
    whole.past_orders += state.past_orders
    whole.past_spend += state.past_spend
    whole.past_first = _least(whole.past_first, state.past_first)
    if whole.words:
        whole.orders += renumbered(state.orders, state.words, whole.words)
    else:
        whole.orders += state.orders
        whole.words = list(state.words)


def _add_visits(whole: State, state: State) -> None:
    if state.visited:
        whole.visited = _thinned(whole.visited + state.visited)
    whole.active = _ends(sorted(whole.active + state.active)) if whole.active else list(state.active)


def _ends(rising: Iterable[int]) -> list[int]:
    """The first and the last of each quarter of an hour."""
    kept: list[int] = []
    before = start = None
    for at in rising:
        quarter = at // QUARTER
        if quarter == start and start == before:
            kept[-1] = at
        else:
            kept.append(at)
            before, start = start, quarter
    return kept


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def prune(state: State, now: datetime, histories: Mapping[str, History]) -> State:
    """The state (changed and returned) without what has left every window for good.

    `derive` gives the same as before for every moment from `now` on, whatever late events are folded in later.
    Histories that are no longer asked for are dropped.
    """
    clock = micros_of(now)
    limit = clock - LASTING
    for times in state.names.values():
        if len(times) > 2:
            del times[1 : bisect_right(times, clock, lo=1) - 1]
    if state.active and state.active[0] <= limit:
        _forget_visits(state, limit)
    if state.orders and state.orders[0].at <= limit:
        _forget_orders(state, limit)
    if state.received and state.received[0] <= limit:
        del state.received[: bisect_right(state.received, limit)]
    if state.redeemed and state.redeemed[0].at <= limit:
        del state.redeemed[: bisect_right(state.redeemed, limit, key=AT)]
    if state.heard:
        state.heard = hearing.prune(state.heard, histories, clock)
    return state


def _forget_visits(state: State, limit: int) -> None:
    gone = bisect_right(state.active, limit)
    state.visited = _thinned(state.visited + [at // QUARTER for at in state.active[:gone]])
    del state.active[:gone]


def _thinned(touched: list[int]) -> list[int]:
    """Quarters, rising and once each, without those that no local day holds alone.

    A day that holds the middle one of three holds one of its neighbours too when they are no further apart than a day
    is long. So the days that are touched stay the same in every time zone, also together with later quarters.
    """
    rising = sorted(set(touched))
    kept: list[int] = []
    for place, quarter in enumerate(rising):
        after = rising[place + 1] if place + 1 < len(rising) else None
        if not kept or after is None or after - kept[-1] > SHORTEST_DAY:
            kept.append(quarter)
    return kept


def _forget_orders(state: State, limit: int) -> None:
    gone = bisect_right(state.orders, limit, key=AT)
    state.past_first = _least(state.past_first, state.orders[0].at)
    state.past_orders += gone
    state.past_spend += sum(order.total for order in state.orders[:gone])
    state.orders, state.words = tidied(state.orders[gone:], state.words)
