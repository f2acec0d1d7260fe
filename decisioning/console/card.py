"""A scorer's card (`learning.card`) in; bars, curves and dots with their places in a drawing, for a template, out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from decisioning.learning.associations import LABELS
from decisioning.learning.contributions import LOG, LOG_ODDS, PLAIN
from decisioning.learning.family import CHANCE, ORDER, UPLIFT, VALUE
from decisioning.learning.schema import FeatureSchema

PERCENT: Final = "{:.2%}"
SAID: Final = {CHANCE: PERCENT, ORDER: PERCENT, VALUE: "{:,.4g}", UPLIFT: "{:+.2%}"}  # how a score is written
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    CHANCE: {
        "loss": "Log loss",
        "grows": "its log loss (nats a row) grows",
        "score": "chance",
        "believed": "Whether its chances can be believed",
        "dots": "Dots on the dashed line mean: what was said is what came. A hollow dot lies off it further than chance"
        " explains.",
    },
    ORDER: {
        "loss": "nDCG@10 lost",
        "grows": "nDCG@10 of its slates falls",
        "score": "chance",
        "believed": "Whether what it puts first comes more often",
        "dots": "It promises an order, not a chance: dots should rise from left to right, if off the dashed line.",
    },
    VALUE: {
        "loss": "Variance lost",
        "grows": "the share of the money's variance that it does not foretell grows",
        "score": "money",
        "believed": "Whether its money can be believed",
        "dots": "Dots on the dashed line mean: what was said is what came, on average. A hollow dot lies off it further"
        " than chance explains; a few large orders move the last one far.",
    },
    UPLIFT: {
        "loss": "Gain moved",
        "grows": "its gain moves (without a sign)",
        "score": "gain",
        "believed": "How its gains are spread",
        "dots": "No row shows what would have come of it otherwise, so there is no rate to hold a gain against: what"
        " can be known of gains stands with the gate.",
    },
}
WIDTH, HEIGHT, MARGIN = 360.0, 200.0, 48.0
BAR: Final = 300.0
ABOVE: Final = 1.08  # room over the highest point

Drawing = dict[str, Any]
Say = Callable[[float], str]


def drawn(card: Mapping[str, Any], labels: Mapping[str, str]) -> Drawing:
    """Everything the page shows; `labels` {feature: what people call it}."""
    task = card.get("task", CHANCE)
    say = SAID[task].format
    return {
        "words": WORDS[task],
        "rows": card["rows"],
        "unused": card["unused"],
        "importance": _bars(card["importance"], labels),
        "curves": [_curve(one["name"], one["points"], labels, say) for one in card["dependence"]],
        "calibration": _calibration(card["calibration"], say),
        "scores": _histogram(card["scores"], say),
        "width": WIDTH,
        "height": HEIGHT,
        "margin": MARGIN,
        "bar": BAR,
        "right": WIDTH - 8,
        "floor": HEIGHT - MARGIN,
    }


def said(scale: str, score: float) -> str:
    """A score as people write it, by the scale on which its shares are added."""
    return {LOG_ODDS: SAID[CHANCE], LOG: SAID[VALUE], PLAIN: SAID[UPLIFT]}[scale].format(score)


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


def _curve(name: str, points: Sequence[Mapping[str, Any]], labels: Mapping[str, str], say: Say) -> Drawing:
    known = [point for point in points if point["value"] is not None]
    missing = next((point for point in points if point["value"] is None), None)
    floor = min(0.0, *(point["low"] for point in points)) * ABOVE
    top = max(0.0, *(point["high"] for point in points)) * ABOVE or (0.0 if floor else 1.0)
    levels = any(isinstance(point["value"], str) for point in known)
    xs = _places(known, levels)
    dots = [
        {
            "x": x,
            "y": _y(point["mean"], top, floor),
            "low": _y(point["low"], top, floor),
            "high": _y(point["high"], top, floor),
            "value": point["value"] if levels else f"{point['value']:g}",
            "said": say(point["mean"]),
            "band": f"{say(point['low'])} to {say(point['high'])}",
        }
        for x, point in zip(xs, known, strict=True)
    ]
    return {
        "label": labels.get(name, name),
        "levels": levels,
        "dots": dots,
        "line": " ".join(f"{dot['x']},{dot['y']}" for dot in dots),
        "band": " ".join([f"{dot['x']},{dot['high']}" for dot in dots] + [f"{d['x']},{d['low']}" for d in dots[::-1]]),
        "missing": None if missing is None else {"y": _y(missing["mean"], top, floor), "said": say(missing["mean"])},
        "top": say(top),
        "bottom": say(floor) if floor else "0",
        "zero": _y(0.0, top, floor),
        "first": dots[0]["value"] if dots else "",
        "last": dots[-1]["value"] if dots else "",
    }


def _places(points: Sequence[Mapping[str, Any]], levels: bool) -> list[float]:
    """Levels side by side; numbers by their order, not their size: one rich customer must not squeeze all others."""
    room = WIDTH - MARGIN - 16
    step = room / (len(points) if levels else max(1, len(points) - 1))
    start = MARGIN + (step / 2 if levels else 0)
    return [round(start + step * at, 1) for at in range(len(points))]


def _y(value: float, top: float, floor: float = 0.0) -> float:
    return round(HEIGHT - MARGIN - (HEIGHT - MARGIN - 8) * (value - floor) / ((top - floor) or 1.0), 1)


def _calibration(bins: Sequence[Mapping[str, Any]], say: Say) -> Drawing | None:
    if not bins:
        return None
    top = max((max(one["high"], one["score"]) for one in bins), default=1.0) * ABOVE or 1.0
    room = WIDTH - MARGIN - 16
    return {
        "top": say(top),
        "end": {"x": round(MARGIN + room, 1), "y": _y(top, top)},
        "dots": [
            {
                "x": round(MARGIN + room * one["score"] / top, 1),
                "y": _y(one["rate"], top),
                "low": _y(one["low"], top),
                "high": _y(one["high"], top),
                "score": say(one["score"]),
                "rate": say(one["rate"]),
                "between": f"{say(one['low'])} to {say(one['high'])}",
                "rows": one["rows"],
                "off": not one["low"] <= one["score"] <= one["high"],
            }
            for one in bins
        ],
    }


def _histogram(spread: Mapping[str, Any], say: Say) -> Drawing:
    counts, edges = spread["counts"], spread["edges"]
    most = max(counts, default=0) or 1
    step = (WIDTH - MARGIN - 16) / max(1, len(counts))
    return {
        "first": say(edges[0]),
        "last": say(edges[-1]),
        "most": most,
        "bars": [
            {
                "x": round(MARGIN + step * at, 1),
                "width": round(step - 1, 1),
                "y": _y(count, most),
                "height": round(HEIGHT - MARGIN - _y(count, most), 1),
                "said": f"{count:,} rows from {say(edges[at])} to {say(edges[at + 1])}",
            }
            for at, count in enumerate(counts)
        ],
    }
