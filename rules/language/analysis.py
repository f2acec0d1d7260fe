"""Comes in: all rules in their order, perhaps a frame of customers. Goes out: how they hinder one another.

What logic can prove is told as proved; the rest is measured on the frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from rules.language import nodes
from rules.language.actions import contradict
from rules.language.frames import matching_frames
from rules.language.printer import target_text
from rules.language.prove import Types, covers, never
from rules.language.quoting import quote

WORTH_TELLING = 0.5  # the share of a rule's customers from which shadowing is told
Reach = Callable[[nodes.Target], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule in its place. Without `placements` it stands in all; a higher `priority` goes first."""

    key: str
    rule: nodes.Rule
    priority: int = 0
    placements: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` is never, unreachable, powerless, shadowed, empty, tie or contradiction; `other` is the rule to
    blame.

    `share` of `customers` (the rule's audience in the frame) is what was measured; None where it was proved.
    """

    kind: str
    key: str
    message: str
    other: str | None = None
    share: float | None = None
    customers: int | None = None


@dataclass(slots=True)
class _Ruled:
    """A rule with what is asked about it again and again; a branch is True for THEN and False for ELSE."""

    entry: Entry
    stops: tuple[bool, ...]
    narrows: tuple[bool, ...]
    matched: pl.Series | None = None
    done: bool = False  # nothing more is told about it

    def condition(self, branch: bool) -> nodes.Condition:
        """When the branch is taken."""
        condition = self.entry.rule.condition
        return condition if branch else nodes.Not(condition)


def check_rules(
    entries: Sequence[Entry],
    types: Types | None = None,
    frame: pl.DataFrame | None = None,
    now: datetime | None = None,
    reach: Reach | None = None,
) -> list[Finding]:
    """What the rules do to one another; `entries` in the order they are looked at.

    `types` are the facts' types by name. With `frame` (one row per customer, one column per fact) and `now`
    the audiences are measured. `reach` tells the content keys a target stands for; without it only equal
    targets count as equal.
    """
    ruled = [_Ruled(one, _branches(one.rule, nodes.Stop), _branches(one.rule, nodes.Only)) for one in entries]
    if frame is not None and now is not None:
        _measure(ruled, frame, now)
    found: list[Finding] = []
    for place, late in enumerate(ruled):
        found += _alone(late, types)
        for early in ruled[:place]:
            if _meet(early.entry, late.entry):
                found += _between(early, late, types, reach or _same)
    return found


def _branches(rule: nodes.Rule, kind: type) -> tuple[bool, ...]:
    """The branches with an action of a kind."""
    branches = ((True, rule.then), (False, rule.otherwise))
    return tuple(branch for branch, actions in branches if any(isinstance(one, kind) for one in actions))


def _measure(ruled: Sequence[_Ruled], frame: pl.DataFrame, now: datetime) -> None:
    answers = matching_frames({str(place): one.entry.rule for place, one in enumerate(ruled)}, frame, now)
    for place, one in enumerate(ruled):
        one.matched = answers[str(place)]


def _meet(one: Entry, other: Entry) -> bool:
    """Whether two rules stand in a common placement."""
    return not one.placements or not other.placements or bool(one.placements & other.placements)


def _same(target: nodes.Target) -> frozenset[str]:
    return frozenset({target_text(target)})


def _alone(late: _Ruled, types: Types | None) -> list[Finding]:
    key, condition = late.entry.key, late.entry.rule.condition
    if never(condition, types):
        late.done = True
        return [Finding("never", key, f"{quote(key)} is never true.")]
    if late.matched is not None and len(late.matched) and not late.matched.any() and not late.entry.rule.otherwise:
        message = f"{quote(key)} is true for none of the {len(late.matched):,} customers."
        return [Finding("empty", key, message, customers=0)]
    return []


def _between(early: _Ruled, late: _Ruled, types: Types | None, reach: Reach) -> list[Finding]:
    if late.done:
        return []
    found = _stopped(early, late, types) or _narrowed(early, late, types, reach)
    return found + ([] if late.done else _tied(early, late, types))


def _stopped(early: _Ruled, late: _Ruled, types: Types | None) -> list[Finding]:
    """The earlier rule says STOP for all, or for many, of the later rule's customers."""
    if not _covered(early, late, early.stops, types):
        return _shadowed(early, late, early.stops, "by rule")
    late.done = True
    key, other = late.entry.key, early.entry.key
    message = f"{quote(key)} is unreachable: {quote(other)} says STOP first, for all it is true for."
    return [Finding("unreachable", key, message, other)]


def _narrowed(early: _Ruled, late: _Ruled, types: Types | None, reach: Reach) -> list[Finding]:
    """The earlier rule keeps ONLY contents the later one does not speak of."""
    if not early.narrows or not _outside(early.entry.rule, late.entry.rule, reach):
        return []
    if not _covered(early, late, early.narrows, types):
        return _shadowed(early, late, early.narrows, "by the ONLY of rule")
    key, other = late.entry.key, early.entry.key
    message = f"{quote(key)} has no effect: {quote(other)} keeps ONLY other contents, for all it is true for."
    return [Finding("powerless", key, message, other)]


def _covered(early: _Ruled, late: _Ruled, branches: Sequence[bool], types: Types | None) -> bool:
    """Whether it is proved that all the later rule is for take one of these branches of the earlier."""
    if late.entry.rule.otherwise or not branches:
        return False
    narrow = late.entry.rule.condition
    return len(branches) == 2 or covers(early.condition(branches[0]), narrow, types)


def _outside(early: nodes.Rule, late: nodes.Rule, reach: Reach) -> bool:
    """Whether everything the later rule aims at lies outside each ONLY of the earlier one."""
    kept = [reach(action.target) for action in early.then + early.otherwise if isinstance(action, nodes.Only)]
    aimed = [reach(one.target) for one in late.then if not isinstance(one, nodes.Stop | nodes.StartCampaign)]
    everything = len(aimed) == len(late.then)
    return everything and all(not targets & contents for targets in aimed for contents in kept)


def _shadowed(early: _Ruled, late: _Ruled, branches: Sequence[bool], blame: str) -> list[Finding]:
    """The same, measured on the frame."""
    if late.matched is None or early.matched is None or not branches or not (audience := int(late.matched.sum())):
        return []
    taken = early.matched if branches[0] else ~early.matched
    share = 1.0 if len(branches) == 2 else int((late.matched & taken).sum()) / audience
    if share < WORTH_TELLING:
        return []
    key, other = late.entry.key, early.entry.key
    told = f"{quote(key)} is shadowed for {100 * share:.3g} % of its {audience:,} customers"
    told = f"{told} {blame} {quote(other)}."
    return [Finding("shadowed", key, told, other, share, audience)]


def _tied(early: _Ruled, late: _Ruled, types: Types | None) -> list[Finding]:
    """Both want something different of the same content, or the same place, and may meet in one customer."""
    said = contradict(early.entry.rule.then, late.entry.rule.then)
    both = nodes.All((early.entry.rule.condition, late.entry.rule.condition))
    if said is None or early.stops or never(both, types):
        return []
    key, other = late.entry.key, early.entry.key
    if early.entry.priority == late.entry.priority:
        message = f"{quote(other)} and {quote(key)} have the same priority: {said} Give one of them a higher one."
        return [Finding("tie", key, message, other)]
    return [Finding("contradiction", key, f"{quote(other)} goes before {quote(key)}: {said}", other)]
