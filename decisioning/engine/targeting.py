"""A placement's rules and a customer's facts in; the narrowed contents, boosts, pins and a trace of why, out.

Meaning, in the rules' order (priority, specificity, age):
ONLY narrows what is left, HIDE removes, BOOST multiplies and BURY divides the score, PIN holds a position (the first
rule to claim it wins), SHOW puts contents before all others (the first rule with a SHOW that can be met wins; later
ones are overruled), START CAMPAIGN is handed back as an effect, STOP ends the reading of rules.

ONLY and HIDE are obeyed first, whichever rule they stand in: a PIN or a SHOW of what a later rule takes away must not
hold the place against one that could be met.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rules.language import explain

from .eligibility import in_schedule
from .objective import at_most
from .prepare import PreparedRule, Slot, Step, targets_of
from .types import ContentItem, RuleTrace


@dataclass(slots=True)
class Targeting:
    """What the rules left of a placement's contents, and what they did on the way."""

    kept: dict[str, ContentItem]
    dropped: dict[str, str]
    shown: frozenset[str] = frozenset()
    boosts: dict[str, float] = field(default_factory=dict)
    pins: dict[int, str] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    campaigns: list[str] = field(default_factory=list)
    traces: list[RuleTrace] = field(default_factory=list)

    def note(self, keys: Iterable[str], reason: str) -> None:
        """Remember for each content why it stands where it stands."""
        for key in keys:
            self.reasons.setdefault(key, []).append(reason)


def target(
    slot: Slot,
    kept: dict[str, ContentItem],
    dropped: dict[str, str],
    facts: Mapping[str, Any],
    now: datetime,
    full: bool,
    own: Sequence[ContentItem] | None = None,
) -> Targeting:
    """Run the slot's rules over the eligible contents. `full` adds each test's value to the trace.

    `own` are a caller's candidates: what rules aim at is looked for among them, with the attributes they came with.
    """
    state = Targeting(kept, dropped)
    matched = frozenset(slot.index.matching(facts, now))
    read = list(_read(slot, matched, now, own))
    narrowed = [[_narrow(step, rule, state) for step in steps] for rule, _, steps in read]
    for (rule, hit, steps), applied in zip(read, narrowed, strict=True):
        _run(rule, hit, steps, applied, state, explain(rule.condition, facts, now) if full else None)
    return state


Branch = tuple[PreparedRule, bool, Sequence[Step]]


def _read(slot: Slot, matched: Collection[str], now: datetime, own: Sequence[ContentItem] | None) -> Iterator[Branch]:
    """The rules that are read, up to the first STOP: each with whether it holds, and the branch that this decides."""
    for rule in slot.rules:
        if not in_schedule(rule.item, now):
            continue
        hit = rule.item.key in matched
        steps = rule.then if hit else rule.otherwise
        if own is not None:
            steps = tuple(_aimed(step, own, now) for step in steps)
        yield rule, hit, steps
        if any(step.verb == "STOP" for step in steps):
            return


def _aimed(step: Step, own: Sequence[ContentItem], now: datetime) -> Step:
    return step if step.target is None else replace(step, targets=targets_of(step.target, own, now))


Applied = tuple[str, str]


def _narrow(step: Step, rule: PreparedRule, state: Targeting) -> Applied | None:
    """Obey an ONLY or a HIDE; None for every other step, whose turn comes when it is known what is left."""
    return NARROW[step.verb](step, rule, state) if step.verb in NARROW else None


def _run(
    rule: PreparedRule,
    hit: bool,
    steps: Sequence[Step],
    narrowed: Sequence[Applied | None],
    state: Targeting,
    tests: dict[str, Any] | None,
) -> None:
    """Apply what is left of one rule's branch, and trace the whole of it."""
    effects: list[str] = []
    overruled: list[str] = []
    for step, done in zip(steps, narrowed, strict=True):
        effect, lost = done or APPLY[step.verb](step, rule, state)
        if effect:
            effects.append(effect)
        if lost:
            overruled.append(lost)
    if steps or hit or tests:
        state.traces.append(RuleTrace(rule.item.key, rule.item.revision, hit, tuple(effects), tuple(overruled), tests))


def _show(step: Step, rule: PreparedRule, state: Targeting) -> Applied:
    available = step.targets & state.kept.keys()
    if state.shown:
        return "", "SHOW: an earlier rule already chose what to show"
    if not available:
        return "", "SHOW: none of its contents may be shown here now"
    state.shown = available
    state.note(available, f"shown by rule {rule.item.key}")
    return f"SHOW {_list(available)}", ""


def _only(step: Step, rule: PreparedRule, state: Targeting) -> Applied:
    _drop(state, state.kept.keys() - step.targets, f"not in ONLY of rule {rule.item.key}")
    return f"ONLY {_list(step.targets & state.kept.keys())}", ""


def _hide(step: Step, rule: PreparedRule, state: Targeting) -> Applied:
    hidden = step.targets & state.kept.keys()
    _drop(state, hidden, f"hidden by rule {rule.item.key}")
    return (f"HIDE {_list(hidden)}", "") if hidden else ("", "")


def _weigh(step: Step, rule: PreparedRule, state: Targeting) -> Applied:
    touched = step.targets & state.kept.keys()
    if not touched:
        return "", f"{step.verb}: none of its contents is a candidate"
    factor = step.amount if step.verb == "BOOST" else 1 / step.amount
    for key in touched:
        state.boosts[key] = at_most(state.boosts.get(key, 1.0) * factor)
    state.note(touched, f"{step.verb.lower()} by {step.amount:g} (rule {rule.item.key})")
    return f"{step.verb} {_list(touched)} BY {step.amount:g}", ""


def _pin(step: Step, rule: PreparedRule, state: Targeting) -> Applied:
    position = int(step.amount)
    available = sorted((step.targets & state.kept.keys()) - set(state.pins.values()))
    if position in state.pins:
        return "", f"PIN: position {position} is held by an earlier rule"
    if not available:
        return "", "PIN: its content may not be shown here now"
    state.pins[position] = available[0]
    state.note(available[:1], f"pinned at {position} by rule {rule.item.key}")
    return f"PIN {available[0]} AT {position}", ""


def _campaign(step: Step, rule: PreparedRule, state: Targeting) -> Applied:
    state.campaigns.append(step.campaign)
    return f"START CAMPAIGN {step.campaign}", ""


def _stop(step: Step, rule: PreparedRule, state: Targeting) -> Applied:
    return "STOP", ""


NARROW = {"ONLY": _only, "HIDE": _hide}
APPLY = {
    "SHOW": _show,
    "BOOST": _weigh,
    "BURY": _weigh,
    "PIN": _pin,
    "START CAMPAIGN": _campaign,
    "STOP": _stop,
}


def _drop(state: Targeting, keys: Collection[str], reason: str) -> None:
    for key in sorted(keys):
        del state.kept[key]
        state.dropped[key] = reason


def _list(keys: Collection[str]) -> str:
    shown = ", ".join(sorted(keys)[:5])
    return f"{shown} and {len(keys) - 5} more" if len(keys) > 5 else shown or "nothing"
