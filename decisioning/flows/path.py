"""A decision's row in; every candidate with the step at which it fell, and how many each step left, out."""

import re
from collections.abc import Mapping
from typing import Any, Final

from ..models import Decision

# The steps of a decision in their order, and the reasons by which a content falls at each. What fits none fell where
# contents are checked one by one.
STEPS: Final[Mapping[str, str]] = {
    "audience": r"customer is outside",
    "eligibility": r"",
    "holdout": r"customer is in the holdout",
    "rules": r"hidden by rule|not in ONLY of rule",
    "pick": r"ranked below|diversity: ",
}
DEFAULT: Final = "default"


def step_of(reason: str) -> str:
    """The step at which a content fell for this reason."""
    found = (step for step, pattern in STEPS.items() if pattern and re.match(pattern, reason))
    return next(found, "eligibility")


def candidates(row: Decision, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """What was chosen, by rank, and then the others, those that came furthest first; each with its name and why."""
    dropped = row.explanation.get("dropped", {})
    chosen = [_chosen(item, row, names) for item in row.items]
    order = {step: number for number, step in enumerate(STEPS)}
    others = [
        {"id": key, "name": names.get(key), "chosen": False, "step": step_of(why), "reason": why}
        for key, why in sorted(dropped.items())
    ]
    others.sort(key=lambda one: -order[one["step"]])
    return [*chosen, *others]


def _chosen(item: Mapping[str, Any], row: Decision, names: Mapping[str, str]) -> dict[str, Any]:
    told = {name: item.get(name) for name in ("rank", "score", "propensity")}
    reasons = "; ".join(item.get("reasons", ()))
    step = DEFAULT if row.rung == DEFAULT else "pick"
    return {"id": item.get("key"), "name": names.get(item.get("key", "")), "chosen": True, "step": step} | {
        "reason": reasons or "ranked",
        **told,
    }


def path(row: Decision) -> list[dict[str, Any]]:
    """The funnel: how many contents reached each step, how many it left, and how many fell there for which reason.

    Default contents stand outside it: they only come in when nothing is left.
    """
    dropped: Mapping[str, str] = row.explanation.get("dropped", {})
    left = len(dropped) + (0 if row.rung == DEFAULT else len(row.items))
    told = []
    for step in STEPS:
        reasons: dict[str, int] = {}
        for why in dropped.values():
            if step_of(why) == step:
                reasons[why] = reasons.get(why, 0) + 1
        came, left = left, left - sum(reasons.values())
        ordered = dict(sorted(reasons.items(), key=lambda pair: -pair[1]))
        told.append({"step": step, "came": came, "left": left, "fell": ordered})
    return told
