"""What a log showed, by what chance, and what came of it, come in; what another policy would have earned, comes out.

With the chance p of what was shown and the chance π that the other policy had given it, each row weighs w = π / p:

- IPS: the mean of w · reward (Horvitz and Thompson 1952)
- SNIPS: the same over the mean of w, place by place (Swaminathan and Joachims 2015)
- DR: what a model expects under the other policy, and w · (reward − what it expected) (Dudík, Langford, Li 2011)

Weights are clipped at √rows (Ionides 2008), which can only make a value smaller, and the share clipped is told. A slate
of several contents is judged place by place: what a content earns in its place is taken not to depend on its
neighbours (the item-position model; Li, Abbasi-Yadkori et al. 2018). Intervals resample customers.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from decisioning.learning.enough import ENDLESS, FEWEST_REWARDS, more_needed, rounded
from decisioning.learning.evaluation import Estimate
from decisioning.learning.resampling import Floats, Ints, Sums, ratio

SUPPORTED: Final = 0.95  # the mean weight is 1 where the log could have shown all that the policy would
KEPT: Final = 0.9  # of the weights must be left once they are cut
WANTED: Final = 0.25  # of the logged value: how near half an interval should come
LEAST_CLIP: Final = 10.0


@dataclass(frozen=True, slots=True)
class Log:
    """What was shown: a row a content and place; all arrays (rows,).

    `rewards` in any unit, `chances` of what was shown in (0, 1], `decisions` and `customers` as numbers, `places` from
    1, `expected` what a model expects of what was shown (all nan where there is none).
    """

    rewards: Floats
    chances: Floats
    decisions: Ints
    customers: Ints
    places: Ints
    expected: Floats

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, field.name)) for field in fields(self)}
        if len(lengths) > 1:
            raise ValueError(f"All columns of a log are equally long; these have {sorted(lengths)} rows.")
        if len(self.chances) and not (self.chances.min() > 0 and self.chances.max() <= 1 + 1e-9):
            raise ValueError("Chances lie above 0 and up to 1; leave rows without a known chance out.")

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def slates(self) -> int:
        """How many decisions."""
        return len(np.unique(self.decisions))


@dataclass(frozen=True, slots=True)
class Target:
    """A policy, as the log sees it; both arrays (rows,).

    `chances`: that it shows what was shown; `expected`: what the model expects of what it would show (nan: no model).
    """

    chances: Floats
    expected: Floats


@dataclass(frozen=True, slots=True)
class Worth:
    """What a policy would have earned a decision. `gain` is over the policy compared with, by `by`.

    `effective` rows are Kish's (Σw)² / Σw²; `needed` is how many more decisions would tell, 0 when it is enough.
    `problem` says in words why the figures are not to be trusted; nothing when they are.
    """

    ips: Estimate
    snips: Estimate
    dr: Estimate | None
    logged: Estimate
    gain: Estimate
    by: str
    decisions: int
    rows: int
    effective: float
    mean_weight: Estimate
    largest: float
    clipped: float
    clip: float
    needed: int
    problem: str

    @property
    def best(self) -> Estimate:
        """By the estimator that the verdict stands on."""
        return self.dr if self.dr is not None else self.snips

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value.to_dict() if isinstance(value, Estimate) else value for name, value in found.items()}


def worth(
    log: Log,
    target: Target,
    rng: np.random.Generator,
    *,
    against: Target | None = None,
    clip: float | None = None,
    wanted: float | None = None,
) -> Worth:
    """What `target` would have earned, and its gain over `against` (None: over what was logged).

    `wanted` is half the width that the interval should have, in the unit of the rewards; by default a quarter of what
    was logged. Raises `ValueError` for an empty log.
    """
    limit = max(LEAST_CLIP, float(np.sqrt(len(log)))) if clip is None else clip
    whole = target.chances / log.chances
    sides = [_side(log, target, limit), _side(log, against, limit) if against else _logged(log)]
    marks = [np.where(log.places == place, 1.0, 0.0) for place in np.unique(log.places)]
    columns = [_decisions(log), *sides[0].columns(marks), *sides[1].columns(marks), whole]
    sums = Sums(columns, log.customers, rng)
    ours, theirs = (Columns(1 + side * Columns.width(len(marks)), len(marks)) for side in (0, 1))
    doubly = not (np.isnan(log.expected).any() or np.isnan(target.expected).any())
    best: Callable[[Columns, Floats], Floats] = Columns.dr if doubly else Columns.snips
    weights = sides[0].weights
    logged = sums.interval(lambda s: s[:, ours.reward] / s[:, 0])
    snips, dr = sums.interval(ours.snips), sums.interval(ours.dr) if doubly else None
    # Before weights are cut: what was cut was explored, if rarely.
    mean_weight = sums.interval(ratio(len(columns) - 1, ours.first + 4))
    effective = float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300))
    rewarded = _telling(log, sides[0].weights, sides[1].weights if against else None)
    half = _half(dr or snips)
    asked = WANTED * abs(logged.value) if wanted is None else wanted
    needed = more_needed(log.slates, effective, rewarded, half, asked)
    if weights.mean() < KEPT * whole.mean():
        # So many rows that the cut, which grows with their root, spares the greatest weight.
        needed = max(needed, rounded(log.slates * ((float(whole.max()) / limit) ** 2 - 1.0)))
    return Worth(
        ips=sums.interval(ours.ips),
        snips=snips,
        dr=dr,
        logged=logged,
        gain=sums.interval(lambda s: best(ours, s) - best(theirs, s)),
        by="DR" if doubly else "SNIPS",
        decisions=log.slates,
        rows=len(log),
        effective=effective,
        mean_weight=mean_weight,
        largest=float(weights.max()),
        clipped=float((whole > limit).mean()),
        clip=limit,
        needed=needed,
        problem=_problem(mean_weight, needed),
    )


def _telling(log: Log, ours: Floats, theirs: Floats | None) -> int:
    """Rows with a reward that count for the policy; of two policies, those on which they differ."""
    differ = ours > 0 if theirs is None else ours != theirs
    if not differ.any():
        # Nothing tells them apart, and no further decision will.
        return FEWEST_REWARDS
    return int((differ & (log.rewards != 0)).sum())


def _problem(mean_weight: Estimate, needed: int) -> str:
    if mean_weight.high < SUPPORTED:
        share = 1.0 - mean_weight.value
        return (
            f"the log had no chance of showing about {share:.0%} of what this policy would show:"
            " the value is too low by what those would earn. Let the placement explore"
        )
    if needed >= ENDLESS:
        return "not enough data: more than a billion decisions like these needed. Let the placement explore"
    return f"not enough data: about {needed:,} more decisions needed" if needed else ""


def _half(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / 2


@dataclass(frozen=True, slots=True)
class Side:
    """A policy's weights, rewards and what the model adds, a row each."""

    weights: Floats
    rewards: Floats
    model: Floats

    def columns(self, marks: list[Floats]) -> list[Floats]:
        """What is summed: see `Columns`."""
        weighed = self.weights * self.rewards
        by_place = [column * mark for mark in marks for column in (weighed, self.weights, np.ones(len(mark)))]
        return [self.rewards, weighed, self.model, self.weights, np.ones(len(weighed)), *by_place]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a side's sums stand, and the estimators made of them; column 0 of the sums counts decisions."""

    first: int
    places: int

    @staticmethod
    def width(places: int) -> int:
        return 5 + 3 * places

    @property
    def reward(self) -> int:
        return self.first

    def ips(self, sums: Floats) -> Floats:
        return np.asarray(sums[:, self.first + 1] / sums[:, 0])

    def dr(self, sums: Floats) -> Floats:
        return np.asarray(sums[:, self.first + 2] / sums[:, 0])

    def snips(self, sums: Floats) -> Floats:
        """Σ over places of (Σ w·r / Σ w) · rows in the place / decisions."""
        found = np.zeros(len(sums))
        for place in range(self.places):
            at = self.first + 5 + 3 * place
            known = np.where(sums[:, at + 1] > 0, sums[:, at + 1], 1.0)
            found += sums[:, at] / known * sums[:, at + 2]
        return np.asarray(found / sums[:, 0])


def _side(log: Log, target: Target, limit: float) -> Side:
    weights = np.minimum(target.chances / log.chances, limit)
    return Side(weights, log.rewards, target.expected + weights * (log.rewards - log.expected))


def _logged(log: Log) -> Side:
    """The policy that made the log: every weight is 1."""
    return Side(np.ones(len(log)), log.rewards, log.rewards)


def _decisions(log: Log) -> Floats:
    """1 for the first row of each decision, so that their sum counts decisions."""
    _, first = np.unique(log.decisions, return_index=True)
    marks = np.zeros(len(log))
    marks[first] = 1.0
    return marks
