"""Clusters just fitted and those in use come in; the new ones with the keys and names of those they continue come out.

A customer's persona should not change its name because a model was fitted again. New and former clusters are paired so
that as many customers as possible keep theirs (the Hungarian method: Kuhn 1955, as SciPy solves it), and a pair counts
when it shares enough customers; what continues nothing gets a new key.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.clusters import UNUSUAL, Cluster, Clusters, Positions
from decisioning.learning.later import Later
from decisioning.learning.naming import name_clusters
from decisioning.learning.scaling import Floats, floats

optimize = Later("scipy.optimize")
CONTINUES: Final = 1 / 3  # Jaccard overlap from which a cluster is the continuation of a former one
BEYOND: Final = 1 / 5  # of what chance leaves to be reached: two crowds of half of everybody share a third anyhow
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kept:
    """What stayed: the share of customers with their former key, overlaps of carried keys, new keys and gone ones."""

    labels: float | None
    carried: dict[str, float]
    new: tuple[str, ...]
    gone: tuple[str, ...]


def described(
    facts: tuple[str, ...],
    labels: Positions,
    raw: Floats,
    scaled: Floats,
    unusual: bool,
    called: Mapping[str, str],
) -> tuple[Cluster, ...]:
    """Clusters with new keys, drafted names, shares, plain means and effects, in the order of their positions."""
    number = int(labels.max()) + 1
    inside = [labels == position for position in range(number)]
    effects = [dict(zip(facts, floats(scaled[members].mean(axis=0)), strict=True)) for members in inside]
    names = name_clusters(effects[:-1] if unusual else effects, called) + ([UNUSUAL] if unusual else [])
    stem = hashlib.sha256(repr((facts, [list(effect.values()) for effect in effects])).encode()).hexdigest()[:8]
    return tuple(
        Cluster(
            f"{stem}-{position + 1}",
            names[position],
            round(float(inside[position].mean()), 6),
            dict(zip(facts, means_of_known(raw[inside[position]]), strict=True)),
            effects[position],
        )
        for position in range(number)
    )


def means_of_known(members: Floats) -> tuple[float, ...]:
    """The mean of each column over those who have a value; 0 where nobody has."""
    known = np.isfinite(members)
    return floats(np.where(known, members, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def carry(
    found: Clusters, labels: Positions, former: Clusters | None, before: Positions | None
) -> tuple[Clusters, Kept]:
    """The new clusters with carried keys and names. `labels` and `before` are new and former positions of the rows."""
    if former is None or before is None:
        return found, Kept(None, {}, found.keys, ())
    overlap = crossed(labels, before, len(found.clusters), len(former.clusters))
    pairs = {new: old for new, old in paired(overlap) if continues(overlap, new, old)}
    carried = {former.clusters[old].key: round(jaccard(overlap, new, old), 6) for new, old in pairs.items()}
    clusters = renamed(found.clusters, {new: former.clusters[old] for new, old in pairs.items()}, set(former.keys))
    stayed = sum(int(overlap[new, old]) for new, old in pairs.items())
    keys = {cluster.key for cluster in clusters}
    kept = Kept(
        labels=round(stayed / len(labels), 6) if len(labels) else None,
        carried=carried,
        new=tuple(cluster.key for cluster in clusters if cluster.key not in carried),
        gone=tuple(key for key in former.keys if key not in keys),
    )
    return replace(found, clusters=clusters), kept


def crossed(labels: Positions, before: Positions, new: int, old: int) -> Counts:
    """(new clusters, former clusters): how many customers are in both."""
    return np.bincount(labels * old + before, minlength=new * old).reshape(new, old)


def paired(overlap: Counts) -> Sequence[tuple[int, int]]:
    rows, columns = optimize.linear_sum_assignment(overlap, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def continues(overlap: Counts, new: int, old: int) -> bool:
    """Whether they share enough customers, and clearly more than two clusters of their sizes do by chance."""
    shared, everybody = jaccard(overlap, new, old), max(float(overlap.sum()), 1.0)
    mine, former = float(overlap[new].sum()) / everybody, float(overlap[:, old].sum()) / everybody
    by_chance = mine * former / ((mine + former - mine * former) or 1.0)
    return shared >= CONTINUES and shared - by_chance >= BEYOND * (1 - by_chance)


def jaccard(overlap: Counts, new: int, old: int) -> float:
    """Customers in both over customers in either."""
    both = float(overlap[new, old])
    either = float(overlap[new].sum() + overlap[:, old].sum()) - both
    return both / either if either else 0.0


def renamed(clusters: Sequence[Cluster], continued: dict[int, Cluster], taken: set[str]) -> tuple[Cluster, ...]:
    """Continued clusters take key and name of what they continue; the names of the others avoid those."""
    names = {cluster.name for cluster in continued.values()}
    found: list[Cluster] = []
    for position, cluster in enumerate(clusters):
        old = continued.get(position)
        if old is not None:
            found.append(replace(cluster, key=old.key, name=old.name))
            continue
        key = cluster.key if cluster.key not in taken else f"{cluster.key}-new"
        name = free_name(cluster.name, names)
        names.add(name)
        found.append(replace(cluster, key=key, name=name))
    return tuple(found)


def free_name(name: str, taken: set[str]) -> str:
    """The name, or with the first number that nobody has: “…, 2”."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}, {number}", number + 1
    return free


def as_json(kept: Kept, former: int | None) -> dict[str, Any]:
    return {
        "former": former,
        "labels": kept.labels,
        "carried": kept.carried,
        "new": list(kept.new),
        "gone": list(kept.gone),
    }
