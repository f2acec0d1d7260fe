"""A frame of facts comes in; named clusters of customers come out, with the comparison that chose them.

Six algorithms × three scales × several numbers are tried (`searching.py`), judged by one rule (`judging.py`), and the
best is finished on everybody. When none is sane, that is the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from decisioning.learning.algorithms import NAMES, again, named, refined
from decisioning.learning.clusters import Clusters, Positions, distances, nearest
from decisioning.learning.drifting import baseline
from decisioning.learning.judging import LIMITS, Candidate, Limits, alone, choose
from decisioning.learning.later import Later
from decisioning.learning.matching import described
from decisioning.learning.scaling import SCALINGS, Floats, Scaler, floats, raw_matrix
from decisioning.learning.searching import Group, Progress, Search, Space, Tried, draw, means_of, quiet
from decisioning.learning.serving import Served

sklearn = Later("sklearn")
RFM: Final = ("recency_days", "orders_365d", "spend_365d")
NUMBERS: Final = (3, 4, 5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Options:
    """What is searched: facts (numbers) to cluster on, algorithms, scales, numbers of clusters, and the limits."""

    facts: tuple[str, ...] = RFM
    algorithms: tuple[str, ...] = NAMES
    scalings: tuple[str, ...] = SCALINGS
    numbers: tuple[int, ...] = NUMBERS
    limits: Limits = LIMITS
    seed: int = 0


DEFAULTS: Final = Options()


class NoSaneClustering(ValueError):
    """Every candidate was refused; `comparison` has them all, with reasons."""

    def __init__(self, comparison: Sequence[Candidate]) -> None:
        self.comparison = tuple(comparison)
        nearest_miss = max(comparison, key=lambda one: (-len(one.refused), one.silhouette_across or -1.0))
        super().__init__(
            f"There is no sane clustering among {len(comparison)} candidates of these customers. The nearest miss is"
            f" {nearest_miss}: {'; '.join(nearest_miss.refused)}. Cluster on other facts, on fewer of them, or allow"
            " other numbers; segments by condition need no clusters."
        )


class Clustering:
    """Searches, chooses and finishes clusters of customers.

    Learned: `comparison_` (every `Candidate`), `chosen_` (one of them), `alone_` (what the silhouette alone would have
    chosen), `clusters_` (what is stored and served; keys and names are carried over from `former`), `labels_` (the
    position of each row's cluster), `scaled_` (the rows as coordinates).
    """

    def __init__(self, options: Options = DEFAULTS, labels: Mapping[str, str] | None = None) -> None:
        self.options = options
        self.labels = dict(labels or {})  # what facts are called, for names

    def fit(self, frame: pl.DataFrame, former: Clusters | None = None, progress: Progress = quiet) -> Self:
        """One row a customer. `former` is the clustering in use: its memberships are one place to start from.

        `progress(done, of, what)` is called before each step. Raises `ValueError` when there are fewer different
        customers than clusters, and `NoSaneClustering` when every candidate is refused.
        """
        options = self.options
        raw = raw_matrix(frame, options.facts)
        if len(np.unique(np.nan_to_num(raw, nan=-1.0), axis=0)) <= max(options.numbers):
            raise ValueError(f"Clustering needs more than {max(options.numbers)} different customers.")
        # One thread: the same sums in the same order on any machine, and no quarrel with others for its processors.
        with threadpool_limits(1), sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            self.search(frame, raw, former, progress)
        return self

    def search(self, frame: pl.DataFrame, raw: Floats, former: Clusters | None, progress: Progress) -> None:
        """Try everything, choose, finish."""
        options = self.options
        scalers = {kind: Scaler.learned(kind, options.facts, raw) for kind in options.scalings}
        rows = draw(len(raw), options.seed)
        spaces = [Space(kind, scaled := scaler.scaled(raw), scaled[rows]) for kind, scaler in scalers.items()]
        groups = [Group(algorithm, space) for algorithm in named(options.algorithms) for space in spaces]
        warm = warm_group(frame, former, spaces) if former is not None and asked_again(former, options) else []
        tried = Search(options.numbers, options.limits, options.seed, progress).run([*groups, *warm])
        best = choose([one.candidate for one in tried])
        if best is None:
            raise NoSaneClustering([one.candidate for one in tried])
        self.keep_comparison(tried, best)
        self.finish(tried[best], scalers[self.chosen_.scaling], raw)

    def keep_comparison(self, tried: Sequence[Tried], best: int) -> None:
        """Allowed ones first, best score first; then the refused, by silhouette."""
        candidates = [replace(one.candidate, chosen=place == best) for place, one in enumerate(tried)]
        self.chosen_ = candidates[best]
        self.alone_ = alone(candidates)
        self.comparison_ = tuple(
            sorted(candidates, key=lambda one: (not one.allowed, -(one.score or 0.0), -(one.silhouette or -1.0)))
        )

    def finish(self, tried: Tried, scaler: Scaler, raw: Floats) -> None:
        """The chosen one on everybody: clusters ordered and described, with what drift is measured against."""
        self.scaled_ = tried.group.space.all
        served = completed(tried, self.scaled_)
        labels = served.positions(self.scaled_)
        order = ranked(labels, served)
        owners = np.argsort(order)[served.owners]
        self.labels_: Positions = np.argsort(order)[labels]
        at = nearest(self.scaled_, served.centres)
        centres = tuple(floats(row) for row in served.centres)
        counts = np.bincount(at, minlength=len(centres)).astype(np.float64)
        self.clusters_ = Clusters(
            scaler=scaler,
            centres=centres,
            owners=tuple(owners.tolist()),
            clusters=described(scaler.facts, self.labels_, raw, self.scaled_, served.unusual, self.labels),
            algorithm=self.chosen_.algorithm,
            counts=floats(counts),
            anchors=centres,
            baseline=baseline(raw, float(distances(self.scaled_, served.centres, at).mean())),
        )

    @property
    def number_(self) -> int:
        return len(self.clusters_.clusters)

    def assign(self, frame: pl.DataFrame) -> list[str]:
        """The cluster's key for every row."""
        keys = self.clusters_.keys
        return [keys[position] for position in self.clusters_.assign_frame(frame)]


def asked_again(former: Clusters, options: Options) -> bool:
    """Whether the active clustering is what is asked for: other facts, or another number, are asked for on purpose."""
    return {*former.facts} == {*options.facts} and len(former.clusters) in options.numbers


def warm_group(frame: pl.DataFrame, former: Clusters, spaces: Sequence[Space]) -> list[Group]:
    """A refit of k-means from where the former clustering puts everybody, on its scale; none where it has no centres.

    Starting from memberships rather than from its centres, it does not matter if the scale was learned anew.
    """
    kind = former.scaler.kind.replace("log1p", "log")
    space = next((one for one in spaces if one.kind == kind), None)
    simple = len(former.owners) == len(former.clusters) and "k-means" in former.algorithm
    if space is None or not simple:
        return []
    centres = means_of(space.all, former.assign_frame(frame))
    return [Group(again(centres), space, warm=True)] if len(centres) > 1 else []


def completed(tried: Tried, scaled: Floats) -> Served:
    """k-means that was searched on some is finished on all, from where it stood."""
    served = tried.served
    if tried.group.algorithm.name != "k-means" or len(scaled) <= len(tried.group.rows):
        return served
    centres, _ = refined(scaled, served.centres)
    return replace(served, centres=centres)


def ranked(labels: Positions, served: Served) -> Positions:
    """Cluster positions, largest first; those who are unusual come last."""
    counts = np.bincount(labels, minlength=served.number)
    if served.unusual:
        counts[-1] = -1
    return np.argsort(-counts, kind="stable")
