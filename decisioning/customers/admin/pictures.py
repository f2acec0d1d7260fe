"""How a fact is distributed in; where the bars of its picture stand, and what each of them says, out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..models import Distribution

SMALL: Final = (104, 26)
LARGE: Final = (760, 200)
FOOT: Final = 22  # below the bars of the large one, for labels
FEW: Final = 8  # bars of a small picture of texts
LABELS: Final = 8
LEAST: Final = 1.5  # so high is a bar at least that stands for anybody

Count = tuple[str, int]  # what it is, how many customers


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it stands, and what pointing at it tells."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars from left to right, and the labels under some of them, in the units of the viewBox."""

    width: int
    height: int
    base: int
    bars: list[Bar]
    labels: list[tuple[float, str]]
    title: str


def short(value: float) -> str:
    """A number as a label: 1.2k, 3M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            divided = value / (1e3 if letter == "k" else limit)
            return f"{divided:.3g}{letter}"
    return f"{value:,.4g}"


def counts_of(found: Distribution) -> list[Count]:
    """The bars in words; nothing where nobody has the fact."""
    figures = found.figures
    if "true" in figures:
        return [("yes", figures["true"]), ("no", figures["false"])]
    if "common" in figures:
        more = [("others", figures["other"])] if figures["other"] else []
        return [(str(value), count) for value, count in figures["common"]] + more
    if found.type == "date":
        return [(str(when), count) for when, count in figures.get("bars", ())]
    return [(_span(*bar), bar[2]) for bar in figures.get("bars", ())]


def _span(low: float, high: float, _count: int) -> str:
    return short(low) if low == high else f"{short(low)} to {short(high)}"


def small(found: Distribution | None) -> Picture | None:
    """For a row of the catalogue; texts by their commonest values."""
    counts = counts_of(found) if found else []
    if found is not None and "common" in found.figures:
        counts = [count for count in counts if count[0] != "others"][:FEW]
    return _drawn(counts, *SMALL, SMALL[1], ()) if counts else None


def large(found: Distribution | None) -> Picture | None:
    """For the page of one fact; what is no scale is better told by a table."""
    if found is None or "common" in found.figures or "true" in found.figures:
        return None
    counts = counts_of(found)
    return _drawn(counts, *LARGE, LARGE[1] - FOOT, _starts(found)) if counts else None


def _starts(found: Distribution) -> list[str]:
    """What stands under the left edge of each bar."""
    bars: Sequence[Any] = found.figures["bars"]
    return [str(bar[0]) if found.type == "date" else short(bar[0]) for bar in bars]


def _drawn(counts: Sequence[Count], width: int, height: int, base: int, starts: Sequence[str]) -> Picture:
    most, step = max(count for _, count in counts) or 1, width / len(counts)
    total = sum(count for _, count in counts) or 1
    bars = []
    for place, (what, count) in enumerate(counts):
        tall = max(LEAST, (base - 2) * count / most) if count else 0
        gap = min(2.0, step * 0.15)
        title = f"{what}: {count:,} ({100 * count / total:.1f} %)"
        bars.append(Bar(round(place * step, 2), round(base - tall, 2), round(step - gap, 2), round(tall, 2), title))
    every = max(1, -(-len(starts) // LABELS))
    labels = [(round(place * step, 2), label) for place, label in enumerate(starts) if place % every == 0]
    title = "; ".join(bar.title for bar in bars[:FEW])
    return Picture(width, height, base, bars, labels, title)
