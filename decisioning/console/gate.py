"""What the gate said of a scorer in; its checks with marks, and intervals with places in a drawing, out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One check; places in percent of its drawing, None where nothing is drawn."""

    name: str
    passed: bool
    words: str
    figure: str
    bound: str
    low: float | None = None
    span: float = 0.0
    value: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Said:
    """The verdict, its checks, those that failed first; `override` is why a person put it to work all the same."""

    promoted: bool
    words: str
    checks: Sequence[Line]
    passed: int
    override: str


def drawn(gate: Mapping[str, Any] | None, note: str, active: bool) -> Said | None:
    """Everything the page shows of the gate; nothing where it was not asked."""
    if not gate:
        return None
    checks = sorted((_line(one) for one in gate["checks"]), key=lambda line: line.passed)
    promoted = bool(gate["promoted"])
    override = "" if promoted else note or ("nobody said why" if active else "")
    words = gate["words"].split(":")[0] if checks else gate["words"]
    return Said(promoted, words, checks, sum(line.passed for line in checks), override)


def _line(one: Mapping[str, Any]) -> Line:
    figure, bound, low, high = (one.get(name) for name in ("figure", "bound", "low", "high"))
    told = (one["name"], one["passed"], one["words"], _shown(figure), _shown(bound))
    if figure is None or bound is None or low is None or high is None:
        return Line(*told)
    least, most = min(low, bound, figure), max(high, bound, figure)
    # Room at both ends, so that a bound at the end is seen.
    margin = (most - least) * 0.05 or 1.0
    least, room = least - margin, most - least + 2 * margin

    def at(number: float) -> float:
        return round(100 * (number - least) / room, 2)

    return Line(*told, at(low), round(100 * (high - low) / room, 2), at(figure), at(bound))


def _shown(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.4f}"
