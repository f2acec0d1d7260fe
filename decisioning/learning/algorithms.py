"""Coordinates of customers come in; a label for each comes out, by one of six algorithms with its settings.

One table, `ALGORITHMS`: what each is called, how many rows it is run on, which settings are tried, how it labels.
k-means: Lloyd (1982) from k-means++ starts. Mini-batch k-means: Sculley (2010). Bisecting: Steinbach et al. (2000).
Ward (1963). DBSCAN: Ester et al. (1996), its distance from the knee of the k-distance curve. HDBSCAN: Campello et
al. (2013).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from decisioning.learning.clusters import Positions
from decisioning.learning.later import Later
from decisioning.learning.scaling import Floats

hierarchy = Later("scipy.cluster.hierarchy")
cluster, neighbours_of = Later("sklearn.cluster"), Later("sklearn.neighbors")
NOISE: Final = -1  # the label of a customer in no cluster
STARTS: Final = 4
MANY: Final = 10_000  # rows that k-means is searched on; the chosen one is finished on everybody
FEW: Final = 4_000  # rows for what looks at pairs of customers


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked of an algorithm, in words and as its numbers; those that it does not know are 0."""

    text: str
    number: int = 0
    distance: float = 0.0
    neighbours: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What settings are made from: the numbers of clusters, and the least share of customers in one."""

    numbers: tuple[int, ...]
    smallest: float


Labels = Callable[[Floats, Sequence[Setting], int], list[Positions]]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """`settings(coordinates, wanted)` and `labels(coordinates, settings, seed)`: one array of labels a setting.

    The same data always gives as many settings, in the same order, so that a resample can be asked the same.
    """

    name: str
    rows: int
    settings: Callable[[Floats, Wanted], list[Setting]]
    labels: Labels
    centred: bool = False  # its clusters are what is nearest to their means


def counted(scaled: Floats, wanted: Wanted) -> list[Setting]:
    return [Setting(f"{number} clusters", number=number) for number in wanted.numbers]


def lloyd(scaled: Floats, settings: Sequence[Setting], seed: int) -> list[Positions]:
    return [cluster.KMeans(one.number, n_init=STARTS, random_state=seed).fit_predict(scaled) for one in settings]


def batched(scaled: Floats, settings: Sequence[Setting], seed: int) -> list[Positions]:
    return [
        cluster.MiniBatchKMeans(one.number, n_init=STARTS, random_state=seed).fit_predict(scaled) for one in settings
    ]


def bisected(scaled: Floats, settings: Sequence[Setting], seed: int) -> list[Positions]:
    return [cluster.BisectingKMeans(one.number, random_state=seed).fit_predict(scaled) for one in settings]


def warded(scaled: Floats, settings: Sequence[Setting], seed: int) -> list[Positions]:
    """One tree, cut once for each number."""
    tree = hierarchy.linkage(scaled, "ward")
    return [hierarchy.fcluster(tree, one.number, "maxclust").astype(np.int64) - 1 for one in settings]


def dense_settings(scaled: Floats, wanted: Wanted) -> list[Setting]:
    """Two sizes of neighbourhood (twice and four times the facts, after Sander et al. 1998), each with its distance."""
    found = []
    for times in (2, 4):
        neighbours = min(times * scaled.shape[1], len(scaled) - 1)
        distance = round(knee(neighbour_distances(scaled, neighbours)), 6)
        text = f"distance {distance:.2f}, {neighbours} neighbours"
        found.append(Setting(text, distance=distance, neighbours=neighbours))
    return found


def neighbour_distances(scaled: Floats, neighbours: int) -> Floats:
    """Each row's distance to its n-th neighbour, ascending."""
    found, _ = neighbours_of.NearestNeighbors(n_neighbors=neighbours + 1).fit(scaled).kneighbors(scaled)
    return np.sort(found[:, -1])


def knee(rising: Floats) -> float:
    """The value where a rising curve is farthest below its chord (Satopää et al. 2011); never 0."""
    height = rising[-1] - rising[0]
    if height <= 0:
        return max(float(rising[-1]), 1e-6)
    below = np.linspace(0, 1, len(rising)) - (rising - rising[0]) / height
    return max(float(rising[int(below.argmax())]), 1e-6)


def dense(scaled: Floats, settings: Sequence[Setting], seed: int) -> list[Positions]:
    """A customer counts as its own neighbour, as scikit-learn counts."""
    return [cluster.DBSCAN(eps=one.distance, min_samples=one.neighbours + 1).fit_predict(scaled) for one in settings]


def sized_settings(scaled: Floats, wanted: Wanted) -> list[Setting]:
    """The least cluster as small as is allowed, and twice that."""
    sizes = [max(5, int(times * wanted.smallest * len(scaled))) for times in (1, 2)]
    return [
        Setting(f"at least {times * wanted.smallest:.0%} together".replace("%", " %"), number=size)
        for times, size in zip((1, 2), sizes, strict=True)
    ]


def hierarchical(scaled: Floats, settings: Sequence[Setting], seed: int) -> list[Positions]:
    neighbours = min(2 * scaled.shape[1], len(scaled) - 1)
    return [
        cluster.HDBSCAN(min_cluster_size=one.number, min_samples=neighbours, copy=True).fit_predict(scaled)
        for one in settings
    ]


ALGORITHMS: Final = (
    Algorithm("k-means", MANY, counted, lloyd, centred=True),
    Algorithm("mini-batch k-means", MANY, counted, batched, centred=True),
    Algorithm("bisecting k-means", MANY, counted, bisected, centred=True),
    Algorithm("Ward", FEW, counted, warded),
    Algorithm("DBSCAN", FEW, dense_settings, dense),
    Algorithm("HDBSCAN", FEW, sized_settings, hierarchical),
)
NAMES: Final = tuple(algorithm.name for algorithm in ALGORITHMS)


def named(names: Sequence[str]) -> tuple[Algorithm, ...]:
    """These algorithms, in the table's order. Raises `ValueError` for a name that is not there."""
    unknown = set(names) - set(NAMES)
    if unknown:
        raise ValueError(f"There is no algorithm {', '.join(sorted(unknown))}; take some of {', '.join(NAMES)}.")
    return tuple(algorithm for algorithm in ALGORITHMS if algorithm.name in names)


def again(centres: Floats) -> Algorithm:
    """k-means from these centres: a refit that starts where a former clustering stands."""
    text = f"{len(centres)} clusters, from the active ones"

    def labels(scaled: Floats, settings: Sequence[Setting], seed: int) -> list[Positions]:
        return [refined(scaled, centres)[1] for _ in settings]

    return Algorithm("k-means", MANY, lambda scaled, wanted: [Setting(text, number=len(centres))], labels, True)


def refined(scaled: Floats, centres: Floats) -> tuple[Floats, Positions]:
    """Lloyd's steps from these centres: where they come to stand, and each row's."""
    fitted = cluster.KMeans(len(centres), init=centres, n_init=1, random_state=0).fit(scaled)
    return fitted.cluster_centers_, fitted.labels_.astype(np.int64)
