"""Times of what a customer did come in; quarters of an hour with their first, last and number come out, and sessions.

Within a quarter of an hour nothing is further apart than a session bridges, and no local day ends. So the quarters tell
exactly which days were touched in a window, and which sessions there were, from a fraction of the times.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from decisioning.customers.facts.state import QUARTER, State

GAP: Final = 1_800_000_000
"""A session ends with half an hour without activity (µs)."""
SHORTEST_DAY: Final = 80  # quarters: no local day since 1970 is shorter than 20 hours, but those that were left out
Session = tuple[int, int, int]
"""Its first and last activity, and how many."""
Sessions = tuple[list[int], list[int], list[int]]
"""The same of several, one under the other."""


def be_active(state: State, at: int) -> None:
    """Count one more activity, early or late."""
    if state.first is None or at < state.first:
        state.first = at
    if state.last is None or at > state.last:
        state.last = at
    quarter = at // QUARTER
    starts = state.starts
    place = bisect_left(starts, quarter * QUARTER)
    if place == len(starts) or starts[place] >= (quarter + 1) * QUARTER:
        starts.insert(place, at)
        state.ends.insert(place, at)
        state.counts.insert(place, 1)
        return
    state.counts[place] += 1
    if at < starts[place]:
        starts[place] = at
    elif at > state.ends[place]:
        state.ends[place] = at


def join(whole: State, state: State) -> None:
    """Add another state's activity."""
    whole.first, whole.last = least(whole.first, state.first), most(whole.last, state.last)
    if state.visited:
        whole.visited = _thinned(whole.visited + state.visited)
    if not whole.starts:
        whole.starts, whole.ends, whole.counts = list(state.starts), list(state.ends), list(state.counts)
    elif state.starts:
        rows = sorted([*_rows(whole), *_rows(state)])
        whole.starts, whole.ends, whole.counts = [], [], []
        for row in rows:
            _append(whole, *row)


def _rows(state: State) -> Iterable[Session]:
    return zip(state.starts, state.ends, state.counts, strict=True)


def _append(state: State, start: int, end: int, count: int) -> None:
    """A quarter that begins no earlier than the last one; of the same it becomes part."""
    if state.starts and state.starts[-1] // QUARTER == start // QUARTER:
        state.ends[-1] = max(state.ends[-1], end)
        state.counts[-1] += count
    else:
        state.starts.append(start)
        state.ends.append(end)
        state.counts.append(count)


def forget(state: State, limit: int) -> None:
    """Keep of quarters that ended by then only what all-time counts of days need."""
    gone = bisect_right(state.ends, limit)
    if gone:
        state.visited = _thinned(state.visited + [at // QUARTER for at in state.starts[:gone]])
        del state.starts[:gone], state.ends[:gone], state.counts[:gone]


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


def sessions(starts: Sequence[int], ends: Sequence[int], counts: Sequence[int]) -> Sessions:
    """Activity without a pause of `GAP`, in rising order."""
    firsts: list[int] = []
    lasts: list[int] = []
    numbers: list[int] = []
    last = starts[0] - GAP if starts else 0
    for start, end, count in zip(starts, ends, counts, strict=True):
        if start - last >= GAP:
            firsts.append(start)
            lasts.append(end)
            numbers.append(count)
        else:
            lasts[-1] = end
            numbers[-1] += count
        last = end
    return firsts, lasts, numbers


def least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def most(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)
