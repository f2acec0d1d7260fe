"""Clusters and present customers come in; how far the customers have moved since the fit, and a verdict, come out.

PSI is the population stability index (Siddiqi, *Credit Risk Scorecards*, 2006): Σ (now − then) · ln(now / then) over
bins, tenths of the customers fitted on and one more for those without the fact. By custom less than 0.1 is no change,
0.25 and more a large one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from decisioning.learning.clusters import Baseline, Clusters, distances, nearest
from decisioning.learning.scaling import Floats, floats, raw_matrix

DRIFTING, REFIT = 0.1, 0.25  # PSI of a fact, or of the shares of clusters
FARTHER, FAR = 1.1, 1.25  # mean distance to the own centre over that at the fit
ENOUGH: Final = 200  # customers; PSI of fewer is mostly chance
BINS: Final = 10
LEAST: Final = 1e-4  # an empty bin counts as this share


@dataclass(frozen=True, slots=True)
class Drift:
    """`verdict` is steady, drifting, refit or unknown; `reasons` say why it is not steady.

    `facts` has each fact's PSI; `shares` each cluster's share at the fit and now, `shares_psi` their PSI; `distance`
    the mean distance to the own centre at the fit and now, in standard deviations.
    """

    verdict: str
    reasons: tuple[str, ...]
    facts: dict[str, float]
    shares: dict[str, tuple[float, float]]
    shares_psi: float | None
    distance: tuple[float, float] | None
    customers: int


def baseline(raw: Floats, distance: float) -> Baseline:
    """What drift will be measured against: bins of each fact with their shares, and the mean distance to a centre."""
    edges = tuple(inner_edges(column) for column in raw.T)
    shares = tuple(binned(column, edge) for column, edge in zip(raw.T, edges, strict=True))
    return Baseline(edges, shares, round(distance, 6), len(raw))


def inner_edges(column: Floats) -> tuple[float, ...]:
    """Different tenths of what is known."""
    known = column[np.isfinite(column)]
    if not len(known):
        return ()
    return floats(np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])))


def binned(column: Floats, edges: tuple[float, ...]) -> tuple[float, ...]:
    """The share of the customers in each bin; last, of those without a value."""
    known = column[np.isfinite(column)]
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return floats(np.append(counts, len(column) - len(known)) / max(len(column), 1))


def psi(then: Floats, now: Floats) -> float:
    """The population stability index of two arrays of shares over the same bins."""
    before, after = np.maximum(then, LEAST), np.maximum(now, LEAST)
    return round(float(((after - before) * np.log(after / before)).sum()), 6)


def drift(clusters: Clusters, frame: pl.DataFrame, labels: dict[str, str] | None = None) -> Drift:
    """Present customers against those fitted on; `labels` name facts in the reasons. An unknown verdict says why."""
    base = clusters.baseline
    if base is None or frame.height < ENOUGH:
        why = "they were fitted before drift was watched" if base is None else f"{ENOUGH} customers are needed"
        return Drift("unknown", (f"nothing can be said: {why}",), {}, {}, None, None, frame.height)
    raw = raw_matrix(frame, clusters.facts)
    facts = {
        name: psi(np.array(then), np.array(binned(column, edges)))
        for name, column, edges, then in zip(clusters.facts, raw.T, base.edges, base.shares, strict=True)
    }
    scaled, centres = clusters.scaler.scaled(raw), np.array(clusters.centres)
    at = nearest(scaled, centres)
    counts = np.bincount(np.array(clusters.owners)[at], minlength=len(clusters.clusters))
    now, then = counts / len(raw), np.array([cluster.share for cluster in clusters.clusters])
    distance = (base.distance, round(float(distances(scaled, centres, at).mean()), 6))
    shares = dict(zip(clusters.keys, zip(floats(then), floats(now), strict=True), strict=True))
    moved = psi(then, now)
    verdict, reasons = judge(facts, moved, distance, labels or {})
    return Drift(verdict, reasons, facts, shares, moved, distance, len(raw))


def judge(
    facts: dict[str, float], shares: float, distance: tuple[float, float], labels: dict[str, str]
) -> tuple[str, tuple[str, ...]]:
    """The verdict and what speaks for it."""
    named = {f"the spread of “{labels.get(name, name)}” has moved": value for name, value in facts.items()}
    named["the sizes of the clusters have moved"] = shares
    levels = [(level(value, DRIFTING, REFIT), f"{text} (PSI {value:.2f})") for text, value in named.items()]
    ratio = distance[1] / max(distance[0], 1e-9)
    text = f"customers are {ratio:.2f} times as far from the centre of their cluster as when it was fitted"
    levels.append((level(ratio, FARTHER, FAR), text))
    worst = max(rank for rank, _ in levels)
    reasons = [text for rank, text in sorted(levels, key=lambda pair: -pair[0]) if rank]
    return ("steady", "drifting", "refit")[worst], tuple(reasons)


def level(value: float, some: float, much: float) -> int:
    return 2 if value >= much else 1 if value >= some else 0
