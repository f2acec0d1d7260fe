"""A frame of facts comes in; named clusters of customers come out, with the comparison that chose their
number.

k-means (Lloyd 1982; k-means++ starts) on logged, standardised facts. How many clusters there are is decided
by silhouette (Rousseeuw 1987) and Davies-Bouldin index (1979) together, among the numbers that leave no
cluster too small: on skewed data the silhouette alone prefers one crowd and a few hermits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from sklearn.cluster import KMeans
from sklearn.metrics import davies_bouldin_score, silhouette_score

from decisioning.learning.clusters import Cluster, Clusters, Floats, logged, raw_matrix
from decisioning.learning.naming import name_clusters

RFM: Final = ("recency_days", "orders_365d", "spend_365d")
SAMPLE: Final = 5_000  # rows the two indices are computed on; more change nothing but the time
STARTS: Final = 8
LONG_AGO: Final = ("recency", "days_since")  # facts whose absence means "never": filled with the longest


@dataclass(frozen=True, slots=True)
class Candidate:
    """One number of clusters and what speaks for it: silhouette high, Davies-Bouldin low, none tiny."""

    number: int
    silhouette: float
    davies_bouldin: float
    smallest_share: float
    allowed: bool


class Clustering:
    """Fits clusters for every number in `numbers` and keeps the best.

    `smallest` is the least share of customers a cluster may have. Learned: `comparison_` (a `Candidate` for
    each number), `number_`, `clusters_` (what is stored and served).
    """

    def __init__(
        self,
        facts: Sequence[str] = RFM,
        numbers: Sequence[int] = (3, 4, 5, 6, 7, 8),
        smallest: float = 0.03,
        seed: int = 0,
    ) -> None:
        self.facts = tuple(facts)
        self.numbers = tuple(numbers)
        self.smallest = smallest
        self.seed = seed

    def fit(self, frame: pl.DataFrame) -> Self:
        """One row a customer. Raises `ValueError` when there are fewer different customers than clusters."""
        raw = raw_matrix(frame, self.facts)
        missing = tuple(self.filler(raw[:, i], name) for i, name in enumerate(self.facts))
        values = logged(raw, missing)
        mean, scale = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-9)
        scaled = (values - mean) / scale
        if len(np.unique(scaled, axis=0)) <= max(self.numbers):
            raise ValueError(f"Clustering needs more than {max(self.numbers)} different customers.")
        fits = {number: self.fit_number(scaled, number) for number in self.numbers}
        self.comparison_ = tuple(self.judge(scaled, fit) for fit in fits.values())
        self.number_ = choose(self.comparison_)
        best = fits[self.number_]
        order = np.argsort(-np.bincount(best.labels_), kind="stable")
        plain = best.cluster_centers_[order]
        described = describe(self.facts, np.argsort(order)[best.labels_], raw, plain)
        self.clusters_ = Clusters(
            self.facts, missing, floats(mean), floats(scale), tuple(floats(row) for row in plain), described
        )
        return self

    def filler(self, column: Floats, name: str) -> float:
        """What a missing value counts as."""
        known = column[np.isfinite(column)]
        return float(known.max()) if len(known) and name.startswith(LONG_AGO) else 0.0

    def fit_number(self, scaled: Floats, number: int) -> KMeans:
        return KMeans(number, n_init=STARTS, random_state=self.seed).fit(scaled)

    def judge(self, scaled: Floats, fit: KMeans) -> Candidate:
        rows = np.random.default_rng(self.seed).permutation(len(scaled))[:SAMPLE]
        labels = fit.labels_[rows]
        smallest = float(np.bincount(fit.labels_).min() / len(scaled))
        return Candidate(
            fit.n_clusters,
            round(float(silhouette_score(scaled[rows], labels)), 6),
            round(float(davies_bouldin_score(scaled[rows], labels)), 6),
            round(smallest, 6),
            smallest >= self.smallest,
        )

    def assign(self, frame: pl.DataFrame) -> list[str]:
        """The cluster's key for every row."""
        keys = [cluster.key for cluster in self.clusters_.clusters]
        return [keys[position] for position in self.clusters_.assign_frame(frame)]


def choose(candidates: Sequence[Candidate]) -> int:
    """The allowed number with the best sum of ranks in both indices; of equal ones the smaller number.

    When none is allowed, the one whose smallest cluster is largest.
    """
    allowed = [candidate for candidate in candidates if candidate.allowed]
    if not allowed:
        return max(candidates, key=lambda c: (c.smallest_share, -c.number)).number
    by_silhouette = sorted(allowed, key=lambda c: (-c.silhouette, c.number))
    by_index = sorted(allowed, key=lambda c: (c.davies_bouldin, c.number))
    return min(allowed, key=lambda c: (by_silhouette.index(c) + by_index.index(c), c.number)).number


def describe(facts: tuple[str, ...], labels: np.ndarray, raw: Floats, centres: Floats) -> tuple[Cluster, ...]:
    """Clusters with shares, plain means and effects; largest first, as `centres` are."""
    effects = [dict(zip(facts, floats(centre), strict=True)) for centre in centres]
    names = name_clusters(effects)
    found = []
    for position, (name, effect) in enumerate(zip(names, effects, strict=True)):
        members = raw[labels == position]
        means = [float(np.nanmean(column)) if np.isfinite(column).any() else 0.0 for column in members.T]
        share = round(len(members) / len(raw), 6)
        key = name.lower().replace(" ", "-").replace(",", "")
        found.append(Cluster(key, name, share, dict(zip(facts, map(rounded, means), strict=True)), effect))
    return tuple(found)


def rounded(value: float) -> float:
    return round(value, 6)


def floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
