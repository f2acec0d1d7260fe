"""Clusters and the facts of a few changed customers come in; clusters whose centres have moved a little come out.

The step of mini-batch k-means (Sculley, *Web-scale k-means clustering*, 2010): each centre counts the customers it has
seen and moves by 1 / count towards each new one, which for a batch is their weighted mean. Two bounds keep it a small
correction between refits: counts are forgotten beyond `MEMORY`, so that centres never freeze; and no centre leaves the
neighbourhood of where it was fitted, so that clusters never trade places while people read their names.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from decisioning.learning.clusters import Clusters, nearest
from decisioning.learning.scaling import Floats, floats

MEMORY: Final = 10_000.0  # customers a centre remembers at most
REACH: Final = 0.5  # standard deviations a centre may be from where it was fitted
APART: Final = 0.25  # and this part of the way to the next cluster


def updated(clusters: Clusters, frame: pl.DataFrame) -> Clusters:
    """One step with a row a customer; nobody moves nothing. Keys, names, shares and profiles stay those of the fit."""
    if frame.is_empty():
        return clusters
    scaled, centres = clusters.scaler.scaled_frame(frame), np.array(clusters.centres)
    at = nearest(scaled, centres)
    sums = np.zeros_like(centres)
    np.add.at(sums, at, scaled)
    seen = np.bincount(at, minlength=len(centres)).astype(np.float64)
    before = np.minimum(known_counts(clusters), MEMORY)
    total = before + seen
    moved = (before[:, None] * centres + sums) / np.maximum(total, 1.0)[:, None]
    moved = np.where(seen[:, None] > 0, moved, centres)
    near = held(moved, anchors_of(clusters), reaches(clusters))
    return replace(clusters, centres=tuple(map(floats, near)), counts=floats(np.minimum(total, MEMORY)))


def strayed(clusters: Clusters) -> tuple[float, int]:
    """How far the farthest centre is from where it was fitted, in standard deviations; how many are at the bound."""
    offsets = np.linalg.norm(np.array(clusters.centres) - anchors_of(clusters), axis=1)
    return round(float(offsets.max()), 6), int((offsets >= reaches(clusters) - 1e-6).sum())


def known_counts(clusters: Clusters) -> Floats:
    """Customers behind each centre; by the shares where nobody counted."""
    if clusters.counts:
        return np.array(clusters.counts)
    return MEMORY * np.array([clusters.clusters[owner].share for owner in clusters.owners])


def anchors_of(clusters: Clusters) -> Floats:
    return np.array(clusters.anchors or clusters.centres)


def reaches(clusters: Clusters) -> Floats:
    """How far each centre may be from its anchor."""
    anchors, owners = anchors_of(clusters), np.array(clusters.owners)
    gaps = np.linalg.norm(anchors[:, None, :] - anchors[None, :, :], axis=2)
    gaps[owners[:, None] == owners[None, :]] = np.inf
    return np.minimum(REACH, APART * gaps.min(axis=1))


def held(moved: Floats, anchors: Floats, reach: Floats) -> Floats:
    """The centres, drawn back to the edge of their neighbourhood where they left it."""
    offsets = moved - anchors
    lengths = np.linalg.norm(offsets, axis=1)
    return anchors + offsets * np.minimum(1.0, reach / np.maximum(lengths, 1e-12))[:, None]
