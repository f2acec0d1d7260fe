"""Events of one identity come in, one by one and in any order; its state comes out.

    fold(state, events, histories, now)    more events into a state
    merge(states)                          the states of several identities as one
    prune(state, now, histories)           without the readings no later moment can ask for
    matured(state, now, histories)         with what lay ahead of the clock and has happened by now
    traits_of(state)                       the traits as last told

The order of events, and how they are split among identities, may change the layout of a state but nothing that
`deriving.derive` gives.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from decisioning.customers.facts import activity, baskets, counting, hearing, sighting
from decisioning.customers.facts.activity import least
from decisioning.customers.facts.counting import COUNTED
from decisioning.customers.facts.events import (
    BASKET,
    CHECKOUT,
    CLICKED,
    DONE,
    ORDER,
    PASSIVE,
    REDEEMED,
    SEARCHED,
    VIEWED,
)
from decisioning.customers.facts.measures import DAY, YEAR
from decisioning.customers.facts.ordering import bought, renumbered, tidied
from decisioning.customers.facts.properties import coupons_of, read_content, read_redemption
from decisioning.customers.facts.shopping import read_category, read_query, read_touches
from decisioning.customers.facts.state import FoldedEvent, Redeemed, State, Touch, micros_of, pack, unpack
from decisioning.customers.facts.telling import tell, told_by, traits_of
from rules.language.nodes import History

__all__ = ["fold", "matured", "merge", "prune", "traits_of"]

AT: Final = attrgetter("at")
LASTING: Final = YEAR * DAY  # the longest window of a built-in fact
VIEWED_FOR: Final = 90  # days
QUERIES, CONTENTS = 5, 10  # that are kept, the newest


def fold(state: State | None, events: Sequence[FoldedEvent], histories: Mapping[str, History], now: datetime) -> State:
    """The state after these events; a given state is changed and returned, None starts an empty one.

    Events come in any order and each once (duplicates are dropped upstream, and bots' events left out); those later
    than `now` wait in `State.ahead`. `histories` maps canonical texts to what published rules ask for;
    `state.schema_of` tells whether a stored state was folded with the same ones. No property makes it raise; a
    timestamp or a `now` without a zone is a `TypeError`.
    """
    state = State() if state is None else state
    clock = micros_of(now)
    asked = hearing.by_event(histories) if histories else {}
    for event in events:
        at, name = micros_of(event.timestamp), event.name
        if at > clock:
            state.ahead.append(_waiting(event))
            continue
        _count(state.names, name, at)
        if event.type in DONE and name not in PASSIVE:
            activity.be_active(state, at)
            if event.context != "{}":
                sighting.see(state, event.context, at)
        if name in COUNTED:
            counting.count(state.counted, name, at)
        if name in SPECIAL:
            SPECIAL[name](state, event, at)
        if event.type == "identify":
            tell(state.told, told_by(event, at))
        if name in asked:
            hearing.hear(state.heard, asked[name], event)
    return state


def _waiting(event: FoldedEvent) -> FoldedEvent:
    """The event without what a subclass adds."""
    return FoldedEvent(event.message_id, event.type, event.name, event.timestamp, event.properties, event.context)


def _count(names: dict[str, list[int]], name: str, at: int) -> None:
    mine = names.get(name)
    if mine is None:
        names[name] = [1, at]
        return
    mine[0] += 1
    if at > mine[1]:
        mine[1] = at


def _buy(state: State, event: FoldedEvent, at: int) -> None:
    insort(state.orders, bought(event.properties, at, state.words), key=AT)


def _redeem(state: State, event: FoldedEvent, at: int) -> None:
    answer = read_redemption(event.properties)
    insort(state.redeemed, Redeemed(at, coupons_of(answer), answer.content_key), key=AT)


def _touch(state: State, event: FoldedEvent, at: int) -> None:
    state.touches += [Touch(at, *row) for row in read_touches(event.name, event.properties)]
    if event.name == CHECKOUT:
        insort(state.checkouts, at)


def _search(state: State, event: FoldedEvent, at: int) -> None:
    if query := read_query(event.properties):
        _renew(state.searched, query, at, QUERIES)


def _click(state: State, event: FoldedEvent, at: int) -> None:
    if content := read_content(event.properties):
        _renew(state.clicked, content, at, CONTENTS)


def _renew(newest: dict[str, int], name: str, at: int, most: int) -> None:
    """Keep the newest names, each with the last time it came; of two at the same moment the first by name."""
    newest[name] = max(at, newest.get(name, at))
    if len(newest) > most:
        oldest = min(newest.values())
        del newest[max(one for one in newest if newest[one] == oldest)]


def _view(state: State, event: FoldedEvent, at: int) -> None:
    counting.count(state.viewed, read_category(event.properties), at)


SPECIAL: Final = {
    ORDER: _buy,
    REDEEMED: _redeem,
    SEARCHED: _search,
    CLICKED: _click,
    VIEWED: _view,
    **dict.fromkeys(BASKET, _touch),
}


def merge(states: Iterable[State]) -> State:
    """One state of all events of these, which stay as they are: what folding them together would give."""
    whole = State()
    for state in states:
        _add_names(whole.names, state.names)
        activity.join(whole, state)
        _add_orders(whole, state)
        whole.redeemed += state.redeemed
        whole.touches += state.touches
        whole.checkouts += state.checkouts
        counting.join(whole.counted, state.counted)
        counting.join(whole.viewed, state.viewed)
        for query, at in state.searched.items():
            _renew(whole.searched, query, at, QUERIES)
        for content, at in state.clicked.items():
            _renew(whole.clicked, content, at, CONTENTS)
        sighting.join(whole, state)
        for told in state.told:
            tell(whole.told, told)
        hearing.join(whole.heard, state.heard)
        whole.ahead += state.ahead
    whole.orders.sort(key=AT)
    whole.redeemed.sort(key=AT)
    whole.checkouts.sort()
    return whole


def _add_names(names: dict[str, list[int]], others: Mapping[str, list[int]]) -> None:
    for name, (number, last) in others.items():
        mine = names.get(name)
        names[name] = [number, last] if mine is None else [mine[0] + number, max(mine[1], last)]


def _add_orders(whole: State, state: State) -> None:
    whole.past_orders += state.past_orders
    whole.past_spend += state.past_spend
    whole.past_first = least(whole.past_first, state.past_first)
    if whole.words:
        whole.orders += renumbered(state.orders, state.words, whole.words)
    else:
        whole.orders += state.orders
        whole.words = list(state.words)


def matured(state: State, now: datetime, histories: Mapping[str, History]) -> State:
    """The state itself when nothing that lay ahead has happened by now, else another one that has taken it in."""
    if not any(event.timestamp <= now for event in state.ahead):
        return state
    copy = unpack(pack(state))
    ahead, copy.ahead = copy.ahead, []
    return fold(copy, ahead, histories, now)


def prune(state: State, now: datetime, histories: Mapping[str, History]) -> State:
    """The state (changed and returned) without what has left every window for good.

    `derive` gives the same as before for every moment from `now` on, whatever late events are folded in later. What
    lay ahead and has happened is taken in. Histories that are no longer asked for are dropped.
    """
    if state.ahead:
        ahead, state.ahead = state.ahead, []
        fold(state, ahead, histories, now)
    clock = micros_of(now)
    limit = clock - LASTING
    if state.ends and state.ends[0] <= limit:
        activity.forget(state, limit)
    if state.touches or state.checkouts:
        _tidy_baskets(state, clock)
    if state.orders and state.orders[0].at <= limit:
        _forget_orders(state, limit)
    if state.redeemed and state.redeemed[0].at <= limit:
        del state.redeemed[: bisect_right(state.redeemed, limit, key=AT)]
    _forget_counts(state, clock)
    if state.heard:
        state.heard = hearing.prune(state.heard, histories, clock)
    return state


def _forget_counts(state: State, clock: int) -> None:
    for name in list(state.counted):
        counting.forget(state.counted, name, clock - COUNTED[name] * DAY)
    for category in list(state.viewed):
        counting.forget(state.viewed, category, clock - VIEWED_FOR * DAY)
    if state.devices:
        sighting.forget(state.devices, clock)
        sighting.forget(state.countries, clock)


def _tidy_baskets(state: State, clock: int) -> None:
    last = state.names.get(ORDER, (0, 0))[1]
    state.touches = baskets.shortened(state.touches, max(last, clock - baskets.LIFE))
    limit = clock - VIEWED_FOR * DAY
    recent = [at for at in state.checkouts if at > limit]
    state.checkouts = baskets.unanswered(recent, [order.at for order in state.orders])


def _forget_orders(state: State, limit: int) -> None:
    gone = bisect_right(state.orders, limit, key=AT)
    state.past_first = least(state.past_first, state.orders[0].at)
    state.past_orders += gone
    state.past_spend += sum(order.total for order in state.orders[:gone])
    state.orders, state.words = tidied(state.orders[gone:], state.words)
