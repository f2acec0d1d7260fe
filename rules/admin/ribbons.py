"""How many went from where to where in; bars and the ribbons between them, out: a picture of flows.

Kennedy and Sankey (1898) drew the first one. Heights are counts, so that nothing that is small looks large.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 900
SIDE: Final = 240  # room for the names on each side
BAR: Final = 12
LINE: Final = 20  # each bar has at least the room its name needs
LEAST_HEIGHT: Final = 240
COLOURS: Final = 8

Key = int | None
Moves = Mapping[tuple[Key, Key], int]


@dataclass(frozen=True, slots=True)
class Bar:
    """All who were (or are) in one segment."""

    y: float
    height: float
    label_y: float
    label: str
    count: int
    colour: int


@dataclass(frozen=True, slots=True)
class Ribbon:
    """Those who went from one bar to another."""

    path: str
    count: int
    title: str
    colour: int
    stays: bool


@dataclass(frozen=True, slots=True)
class Flows:
    """The picture; `left` and `right` are the bars before and after."""

    left: list[Bar]
    right: list[Bar]
    ribbons: list[Ribbon]
    height: float
    width: int = WIDTH
    bar: int = BAR
    left_x: int = SIDE
    right_x: int = WIDTH - SIDE - BAR


def flows(moves: Moves, names: Mapping[Key, str], order: Sequence[Key]) -> Flows:
    """Bars in the given order on both sides; a bar with nobody is left out."""
    counts = [_sums(moves, order, side) for side in (0, 1)]
    # Room for the longer list of names, and as much again for the counts themselves.
    body = max(LEAST_HEIGHT, 1.5 * LINE * max(map(len, counts)))
    unit = body / (sum(moves.values()) or 1)
    left, right = (_stacked(side, names, order, unit) for side in counts)
    ribbons = _ribbons(moves, (left, right), names, order, unit)
    ends = [bar.y + max(bar.height, LINE) for bar in (*left.values(), *right.values())]
    return Flows(list(left.values()), list(right.values()), ribbons, round(max([0, *ends]) + 4, 1))


def _sums(moves: Moves, order: Sequence[Key], side: int) -> dict[Key, int]:
    found = {key: sum(times for pair, times in moves.items() if pair[side] == key) for key in order}
    return {key: count for key, count in found.items() if count}


def _stacked(counts: Mapping[Key, int], names: Mapping[Key, str], order: Sequence[Key], unit: float) -> dict[Key, Bar]:
    found: dict[Key, Bar] = {}
    y = 2.0
    for key, count in counts.items():
        height = count * unit
        room = max(height, LINE)
        # A thin bar stands in the middle of the line that its name needs.
        top = y + (room - height) / 2
        colour = order.index(key) % COLOURS if key is not None else COLOURS
        found[key] = Bar(round(top, 1), round(max(height, 1), 1), round(y + room / 2 + 4, 1), names[key], count, colour)
        y += room + 4
    return found


def _ribbons(
    moves: Moves,
    bars: tuple[Mapping[Key, Bar], Mapping[Key, Bar]],
    names: Mapping[Key, str],
    order: Sequence[Key],
    unit: float,
) -> list[Ribbon]:
    """One for each pair; on both sides in the order of the bars, so that as few as possible cross."""
    left, right = ({key: bar.y for key, bar in side.items()} for side in bars)
    found: list[Ribbon] = []
    for start, end in ((start, end) for start in order for end in order if moves.get((start, end))):
        count = moves[start, end]
        path = _path(left[start], right[end], count * unit)
        left[start] += count * unit
        right[end] += count * unit
        title = f"{names[start]} → {names[end]}"
        found.append(Ribbon(path, count, title, bars[0][start].colour, start == end))
    return found


def _path(y: float, other: float, thick: float) -> str:
    """A band from the left bar to the right one, as thick at both ends."""
    x, end = SIDE + BAR, WIDTH - SIDE - BAR
    middle = (x + end) / 2
    low, other_low = y + thick, other + thick
    return (
        f"M{x},{y:.1f} C{middle},{y:.1f} {middle},{other:.1f} {end},{other:.1f} "
        f"L{end},{other_low:.1f} C{middle},{other_low:.1f} {middle},{low:.1f} {x},{low:.1f} Z"
    )
