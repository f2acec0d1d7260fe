"""A report on a scorer in use (`flows.watch`) in; a verdict, bars and dots with their places in a drawing, out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from decisioning.learning.drifting import DRIFTING, REFIT

WIDTH, HEIGHT, LEFT, FLOOR = 640.0, 220.0, 64.0, 180.0
TICK: Final = 7.0
ABOVE: Final = 1.1  # room over the highest point
MOST: Final = 2 * REFIT  # bars end here; more is told by the figure
SHOWN: Final = 12  # features
VERDICTS: Final = {
    "steady": ("good", "Its present is like what it learned from"),
    "moving": ("open", "Its present begins to move away from what it learned from"),
    "moved": ("bad", "Its present has moved from what it learned from"),
    "unknown": ("blind", "Nothing can be said yet"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """How far one thing has moved; `width` in percent of its track, `state` good, open or bad."""

    label: str
    psi: str
    ks: str
    width: float
    state: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One week: what it said and what came, with its interval, as places in the drawing and in words."""

    x: float
    left: float
    right: float
    said: float
    came: float
    low: float
    high: float
    off: bool
    words: str
    day: str


@dataclass(frozen=True, slots=True)
class Watched:
    """Everything the page shows; lines of bounds in percent of a track."""

    state: str
    verdict: str
    at: datetime
    reasons: Sequence[str]
    bars: Sequence[Bar]
    more: int
    moved: int
    dots: Sequence[Dot]
    line: str
    top: str
    history: Sequence[tuple[str, str]]
    rows: tuple[int, int]
    some: float = 100 * DRIFTING / MOST
    much: float = 100 * REFIT / MOST


def drawn(report: Mapping[str, Any] | None, labels: Mapping[str, str]) -> Watched | None:
    """The report; nothing where nobody looked yet. `labels` {feature: what people call it}."""
    if not report:
        return None
    state, words = VERDICTS[report["verdict"]]
    if report["off"]:
        words = "What it says is not what comes of it"
    named = [("Scores", report["score"]), ("Sizes of segments", report["segments"])]
    named += [(labels.get(one["name"], one["name"]), one) for one in report["features"][:SHOWN]]
    dots, top = _dots(report["periods"])
    return Watched(
        state,
        words,
        datetime.fromisoformat(report["at"]),
        [reason[:1].upper() + reason[1:] for reason in report["reasons"]],
        [_bar(label, one) for label, one in named if one["verdict"] != "unknown"],
        max(0, report["watched"] - SHOWN),
        max(0, report["moved"] - SHOWN),
        dots,
        " ".join(f"{dot.x},{dot.said}" for dot in dots),
        top,
        [_past(one) for one in report["history"][-40:]],
        (report["rows then"], report["rows now"]),
    )


def _bar(label: str, move: Mapping[str, Any]) -> Bar:
    state = {"moved": "bad", "moving": "open"}.get(move["verdict"], "good")
    width = round(100 * min(1.0, max(0.0, move["psi"]) / MOST), 1)
    return Bar(label, f"{move['psi']:.2f}", f"{move['ks']:.2f}", width, state)


def _dots(periods: Sequence[Mapping[str, Any]]) -> tuple[list[Dot], str]:
    if not periods:
        return [], ""
    most = ABOVE * max(max(one["high"], one["expected"]) for one in periods) or 1.0
    step = (WIDTH - LEFT - 40) / max(len(periods) - 1, 1)

    def y(value: float) -> float:
        return round(FLOOR * (1 - min(value, most) / most), 1)

    found = []
    for place, one in enumerate(periods):
        day = f"{datetime.fromtimestamp(one['start'] / 1e6, UTC):%d %b}"
        off = not one["low"] <= one["expected"] <= one["high"]
        words = (
            f"the week of {day}: said {one['expected']:.4f}, came {one['value']:.4f}"
            f" ({one['low']:.4f} to {one['high']:.4f}), {one['rows']:,} showings"
        )
        x = round(LEFT + 16 + place * step, 1)
        found.append(
            Dot(
                x,
                x - TICK,
                x + TICK,
                y(one["expected"]),
                y(one["value"]),
                y(one["low"]),
                y(one["high"]),
                off,
                words,
                day,
            )
        )
    return found, f"{most:.3g}"


def _past(one: Mapping[str, Any]) -> tuple[str, str]:
    state = "bad" if one["off"] else VERDICTS[one["verdict"]][0]
    return state, f"{datetime.fromisoformat(one['at']):%d %b %Y, %H:%M} UTC: {one['verdict']}, PSI {one['psi']:.2f}"
