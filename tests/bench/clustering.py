"""Comes in: nothing. Goes out: microseconds for one customer's cluster, by kind of scale, and the search's seconds."""

import time
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import polars as pl

from decisioning.learning.clustering import Clustering, Options
from decisioning.learning.clusters import Clusters, nearest
from tests.bench.measure import Result, against, best

FACTS = tuple(f"fact_{number}" for number in range(8))
PEOPLE, GROUPS = 20_000, 6
CALLS = 2_000


@lru_cache(maxsize=1)
def frame() -> pl.DataFrame:
    """Customers in six groups of skewed facts, one in fifty values missing."""
    dice = np.random.default_rng(6)
    middles = dice.lognormal(2, 1.2, (GROUPS, len(FACTS)))
    values = middles[dice.integers(0, GROUPS, PEOPLE)] * dice.lognormal(0, 0.25, (PEOPLE, len(FACTS)))
    columns = {name: pl.Series(values[:, place]) for place, name in enumerate(FACTS)}
    holes = {name: pl.Series(dice.random(PEOPLE) < 0.02) for name in FACTS}
    return pl.DataFrame({name: pl.select(pl.when(~holes[name]).then(columns[name])).to_series() for name in FACTS})


def fitted(scaling: str) -> Clusters:
    options = Options(FACTS, ("k-means",), (scaling,), (GROUPS,))
    return Clustering(options).fit(frame()[:4000]).clusters_


def clustering_assign() -> Iterator[Result]:
    """One customer's facts to a cluster; the peer scales first and measures the distance to every centre."""
    rows = frame()[:CALLS].to_dicts()
    for scaling in ("log", "quantile"):
        clusters = fitted(scaling)
        seconds = best(lambda found=clusters: [found.assign(row) for row in rows]) / CALLS
        plainly = best(lambda found=clusters: [unfolded(found, row) for row in rows], runs=3) / CALLS
        name = "clustering_assign" if scaling == "log" else f"clustering_assign_{scaling}"
        yield against(name, seconds * 1e6, "µs", "scale, then distances", plainly * 1e6)


def unfolded(clusters: Clusters, row: dict[str, float | None]) -> int:
    """The same answer without folding: NumPy on one row."""
    raw = np.array([[np.nan if (value := row.get(name)) is None else value for name in clusters.facts]])
    return clusters.owners[nearest(clusters.scaler.scaled(raw), np.array(clusters.centres))[0]]


def clustering_search() -> Iterator[Result]:
    """Every algorithm, scale and number for 20,000 customers, on one thread."""
    people, started = frame(), time.perf_counter()
    Clustering(Options(FACTS)).fit(people)
    yield Result("clustering_search", round(time.perf_counter() - started, 1), "s", runs=1)


BENCHES = {"clustering_assign": clustering_assign, "clustering_search": clustering_search}
