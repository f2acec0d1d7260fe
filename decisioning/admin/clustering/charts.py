"""Compared candidates and a flat picture in; rows of a table, the dots of a chart and a drawing, out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.safestring import SafeString, mark_safe

from decisioning.learning import pictures
from decisioning.learning.judging import percent
from decisioning.learning.pictures import caption, drawn
from decisioning.learning.profiles import label_of

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, FOOT = 44, 14, 12, 38
LINES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
TICKS: Final = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
# What the table's columns are called, and whether they hold figures.
COLUMNS: Final = (
    ("Algorithm", False), ("Scale", False), ("Setting", False), ("Clusters", True), ("Silhouette", True),
    ("Davies-Bouldin", True), ("Stability", True), ("Smallest", True), ("Noise", True), ("Agreement", True),
    ("Score", True), ("Verdict", False),
)  # fmt: skip
SHARES: Final = ("smallest", "biggest", "noise", "agreement")
WHO: Final = ("algorithm", "scaling", "setting", "warm")


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell says, a second figure below it, and the figure that its column is sorted by."""

    text: str
    sort: float | None = None
    below: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate as the table shows it."""

    algorithm: str
    scaling: str
    setting: str
    cells: list[Cell]
    refused: list[str]
    chosen: bool
    alone: bool
    warm: bool


@dataclass(frozen=True, slots=True)
class Dot:
    """One candidate on the chart."""

    x: float
    y: float
    title: str
    allowed: bool
    chosen: bool
    alone: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Silhouette upwards, the smallest cluster's share to the right, on the scale of square roots."""

    dots: list[Dot]
    lines: list[tuple[float, str]]
    ticks: list[tuple[float, str]]
    least: float | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - FOOT


@dataclass(frozen=True, slots=True)
class Picture:
    """Customers as dots with the centres of their clusters, and what the axes are made of."""

    inside: SafeString
    title: str
    captions: list[str]
    width: int = pictures.WIDTH
    height: int = pictures.HEIGHT


def same(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Whether two candidates are one."""
    return other is not None and all(one.get(name) == other.get(name) for name in WHO)


def rows(metrics: Mapping[str, Any]) -> list[Row]:
    """Every candidate that was compared; [] where an earlier version kept fewer figures."""
    return [_row(one, metrics.get("alone")) for one in _compared(metrics)]


def _compared(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in metrics.get("comparison") or [] if "algorithm" in one]


def _row(one: Mapping[str, Any], alone: Mapping[str, Any] | None) -> Row:
    cells = [
        Cell(str(one["number"]), one["number"]),
        _figure(one.get("silhouette"), one.get("silhouette_across")),
        _figure(one.get("davies_bouldin"), one.get("davies_bouldin_across")),
        _figure(one.get("stability")),
        _share(one.get("smallest_share")),
        _share(one.get("noise_share")),
        _share(one.get("agreement")),
        _figure(one.get("score")),
    ]
    return Row(
        algorithm=one["algorithm"],
        scaling=one["scaling"],
        setting=one["setting"],
        cells=cells,
        refused=list(one.get("refused") or ()),
        chosen=bool(one.get("chosen")),
        alone=same(one, alone),
        warm=bool(one.get("warm")),
    )


def _figure(value: float | None, across: float | None = None) -> Cell:
    return Cell(two(value), value, "" if across is None else f"{two(across)} on all scales")


def _share(value: float | None) -> Cell:
    return Cell("–" if value is None else percent(value), value)


def two(value: float | None) -> str:
    """Two digits, or a dash."""
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def limits_told(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What candidates had to keep to."""
    limits = metrics.get("limits") or {}
    return {name: percent(value) if name in SHARES else f"{value:g}" for name, value in limits.items()}


def alone_told(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the silhouette alone would have chosen, and why it is not what was; None where that is not known."""
    alone, chosen = metrics.get("alone"), metrics.get("chosen") or {}
    if not alone:
        return None
    return {
        "who": f"{alone['algorithm']} on the {alone['scaling']} scale, {alone['setting']}",
        "number": alone["number"],
        "silhouette": two(alone.get("silhouette")),
        "smallest": percent(alone.get("smallest_share") or 0),
        "refused": list(alone.get("refused") or ()),
        "same": same(alone, chosen),
        "score": two(alone.get("score")),
        "best": two(chosen.get("score")),
    }


def chart(metrics: Mapping[str, Any]) -> Chart | None:
    """Silhouette against the smallest share; None where fewer than two candidates have both."""
    known = [one for one in _compared(metrics) if one.get("silhouette") is not None]
    if len(known) < 2:
        return None
    low = min(0.0, *(one["silhouette"] for one in known))
    widest = max(0.1, *(one["smallest_share"] for one in known))

    def x(share: float) -> float:
        return round(LEFT + (share / widest) ** 0.5 * (WIDTH - LEFT - RIGHT), 1)

    def y(silhouette: float) -> float:
        return round(TOP + (1 - silhouette) / (1 - low) * (HEIGHT - TOP - FOOT), 1)

    # The chosen one and the tempting one are drawn last, on top.
    known.sort(key=lambda one: (same(one, metrics.get("alone")), bool(one.get("chosen"))))
    least = (metrics.get("limits") or {}).get("smallest")
    return Chart(
        dots=[_dot(one, x, y, metrics.get("alone")) for one in known],
        lines=[(y(line), f"{line:g}") for line in LINES],
        ticks=[(x(tick), percent(tick)) for tick in TICKS if tick <= widest],
        least=x(least) if least is not None and least <= widest else None,
    )


def _dot(one: Mapping[str, Any], x: Any, y: Any, alone: Mapping[str, Any] | None) -> Dot:
    told = (
        f"{one['algorithm']} on the {one['scaling']} scale, {one['setting']}: silhouette {two(one['silhouette'])},"
        f" smallest cluster {percent(one['smallest_share'])}"
    )
    refused = "; ".join(one.get("refused") or ())
    return Dot(
        x=x(one["smallest_share"]),
        y=y(one["silhouette"]),
        title=f"{told}. Refused: {refused}." if refused else f"{told}.",
        allowed=not refused,
        chosen=bool(one.get("chosen")),
        alone=same(one, alone),
    )


def picture(metrics: Mapping[str, Any]) -> Picture | None:
    """The customers on the axes in which they differ most; None where none was kept."""
    found = metrics.get("picture") or {}
    if not found.get("points"):
        return None
    labels = metrics.get("labels") or {}
    named = {name: label_of(name, labels) for axis in found["axes"] for name in axis["loadings"]}
    title = f"{len(found['points'])} customers in {len(found['names'])} clusters, on the axes in which they differ most"
    captions = [caption(row, axis, named) for row, axis in enumerate(found["axes"])]
    # Nothing but numbers and colours of our own is drawn.
    return Picture(mark_safe("\n".join(drawn(found))), title, captions)  # noqa: S308


def explained(metrics: Mapping[str, Any]) -> str:
    """How much of all difference between customers the picture shows, in a sentence."""
    axes = (metrics.get("picture") or {}).get("axes") or []
    if not axes:
        return ""
    share = sum(axis["explained"] for axis in axes)
    trust = "what is near here is near" if share >= 0.7 else "customers who look near here may still differ much"
    plane = "two axes" if len(axes) > 1 else "one axis"
    return f"These {plane} show {percent(share)} of all difference between customers in these facts: {trust}."
