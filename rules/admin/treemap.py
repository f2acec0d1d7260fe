"""Sizes in; a rectangle for each, out, that together fill a picture (a squarified treemap).

Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000): rows are filled along the shorter side as long as that makes
the rectangles squarer.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

SMALLEST: Final = 1 / 400  # of the whole picture: a segment with few members can still be read and clicked


class Tile(NamedTuple):
    """A rectangle, in parts of the picture's width and height (0 to 1)."""

    x: float
    y: float
    width: float
    height: float


def tiles(sizes: Sequence[int], ratio: float) -> list[Tile]:
    """One tile a size, in the order given. `sizes` must fall; `ratio` is the picture's width over its height."""
    if not sizes:
        return []
    total = sum(sizes)
    raised = [max(size, total * min(SMALLEST, 0.5 / len(sizes)), 1e-9) for size in sizes]
    whole = sum(raised)
    areas = [size / whole * ratio for size in raised]
    found: list[Tile] = []
    x, y, width, height = 0.0, 0.0, ratio, 1.0
    while areas:
        side = min(width, height)
        row = _row(areas, side)
        thick = sum(row) / side
        along = 0.0
        for area in row:
            long = area / thick
            found.append(Tile(x, y + along, thick, long) if width >= height else Tile(x + along, y, long, thick))
            along += long
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
        areas = areas[len(row) :]
    return [Tile(tile.x / ratio, tile.y, tile.width / ratio, tile.height) for tile in found]


def _row(areas: Sequence[float], side: float) -> Sequence[float]:
    """The first areas, as many as make the row's worst rectangle the squarest."""
    number, worst = 1, _worst(areas[:1], side)
    while number < len(areas):
        next_worst = _worst(areas[: number + 1], side)
        if next_worst > worst:
            break
        number, worst = number + 1, next_worst
    return areas[:number]


def _worst(row: Sequence[float], side: float) -> float:
    """The worst ratio of long to short among a row's rectangles."""
    whole = sum(row) ** 2
    return max(side * side * max(row) / whole, whole / (side * side * min(row)))
