"""Learned centres come in as plain numbers; the cluster of one customer or of a whole frame comes out.

Only NumPy is needed here, so that serving processes never load what fitted the clusters.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.features import Facts
from decisioning.learning.scaling import Floats, Scaler

Positions = npt.NDArray[np.int64]
Rows = tuple[tuple[float, ...], ...]
FORMAT: Final = 2
UNUSUAL: Final = "Unusual customers"  # those whom a density algorithm puts into no cluster
AT_ONCE: Final = 50_000  # rows whose distances to all centres are held at the same time


@dataclass(frozen=True)
class Cluster:
    """One cluster: `key` is its stable id, `name` and `story` are for people, `share` of the customers fitted on.

    `means` are plain means of the clustered facts; `effects` the members' means as standard deviations from the
    population, on the scale that was clustered.
    """

    key: str
    name: str
    share: float
    means: dict[str, float]
    effects: dict[str, float]
    story: str = ""


@dataclass(frozen=True)
class Baseline:
    """What the customers fitted on were like: for each fact inner edges of bins and the shares in them.

    The last share of a fact is of those who lack it; `distance` is the mean distance to the nearest centre.
    """

    edges: Rows
    shares: Rows
    distance: float
    customers: int


@dataclass(frozen=True)
class Clusters:
    """Everything needed to say where a customer belongs: to the owner of the nearest of the `centres`.

    `centres` are (centres, facts) on the scaler's scale; `owners[i]` is the position of the i-th centre's cluster.
    k-means has one a cluster; shapes that one point cannot describe have several. `counts` are the customers each
    centre stands for, `anchors` where it was fitted: online learning moves it away from there.
    """

    scaler: Scaler
    centres: Rows
    owners: tuple[int, ...]
    clusters: tuple[Cluster, ...]
    algorithm: str = "k-means"
    counts: tuple[float, ...] = ()
    anchors: Rows = ()
    baseline: Baseline | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        return self.scaler.facts

    @cached_property
    def folded(self) -> Floats:
        """(centres, facts + 1): the nearest centre has the largest product with (moved facts, 1).

        |z − c|² with z = (x − m) / s needs no scaled copy of x: all but 2c/s · x and constants is the same
        for every centre, so the scaler is folded into the centres once.
        """
        scale, mean, centres = np.array(self.scaler.scale), np.array(self.scaler.mean), np.array(self.centres)
        slopes = 2 * centres / scale
        offsets = -slopes @ mean - (centres**2).sum(axis=1)
        return np.column_stack([slopes, offsets])

    def assign(self, facts: Facts) -> int:
        """The position of one customer's cluster."""
        return self.owners[int(self.folded.dot([*self.scaler.moved_one(facts), 1.0]).argmax())]

    def assign_frame(self, frame: pl.DataFrame) -> Positions:
        """The positions of everybody's clusters, a row a customer; columns may stand in any order."""
        return np.array(self.owners)[nearest(self.scaler.scaled_frame(frame), np.array(self.centres))]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(cluster.key for cluster in self.clusters)

    def to_artefact(self) -> bytes:
        """JSON bytes; equal clusters give equal bytes."""
        body = {"kind": "clusters", "format": FORMAT, **asdict(self)}
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_artefact(cls, data: bytes) -> Self:
        """Raises `ValueError` when the bytes are no clusters of this format or the one before."""
        try:
            body = json.loads(data)
            if body.pop("kind") != "clusters":
                raise ValueError("another kind")
            made = body.pop("format")
            if made not in (1, FORMAT):
                raise ValueError("another format")
            return cls.from_dict(upgraded(body) if made == 1 else body)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"This is no clustering artefact ({error}); fit the clustering again.") from error

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Self:
        base = body["baseline"]
        return cls(
            scaler=Scaler.from_dict(body["scaler"]),
            centres=rows_of(body["centres"]),
            owners=tuple(body["owners"]),
            clusters=tuple(Cluster(**entry) for entry in body["clusters"]),
            algorithm=body["algorithm"],
            counts=tuple(body["counts"]),
            anchors=rows_of(body["anchors"]),
            baseline=Baseline(**base | {name: rows_of(base[name]) for name in ("edges", "shares")}) if base else None,
        )


def upgraded(body: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 (k-means on logged facts, one centre a cluster) in the shape of the present format."""
    scaler = {
        "kind": "log1p",
        "tables": [],
        "mean": body["centre_of_all"],
        "scale": body["scales"],
        "facts": body["facts"],
        "missing": body["missing"],
    }
    return {
        "scaler": scaler,
        "centres": body["centres"],
        "owners": list(range(len(body["centres"]))),
        "clusters": body["clusters"],
        "algorithm": "k-means",
        "counts": [],
        "anchors": body["centres"],
        "baseline": None,
    }


def rows_of(lists: list[list[float]]) -> Rows:
    return tuple(tuple(row) for row in lists)


def nearest(scaled: Floats, centres: Floats) -> Positions:
    """The position of each row's nearest centre; of equally near ones the first."""
    offsets = (centres**2).sum(axis=1)
    parts = [
        np.argmax(2 * scaled[start : start + AT_ONCE] @ centres.T - offsets, axis=1)
        for start in range(0, len(scaled), AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def distances(scaled: Floats, centres: Floats, at: Positions) -> Floats:
    """How far each row is from the centre at its position, in standard deviations."""
    return np.sqrt(((scaled - centres[at]) ** 2).sum(axis=1))
