"""A scorer's card (`learning.card`) in; bars, curves and dots with their places in a drawing, for a template, out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from decisioning.learning.associations import LABELS
from decisioning.learning.schema import FeatureSchema

WIDTH, HEIGHT, MARGIN = 360.0, 200.0, 48.0
BAR: Final = 300.0
ABOVE: Final = 1.08  # room over the highest point

Drawing = dict[str, Any]


def drawn(card: Mapping[str, Any], labels: Mapping[str, str]) -> Drawing:
    """Everything the page shows; `labels` {feature: what people call it}."""
    return {
        "rows": card["rows"],
        "unused": card["unused"],
        "importance": _bars(card["importance"], labels),
        "curves": [_curve(one["name"], one["points"], labels) for one in card["dependence"]],
        "calibration": _calibration(card["calibration"]),
        "scores": _histogram(card["scores"]),
        "width": WIDTH,
        "height": HEIGHT,
        "margin": MARGIN,
        "bar": BAR,
        "right": WIDTH - 8,
        "floor": HEIGHT - MARGIN,
    }


def labels_of(schema: FeatureSchema, facts: Mapping[str, str]) -> dict[str, str]:
    """What people call each feature: a fact by its label, an attribute of the content as one."""
    return {column.name: _label(column.name, column.source, column.key, facts) for column in schema.columns}


def _label(name: str, source: str, key: str, facts: Mapping[str, str]) -> str:
    words = key.replace("_", " ")
    if source == "fact":
        return facts.get(key, words)
    if source == "content":
        return f"Content: {words}"
    if source == "association":
        return LABELS.get(key, words)
    return f"Taste for its {words}" if source == "cross" else name.replace("_", " ").capitalize()


def _bars(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[Drawing]:
    most = max((row["high"] for row in rows), default=0.0) or 1.0
    return [
        {
            "label": labels.get(row["name"], row["name"]),
            "width": round(BAR * max(0.0, row["value"]) / most, 1),
            "low": round(BAR * max(0.0, row["low"]) / most, 1),
            "span": round(BAR * max(0.0, row["high"] - max(0.0, row["low"])) / most, 1),
            "said": f"{row['value']:+.4f}",
            "surely": row["low"] > 0,
        }
        for row in rows
    ]


def _curve(name: str, points: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Drawing:
    known = [point for point in points if point["value"] is not None]
    missing = next((point for point in points if point["value"] is None), None)
    top = max(point["high"] for point in points) * ABOVE or 1.0
    levels = any(isinstance(point["value"], str) for point in known)
    xs = _places(known, levels)
    dots = [
        {
            "x": x,
            "y": _y(point["mean"], top),
            "low": _y(point["low"], top),
            "high": _y(point["high"], top),
            "value": point["value"] if levels else f"{point['value']:g}",
            "said": f"{point['mean']:.2%}",
            "band": f"{point['low']:.2%} to {point['high']:.2%}",
        }
        for x, point in zip(xs, known, strict=True)
    ]
    return {
        "label": labels.get(name, name),
        "levels": levels,
        "dots": dots,
        "line": " ".join(f"{dot['x']},{dot['y']}" for dot in dots),
        "band": " ".join([f"{dot['x']},{dot['high']}" for dot in dots] + [f"{d['x']},{d['low']}" for d in dots[::-1]]),
        "missing": None if missing is None else {"y": _y(missing["mean"], top), "said": f"{missing['mean']:.2%}"},
        "top": f"{top:.1%}",
        "first": dots[0]["value"] if dots else "",
        "last": dots[-1]["value"] if dots else "",
    }


def _places(points: Sequence[Mapping[str, Any]], levels: bool) -> list[float]:
    """Levels side by side; numbers by their order, not their size: one rich customer must not squeeze all others."""
    room = WIDTH - MARGIN - 16
    step = room / (len(points) if levels else max(1, len(points) - 1))
    start = MARGIN + (step / 2 if levels else 0)
    return [round(start + step * at, 1) for at in range(len(points))]


def _y(value: float, top: float) -> float:
    return round(HEIGHT - MARGIN - (HEIGHT - MARGIN - 8) * value / top, 1)


def _calibration(bins: Sequence[Mapping[str, Any]]) -> Drawing:
    top = max((max(one["high"], one["score"]) for one in bins), default=1.0) * ABOVE or 1.0
    room = WIDTH - MARGIN - 16
    return {
        "top": f"{top:.1%}",
        "end": {"x": round(MARGIN + room, 1), "y": _y(top, top)},
        "dots": [
            {
                "x": round(MARGIN + room * one["score"] / top, 1),
                "y": _y(one["rate"], top),
                "low": _y(one["low"], top),
                "high": _y(one["high"], top),
                "score": f"{one['score']:.2%}",
                "rate": f"{one['rate']:.2%}",
                "between": f"{one['low']:.2%} to {one['high']:.2%}",
                "rows": one["rows"],
                "off": not one["low"] <= one["score"] <= one["high"],
            }
            for one in bins
        ],
    }


def _histogram(spread: Mapping[str, Any]) -> Drawing:
    counts, edges = spread["counts"], spread["edges"]
    most = max(counts, default=0) or 1
    step = (WIDTH - MARGIN - 16) / max(1, len(counts))
    return {
        "first": f"{edges[0]:.1%}",
        "last": f"{edges[-1]:.1%}",
        "most": most,
        "bars": [
            {
                "x": round(MARGIN + step * at, 1),
                "width": round(step - 1, 1),
                "y": _y(count, most),
                "height": round(HEIGHT - MARGIN - _y(count, most), 1),
                "said": f"{count:,} rows from {edges[at]:.2%} to {edges[at + 1]:.2%}",
            }
            for at, count in enumerate(counts)
        ],
    }
