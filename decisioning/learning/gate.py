"""What is known of a challenger comes in; whether it may replace what is used, with every check in words, comes out.

The challenger has to be better than the best constant choice and than the champion, beyond chance: the interval of
each gain leaves out zero. It must also say true chances, treat groups evenly, answer in time, and have been judged by
enough. What is used stays when anything fails.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from decisioning.learning.enough import FEWEST_REWARDS, more_needed, rounded
from decisioning.learning.evaluation import Estimate
from decisioning.learning.fairness import UNKNOWN, Audit
from decisioning.learning.offpolicy import Worth

CONSTANT, CHAMPION = "the best constant choice", "the champion"
VALUE: Final = "value by the log"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What must be kept to: `outcomes` of the rarer kind, in training and in the test each; `milliseconds` a decision.

    `calibration` is a share of the base rate (or of the rate of nothing, where that is less): an error of 0.02 is small
    where half convert, and all there is where one in fifty does. `impact` and `opportunity`: see `fairness`.
    """

    outcomes: int = 30
    calibration: float = 1 / 3
    impact: float = 0.8
    opportunity: float = 0.1
    milliseconds: float = 10.0


BOUNDS: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the challenger is better (more is better) in one figure, and than whom."""

    metric: str
    over: str
    gain: Estimate


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the gate judges by; `trained` and `tested` are outcomes of the rarer kind.

    `compared` are those of them that the champion has not learned from (None: no champion). `worths` are by the log's
    chances, with whom each is compared. `calibration` is (error, what chance alone makes of it, base rate);
    `milliseconds` a decision, None where they were not measured.
    """

    trained: int
    tested: int
    compared: int | None
    gains: Sequence[Gain]
    worths: Sequence[tuple[str, Worth]] = ()
    calibration: tuple[float, float, float] | None = None
    audits: Sequence[Audit] = ()
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One question: its figure and bound (None where there is none), whether it holds, and all of it in words."""

    name: str
    passed: bool
    words: str
    figure: float | None = None
    bound: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger is promoted, in one sentence, and every check."""

    promoted: bool
    words: str
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def table(self) -> str:
        """For people, a line a check."""
        lines = [f"{'passed' if check.passed else 'FAILED':<8}{check.name}: {check.words}" for check in self.checks]
        return "\n".join([*lines, self.words])


def judge(evidence: Evidence, bounds: Bounds = BOUNDS) -> Verdict:
    """All checks; promoted when every one holds."""
    checks = (
        *_enough(evidence, bounds),
        *(_better(gain) for gain in evidence.gains),
        *(_worth_more(over, worth) for over, worth in evidence.worths),
        *_calibrated(evidence, bounds),
        *(check for audit in evidence.audits for check in _even(audit, bounds)),
        *_in_time(evidence, bounds),
    )
    failed = [check for check in checks if not check.passed]
    if not failed:
        return Verdict(True, f"promote: all {len(checks)} checks hold", checks)
    return Verdict(False, f"keep {_kept(failed, evidence)}: {'; '.join(check.words for check in failed)}", checks)


def _kept(failed: Sequence[Check], evidence: Evidence) -> str:
    """What stays in use; where the constant was not beaten, it is the champion only if there is one."""
    return CONSTANT if evidence.compared is None else CHAMPION


def _enough(evidence: Evidence, bounds: Bounds) -> list[Check]:
    counted = [("outcomes learned from", evidence.trained), ("outcomes judged by", evidence.tested)]
    if evidence.compared is not None:
        counted.append(("outcomes since the champion was trained", evidence.compared))
    checks = [_counted(name, number, bounds.outcomes) for name, number in counted]
    if not any(gain.over == CONSTANT for gain in evidence.gains) and not evidence.worths:
        told = (
            f"nothing tells whether it is better than {CONSTANT}; let the placement explore, or take another objective"
        )
        checks.append(Check("something to compare by", False, told))
    return checks


def _counted(name: str, number: int, fewest: int) -> Check:
    if number >= fewest:
        return Check(name, True, f"{number:,} {name}", number, fewest)
    missing = f"about {rounded(fewest - number):,} more are needed"
    return Check(name, False, f"not enough data: {number:,} {name}, {missing}", number, fewest)


def _better(one: Gain) -> Check:
    name = f"{one.metric} against {one.over}"
    passed = one.gain.low > 0
    told = f"{one.metric} gains {one.gain} over {one.over}"
    return Check(name, passed, told if passed else f"{told}, which does not exclude zero", *_of(one.gain, 0.0))


def _worth_more(over: str, worth: Worth) -> Check:
    """By the log's own chances; a gain that cannot be told is none."""
    name = f"{VALUE} against {over}"
    told = f"by {worth.by} a decision earns {worth.gain} more than {over} (effective rows {worth.effective:,.0f})"
    if worth.problem:
        return Check(name, False, f"{told}; {worth.problem}", *_of(worth.gain, 0.0))
    if worth.gain.low > 0:
        return Check(name, True, told, *_of(worth.gain, 0.0))
    half = (worth.gain.high - worth.gain.low) / 2
    more = more_needed(worth.decisions, worth.effective, FEWEST_REWARDS, half, abs(worth.gain.value))
    needs = f"; to tell such a gain takes about {more:,} more decisions" if worth.gain.value > 0 and more else ""
    return Check(name, False, f"{told}, which does not exclude zero{needs}", *_of(worth.gain, 0.0))


def _of(estimate: Estimate, bound: float) -> tuple[float, float, float, float]:
    return estimate.value, bound, estimate.low, estimate.high


def _calibrated(evidence: Evidence, bounds: Bounds) -> list[Check]:
    if evidence.calibration is None:
        return []
    error, chance, base = evidence.calibration
    bound = bounds.calibration * min(base, 1 - base) + chance
    told = f"calibration error {error:.4f}, at most {bound:.4f} (of it {chance:.4f} by chance)"
    return [Check("calibration", error <= bound, told, error, bound)]


def _even(audit: Audit, bounds: Bounds) -> list[Check]:
    """A difference counts when it is beyond the bound and more than chance."""
    found = []
    if {*(group.name for group in audit.groups), *audit.left_out} <= {UNKNOWN}:
        told = f"nobody who was judged has the fact {audit.attribute}; see how it is written in SENSITIVE_FACTS"
        return [Check(f"fairness by {audit.attribute}", False, told)]
    if (impact := audit.impact) is not None:
        passed = impact.value >= bounds.impact or impact.high >= 1.0
        told = f"disparate impact by {audit.attribute} is {impact}, at least {bounds.impact}"
        found.append(Check(f"disparate impact by {audit.attribute}", passed, told, *_of(impact, bounds.impact)))
    if (gap := audit.opportunity) is not None:
        passed = gap.value <= bounds.opportunity or gap.low <= 0.0
        told = f"equal opportunity by {audit.attribute} differs by {gap}, at most {bounds.opportunity}"
        found.append(Check(f"equal opportunity by {audit.attribute}", passed, told, *_of(gap, bounds.opportunity)))
    return found


def _in_time(evidence: Evidence, bounds: Bounds) -> list[Check]:
    if evidence.milliseconds is None:
        return []
    told = f"{evidence.milliseconds:.2f} ms a decision, at most {bounds.milliseconds:g}"
    passed = evidence.milliseconds <= bounds.milliseconds
    return [Check("latency", passed, told, evidence.milliseconds, bounds.milliseconds)]
