"""Numbers over time in; where the lines, bars and labels of a picture stand, out, in the units of its viewBox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor, log10
from typing import Final

from ..curves import Point, Reach

WIDTH: Final = 760
LEFT, RIGHT = 64, 36
TOP, TALL, GAP, HALF, FOOT = 10, 150, 22, 30, 24
HEIGHT: Final = TOP + TALL + GAP + 2 * HALF + FOOT
FLAT: Final = 0.5  # sizes that stay above this share of the largest are drawn from their lowest, not from zero
TICKS: Final = 4
LABELS: Final = 8
STEPS: Final = (1, 2, 2.5, 5, 10)
WRITTEN: Final = {"hour": "%-d %b, %H:%M", "day": "%-d %b", "month": "%b %Y"}


@dataclass(frozen=True, slots=True)
class Column:
    """One step of the chart: where it stands, its bars, and the figures that pointing at it tells."""

    x: float
    width: float
    bar_x: float
    bar_width: float
    up: float
    up_y: float
    down: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The size as a line over its area, entries as bars going up and exits as bars going down below it."""

    lines: list[str]
    areas: list[str]
    dots: list[tuple[float, float]]
    columns: list[Column]
    levels: list[tuple[float, str]]
    labels: list[tuple[float, str]]
    most_moved: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = TOP + TALL
    top: int = TOP
    tall: int = HEIGHT - FOOT - TOP
    middle: int = TOP + TALL + GAP + HALF
    foot: int = HEIGHT - 6


def size_chart(points: Sequence[Point], reach: Reach) -> Chart:
    """The chart of a segment's sizes; a step whose size was not noted is a gap in the line."""
    step = (WIDTH - LEFT - RIGHT) / len(points)
    known = [point.size for point in points if point.size is not None]
    levels = scale(min(known, default=0), max(known, default=0))
    low, high = levels[0], levels[-1]
    most = max([1, *(max(point.entered, point.left) for point in points)])

    def y(size: int) -> float:
        return round(TOP + TALL - (size - low) / (high - low) * TALL, 1)

    places = [
        (round(LEFT + (n + 0.5) * step, 1), None if point.size is None else y(point.size))
        for n, point in enumerate(points)
    ]
    runs = _runs(places)
    columns = [_column(n, point, step, most, reach.step) for n, point in enumerate(points)]
    every = max(1, -(-len(points) // LABELS))
    return Chart(
        lines=[_joined(run) for run in runs if len(run) > 1],
        areas=[
            f"M{run[0][0]},{TOP + TALL} L{_joined(run)[1:]} L{run[-1][0]},{TOP + TALL} Z" for run in runs if run[1:]
        ],
        dots=[run[0] for run in runs if len(run) == 1],
        columns=columns,
        levels=[(round(TOP + TALL - (level - low) / (high - low) * TALL, 1), figure(level)) for level in levels],
        labels=[
            (places[n][0], written(points[n].at, reach.step))
            for n in range((len(points) - 1) % every, len(points), every)
        ],
        most_moved=most,
    )


def scale(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`, evenly spread; from zero unless all lie far above it."""
    start = 0.0 if low < FLAT * high or high == 0 else low
    raw = max(high - start, 1) / TICKS
    size = 10 ** floor(log10(raw))
    step = max(1.0, next(size * each for each in STEPS if size * each >= raw))
    first = floor(start / step) * step
    levels = [first]
    while levels[-1] < high or len(levels) < 2:
        levels.append(levels[-1] + step)
    return levels


def figure(number: float) -> str:
    """A number for an axis: 12,500 is short enough, 1,250,000 is 1.25 M."""
    return f"{number / 1e6:,.4g} M" if number >= 1e6 else f"{number:,.4g}" if number < 1e4 else f"{number:,.0f}"


def written(at: datetime, step: str) -> str:
    """When a step began, as far as it matters."""
    return f"{at:{WRITTEN[step]}}"


def signed(number: int | None) -> str:
    """A change with its sign; the minus is a minus and no hyphen."""
    if number is None:
        return "not known"
    return "no change" if number == 0 else f"+{number:,}" if number > 0 else f"−{-number:,}"


def spark(values: Sequence[int], width: int, height: int) -> str:
    """The points of a line through the values, over the whole width, from their lowest to their highest."""
    if len(values) < 2:
        return ""
    low, span = min(values), max(values) - min(values)
    # Two units stay free above and below, so that the line is not cut.
    heights = [height - 2 - (value - low) / span * (height - 4) if span else height / 2 for value in values]
    return " ".join(f"{n * width / (len(values) - 1):.1f},{y:.1f}" for n, y in enumerate(heights))


def _column(n: int, point: Point, step: float, most: int, unit: str) -> Column:
    size = "size not noted" if point.size is None else f"{point.size:,} members"
    title = f"{written(point.at, unit)}: {size}, {point.entered:,} entered, {point.left:,} left"
    up, down = (round(times / most * HALF, 1) for times in (point.entered, point.left))
    x, thin = LEFT + n * step, max(1.5, step * 0.6)
    bar_x = x + (step - thin) / 2
    top = TOP + TALL + GAP + HALF - up
    return Column(round(x, 1), round(step, 1), round(bar_x, 1), round(thin, 1), up, round(top, 1), down, title)


Place = tuple[float, float]


def _runs(places: Sequence[tuple[float, float | None]]) -> list[list[Place]]:
    """The stretches without a gap."""
    runs: list[list[Place]] = [[]]
    for x, y in places:
        if y is not None:
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _joined(run: Sequence[Place]) -> str:
    return "M" + " L".join(f"{x},{y}" for x, y in run)
