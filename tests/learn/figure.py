"""Comes in: a figure and what is wanted of it. Goes out: a line for people, and one of JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Figure:
    """`low` and `high` are the ends of the 95 % interval; `holds` is None where nothing was measured, or is wanted."""

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    wanted: str = ""
    holds: bool | None = None
    words: str = ""

    def judged(self, holds: bool, words: str = "") -> Self:
        """The same, with whether it is what is wanted."""
        return replace(self, holds=holds, words=words)

    def line(self) -> str:
        return json.dumps(asdict(self))


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    rows = [("figure", "value", "low", "high", "wanted", "", "")]
    for one in figures:
        said = {None: "skipped" if one.value is None else "", True: "holds", False: "MISSED"}[one.holds]
        rows.append((one.name, *map(_short, (one.value, one.low, one.high)), one.wanted, said, one.words))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
