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

from decisioning.learning.features import Facts, number

Floats = npt.NDArray[np.float64]
FORMAT: Final = 1


@dataclass(frozen=True)
class Cluster:
    """One cluster: `key` and `name` for people, its share of the customers fitted on, and per fact its mean.

    `effects` are the means as standard deviations from the population, on the scale that was clustered.
    """

    key: str
    name: str
    share: float
    means: dict[str, float]
    effects: dict[str, float]


@dataclass(frozen=True)
class Clusters:
    """Everything needed to say where a customer belongs.

    A fact x is taken as log(1 + max(x, 0)), missing as `missing[i]`; `centres` (clusters × facts) are in
    standard deviations (`scales`) from the mean (`centre_of_all`) of that.
    """

    facts: tuple[str, ...]
    missing: tuple[float, ...]
    centre_of_all: tuple[float, ...]
    scales: tuple[float, ...]
    centres: tuple[tuple[float, ...], ...]
    clusters: tuple[Cluster, ...]

    @cached_property
    def folded(self) -> tuple[Floats, Floats]:
        """(slopes, offsets): the nearest centre has the largest slopes · log facts + offset.

        |z − c|² with z = (x − m) / s needs no scaled copy of x: all but 2c/s · x and constants is the same
        for every centre, so the scaler is folded into the centres once.
        """
        scale, mean = np.array(self.scales), np.array(self.centre_of_all)
        slopes = 2 * np.array(self.centres) / scale
        offsets = -slopes @ mean - (np.array(self.centres) ** 2).sum(axis=1)
        return slopes, offsets

    def assign(self, facts: Facts) -> int:
        """The position of one customer's cluster."""
        slopes, offsets = self.folded
        return int(np.argmax(slopes @ self.logged([facts])[0] + offsets))

    def assign_frame(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """The positions of everybody's clusters, a row a customer; columns may stand in any order."""
        slopes, offsets = self.folded
        return np.argmax(logged(raw_matrix(frame, self.facts), self.missing) @ slopes.T + offsets, axis=1)

    def logged(self, rows: list[Facts]) -> Floats:
        raw = np.array([[number(row.get(name)) for name in self.facts] for row in rows])
        return logged(raw, self.missing)

    def to_artefact(self) -> bytes:
        """JSON bytes; equal clusters give equal bytes."""
        body = {"kind": "clusters", "format": FORMAT, **asdict(self)}
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_artefact(cls, data: bytes) -> Self:
        """Raises `ValueError` when the bytes are no clusters of this format."""
        try:
            body = json.loads(data)
            if body.pop("kind") != "clusters" or body.pop("format") != FORMAT:
                raise ValueError("another kind or format")
            return cls.from_dict(body)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"This is no clustering artefact ({error}); fit the clustering again.") from error

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Self:
        numbers = {name: tuple(body[name]) for name in ("facts", "missing", "centre_of_all", "scales")}
        centres = tuple(tuple(centre) for centre in body["centres"])
        return cls(**numbers, centres=centres, clusters=tuple(Cluster(**entry) for entry in body["clusters"]))


def raw_matrix(frame: pl.DataFrame, facts: tuple[str, ...]) -> Floats:
    """(customers, facts) with NaN for what is missing. Raises `ValueError` naming facts the frame lacks."""
    absent = [name for name in facts if name not in frame.columns]
    if absent:
        raise ValueError(f"The frame lacks the facts {', '.join(absent)} that clusters are made from.")
    return frame.select(pl.col(name).cast(pl.Float64, strict=False) for name in facts).to_numpy()


def logged(raw: Floats, missing: tuple[float, ...]) -> Floats:
    """log(1 + x): money and counts are skewed, and a few big spenders must not be clusters of their own."""
    filled = np.where(np.isfinite(raw), raw, np.array(missing))
    return np.log1p(np.maximum(filled, 0.0))
