"""Comes in: what was counted after something broke. Goes out: a table row and a line of JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One invariant of one run: what was counted, and whether it holds."""

    fault: str
    seed: int
    invariant: str
    figure: float
    holds: bool

    def line(self) -> str:
        """The machines' line."""
        said: dict[str, Any] = {"fault": self.fault, "seed": self.seed, "invariant": self.invariant}
        return json.dumps(said | {"figure": self.figure, "pass": self.holds})


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    rows = [("fault", "invariant", "figure", "holds")]
    rows += [(one.fault, one.invariant, f"{one.figure:,.6g}", "yes" if one.holds else "NO") for one in figures]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
