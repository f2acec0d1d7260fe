"""Labels of any algorithm come in; centres that give every customer, seen or new, a cluster come out.

Ward, DBSCAN and HDBSCAN have no centres, and their clusters need not be round. Each of their clusters is therefore
described by one or several centres (k-means within the cluster), and a customer belongs to the owner of the nearest:
a nearest-prototype classifier (Hastie, Tibshirani and Friedman, 13.2). How often that says what the algorithm said is
measured, and a clustering that cannot be served faithfully is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from decisioning.learning.algorithms import NOISE
from decisioning.learning.clusters import Positions, nearest
from decisioning.learning.later import Later
from decisioning.learning.scaling import Floats

cluster = Later("sklearn.cluster")
SIZES: Final = (1, 4, 16)  # centres a cluster: the first that is faithful enough is taken
FAITHFUL: Final = 0.95
CROWD, LONERS = 20, 5  # rows for one centre: in a cluster, and among those who have none and lie scattered


@dataclass(frozen=True, slots=True)
class Served:
    """Centres and their owners; what share of the rows had no cluster, and of how many the owner is the label.

    `unusual` says that the last cluster is of those who had none; without it they belong to the nearest one.
    """

    centres: Floats
    owners: Positions
    noise: float
    agreement: float
    unusual: bool

    @property
    def number(self) -> int:
        """How many clusters customers can be put into."""
        return int(self.owners.max()) + 1 if len(self.owners) else 0

    def positions(self, scaled: Floats) -> Positions:
        return self.owners[nearest(scaled, self.centres)]


def serve(scaled: Floats, labels: Positions, smallest: float, seed: int) -> Served:
    """Centres for these labels. Customers without a cluster are one, "unusual", if they are a share of `smallest`."""
    noise = float((labels == NOISE).mean())
    found = int(labels.max()) + 1
    if not found:
        return Served(np.empty((0, scaled.shape[1])), np.empty(0, np.int64), noise, 0.0, False)
    unusual = noise >= smallest
    own = np.where(labels == NOISE, found, labels) if unusual else labels
    tried: list[Served] = []
    for size in SIZES:
        sizes = [(size, CROWD)] * found + [(SIZES[-1], LONERS)] * unusual
        tried.append(judged(Served(*prototypes(scaled, own, sizes, seed), noise, 0.0, unusual), scaled, own))
        if tried[-1].agreement >= FAITHFUL:
            break
    return max(tried, key=lambda one: one.agreement)


def judged(served: Served, scaled: Floats, own: Positions) -> Served:
    """With the share of the rows that have a label and are served with it."""
    known = own != NOISE
    agreement = float((served.positions(scaled[known]) == own[known]).mean())
    return replace(served, agreement=agreement)


def prototypes(scaled: Floats, own: Positions, sizes: Sequence[tuple[int, int]], seed: int) -> tuple[Floats, Positions]:
    """Centres for each label and their labels. `sizes`: at most so many for it, and at most one for so many rows."""
    centres, owners = [], []
    for label, (size, members) in enumerate(sizes):
        inside = scaled[own == label]
        if len(inside):
            centres.append(middles(inside, min(size, len(inside) // members), seed))
            owners.append(np.full(len(centres[-1]), label, np.int64))
    return np.vstack(centres), np.concatenate(owners)


def middles(members: Floats, size: int, seed: int) -> Floats:
    """The mean of the members, or the centres of k-means among them."""
    several = min(size, len(np.unique(members, axis=0))) if size > 1 else 1
    if several < 2:
        return members.mean(axis=0, keepdims=True)
    return np.asarray(cluster.KMeans(several, n_init=1, random_state=seed).fit(members).cluster_centers_, np.float64)
