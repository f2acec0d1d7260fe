"""Labels of candidates come in; figures for each, why some are refused, and which one is chosen, come out.

The rule, in two steps. **Gates**: a candidate is refused, with the reason in words, when a cluster is too small to
act on, one crowd holds nearly everybody, it falls apart on resampled customers, too many customers fit nowhere, its
clusters overlap, or it cannot be served faithfully. **Choice**: of the others the best geometric mean of four figures
between 0 and 1, so that none can buy out another: silhouette (Rousseeuw 1987), 1 / (1 + Davies-Bouldin index (1979)),
stability (mean adjusted Rand index, Hubert and Arabie 1985, over refits on resamples), and room (smallest share over a
tenth, at most 1).

Silhouette and Davies-Bouldin index depend on the scale they are measured on: on raw values a handful of big spenders
far from one crowd looks like a perfect clustering. Both are therefore reported on the candidate's own scale and, for
the choice, as the median over all scales searched.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from decisioning.learning.algorithms import NAMES
from decisioning.learning.clusters import Positions
from decisioning.learning.later import Later
from decisioning.learning.scaling import KINDS, Floats

metrics = Later("sklearn.metrics")
SAMPLE: Final = 2_500  # rows the two indices are computed on; more change nothing but the time
COMFORTABLE: Final = 0.10  # a smallest cluster of this share is large enough; more even is no better
EVEN: Final = 0.01  # scores no further apart are equal: fewer clusters, then the simpler algorithm
LOYALTY: Final = 0.9  # a refit of the active clustering is taken if it reaches this much of the best score


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate must keep to: shares of customers from 0 to 1, stability and agreement too; `most` clusters."""

    smallest: float = 0.03
    biggest: float = 0.75
    stability: float = 0.6
    noise: float = 0.3
    agreement: float = 0.85
    most: int = 12


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One clustering that was tried, with all figures; None where a figure could not be, or was not, computed.

    `silhouette` (−1 to 1, high is good) and `davies_bouldin` (≥ 0, low is good) are on its own scale, `…_across` the
    median over all scales. Stability is measured only of candidates that pass all other gates.
    """

    algorithm: str
    scaling: str
    setting: str
    number: int
    silhouette: float | None = None
    davies_bouldin: float | None = None
    silhouette_across: float | None = None
    davies_bouldin_across: float | None = None
    stability: float | None = None
    smallest_share: float = 0.0
    biggest_share: float = 1.0
    noise_share: float = 0.0
    agreement: float = 1.0
    score: float | None = None
    refused: tuple[str, ...] = ()
    warm: bool = False
    chosen: bool = False

    @property
    def allowed(self) -> bool:
        return not self.refused

    def __str__(self) -> str:
        return f"{self.algorithm} on the {self.scaling} scale, {self.setting}"


class Yardstick:
    """A sample of rows on every scale, with the distances between them, ready to measure any labels of these rows."""

    def __init__(self, spaces: dict[str, Floats]) -> None:
        self.spaces = spaces
        self.distances = {kind: metrics.pairwise_distances(rows.astype(np.float32)) for kind, rows in spaces.items()}
        for matrix in self.distances.values():
            np.fill_diagonal(matrix, 0)

    def measure(self, labels: Positions, own: str) -> dict[str, float]:
        """The two indices on the scale `own` and across all; nothing when the rows do not fall into two clusters."""
        if not 2 <= len(np.unique(labels)) < len(labels):
            return {}
        silhouettes = {kind: self.silhouette(kind, labels) for kind in self.spaces}
        indices = {kind: float(metrics.davies_bouldin_score(rows, labels)) for kind, rows in self.spaces.items()}
        return {
            "silhouette": round(silhouettes[own], 6),
            "davies_bouldin": round(indices[own], 6),
            "silhouette_across": round(float(np.median(list(silhouettes.values()))), 6),
            "davies_bouldin_across": round(float(np.median(list(indices.values()))), 6),
        }

    def silhouette(self, kind: str, labels: Positions) -> float:
        """The mean silhouette, by one matrix product: six times as fast as a loop over the rows.

        A row alone in its cluster counts 0, as Rousseeuw has it.
        """
        _, own = np.unique(labels, return_inverse=True)
        counts = np.bincount(own)
        sums = self.distances[kind] @ np.eye(len(counts), dtype=np.float32)[own]
        rows = np.arange(len(own))
        inside = sums[rows, own] / np.maximum(counts[own] - 1, 1)
        means = sums / counts
        means[rows, own] = np.inf
        outside = means.min(axis=1)
        widths = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12)
        return float(np.where(counts[own] > 1, widths, 0).mean(dtype=np.float64))


def refusals(one: Candidate, limits: Limits) -> tuple[str, ...]:
    """Why a candidate cannot be chosen, in words; nothing when it can. Stability counts once it is measured."""
    if one.number < 2:
        return ("it finds no groups, only one crowd",)
    checks = (
        (one.number > limits.most, f"it has {one.number} clusters; more than {limits.most} nobody can tell apart"),
        (
            one.smallest_share < limits.smallest,
            f"the smallest cluster has {percent(one.smallest_share)} of the customers;"
            f" at least {percent(limits.smallest)} are needed",
        ),
        (
            one.biggest_share > limits.biggest,
            f"one crowd holds {percent(one.biggest_share)} of the customers; at most {percent(limits.biggest)} may be",
        ),
        (
            one.noise_share > limits.noise,
            f"{percent(one.noise_share)} of the customers fit into no cluster; at most {percent(limits.noise)} may be",
        ),
        (
            one.agreement < limits.agreement,
            f"the nearest centre tells only {percent(one.agreement)} of the customers their cluster;"
            f" {percent(limits.agreement)} are needed",
        ),
        (
            one.silhouette_across is not None and one.silhouette_across <= 0,
            "its clusters overlap: a customer is no nearer to the own cluster than to the next",
        ),
        (
            one.stability is not None and one.stability < limits.stability,
            f"other customers give other clusters (stability {one.stability or 0:.2f}; {limits.stability} is needed)",
        ),
    )
    return tuple(text for broken, text in checks if broken)


def percent(share: float) -> str:
    """Two digits where it is small, so that 0.05 % is not read as none."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def score(one: Candidate) -> float | None:
    """The geometric mean of the four figures; None when one of them is not known."""
    if one.silhouette_across is None or one.davies_bouldin_across is None or one.stability is None:
        return None
    room = min(1.0, one.smallest_share / COMFORTABLE)
    figures = (one.silhouette_across, 1 / (1 + one.davies_bouldin_across), one.stability, room)
    return round(math.prod(max(figure, 0.0) for figure in figures) ** (1 / len(figures)), 6)


def choose(candidates: Sequence[Candidate]) -> int | None:
    """The position of the one to take; None when all are refused.

    A refit of the active clustering comes first while its score reaches `LOYALTY` of the best, because customers should
    not change their persona for a hair's breadth. Then the best score; of equal ones the fewer clusters, the simpler
    algorithm, and the scale that stands first.
    """
    allowed = [(place, one, one.score or 0.0) for place, one in enumerate(candidates) if one.allowed]
    if not allowed:
        return None
    best = max(value for _, _, value in allowed)
    for place, one, value in allowed:
        if one.warm and value >= LOYALTY * best:
            return place
    equal = [(place, one) for place, one, value in allowed if value >= best - EVEN]
    return min(equal, key=lambda pair: (pair[1].number, *order(pair[1]), pair[0]))[0]


def order(one: Candidate) -> tuple[int, int]:
    return NAMES.index(one.algorithm), KINDS.index(one.scaling)


def alone(candidates: Sequence[Candidate]) -> Candidate | None:
    """What the silhouette on its own scale, asked alone, would have chosen."""
    measured = [one for one in candidates if one.silhouette is not None]
    return max(measured, key=lambda one: one.silhouette or 0.0, default=None)
