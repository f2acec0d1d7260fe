"""What a policy would have earned in; bars with whiskers, a verdict and what to do in plain words, out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from decisioning.flows.suppose import CONSTANT, CURRENT, LOGGED, Supposed
from decisioning.learning.evaluation import Estimate
from decisioning.learning.offpolicy import SUPPORTED, Worth

NEVER: Final = 0.01  # of what the policy would show; the log showed less than that of it
UNITS: Final = {"click": "clicks a decision", "conversion": "conversions a decision", "value": "money a decision"}
EXPLORE: Final = (
    "Give the placement a policy that explores (epsilon-greedy, Thompson sampling or LinUCB) and a small share of"
    " exploration, let it run, and ask again."
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure with its interval: `start`, `width`, `low` and `span` in percent of the drawing; `surely` not zero."""

    name: str
    said: str
    between: str
    start: float
    width: float
    low: float
    span: float
    surely: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Earned:
    """All that the page shows; `zero` in percent is where the gains' axis stands, `state` of good, bad, open, blind."""

    state: str
    verdict: str
    advice: str
    values: Sequence[Bar]
    gains: Sequence[Bar]
    zero: float
    unit: str
    by: str
    effective: float
    rows: int
    mean_weight: str
    clipped: float
    decisions: int
    sampled: bool
    since: datetime
    until: datetime


def told(found: Supposed, objective: str) -> Earned:
    """Everything about what a policy would have earned."""
    one = found.worths[LOGGED]
    state, verdict, advice = _verdict(found.worths)
    gains, zero = _gains(found.worths)
    return Earned(
        state,
        verdict,
        advice,
        _values(one),
        gains,
        zero,
        UNITS[objective],
        one.by,
        one.effective,
        one.rows,
        str(one.mean_weight),
        one.clipped,
        found.decisions,
        found.sampled,
        found.since,
        found.until,
    )


def _verdict(worths: Mapping[str, Worth]) -> tuple[str, str, str]:
    """Its state, one sentence, and what to do."""
    one, over = worths[LOGGED], CURRENT if CURRENT in worths else LOGGED
    if one.mean_weight.high < NEVER:
        return "blind", "The log cannot tell: what this would show was never shown.", EXPLORE
    if one.mean_weight.high < SUPPORTED:
        share = 1 - one.mean_weight.value
        words = f"The log cannot tell: about {share:.0%} of what this would show had no chance of being shown."
        return "blind", words, f"Its figures are too low by what that would earn. {EXPLORE}"
    if one.needed:
        words = f"Not enough data: about {one.needed:,} more decisions needed."
        return "open", words, "Let the placement go on exploring, or ask for more days."
    gain = worths[over].gain
    said = f"{abs(gain.value):.4f} [{min(abs(gain.low), abs(gain.high)):.4f}, {max(abs(gain.low), abs(gain.high)):.4f}]"
    if gain.low > 0:
        return "good", f"It would have earned {said} more a decision than {over}.", _beside_constant(worths[CONSTANT])
    if gain.high < 0:
        return "bad", f"It would have earned {said} less a decision than {over}.", "Keep what there is."
    return "open", f"No difference to {over} can be told.", "The interval of the gain holds zero: it may be chance."


def _beside_constant(worth: Worth) -> str:
    if worth.gain.low > 0:
        return "It is also better than showing everybody the best constant choice."
    if worth.gain.high < 0:
        return "But showing everybody the best constant choice would have earned more still."
    return "Whether it is better than showing everybody the best constant choice cannot be told."


def _values(one: Worth) -> list[Bar]:
    """What was shown first, then each estimate; all begin at zero and have one scale."""
    named = [
        ("What was shown", one.logged),
        ("Doubly robust (DR)", one.dr),
        ("Self-normalised (SNIPS)", one.snips),
        ("Weighted (IPS)", one.ips),
    ]
    rows = [(name, each) for name, each in named if each is not None]
    return _bars(rows)[0]


def _gains(worths: Mapping[str, Worth]) -> tuple[list[Bar], float]:
    return _bars([(f"over {over}", each.gain) for over, each in worths.items()], signed=True)


def _bars(rows: Sequence[tuple[str, Estimate]], signed: bool = False) -> tuple[list[Bar], float]:
    """The bars, and where zero stands."""
    least = min(0.0, *(each.low for _, each in rows), *(each.value for _, each in rows))
    most = max(0.0, *(each.high for _, each in rows), *(each.value for _, each in rows))
    room = (most - least) or 1.0

    def at(value: float) -> float:
        return round(100 * (value - least) / room, 2)

    sign = "+" if signed else ""
    bars = [
        Bar(
            name,
            f"{each.value:{sign}.4f}",
            f"{each.low:{sign}.4f} to {each.high:{sign}.4f}",
            at(min(0.0, each.value)),
            round(100 * abs(each.value) / room, 2),
            at(each.low),
            round(100 * (each.high - each.low) / room, 2),
            each.low > 0 or each.high < 0,
            number > 0 or signed,
        )
        for number, (name, each) in enumerate(rows)
    ]
    return bars, at(0.0)
