"""A bandit with a regression a content, and the contents' tags, in; one whose contents learn from each other, out.

The hybrid model of LinUCB (Li, Chu, Langford and Schapire 2010, algorithm 2): E[reward] = xᵀθₐ + zᵀβ, where z are the
customer's features x times those of the content, so that each tag t has weights βₜ of its own that all contents with it
share. The features of a content are its tags, of length 1 together. As z is made of x, each content's weights
wₐ = θₐ + Σ βₜ / √(number of tags) have a normal posterior of their own: it is worked out once, when learning ends, from
the sums of the disjoint model, and a decision costs what it costs there.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from .bandit import LinearBandit, Vector

TAGS: Final = 20  # the commonest; each adds as many unknowns as there are features


def shared(bandit: LinearBandit, tags: Mapping[str, Sequence[str]]) -> LinearBandit:
    """The bandit with what contents of common tags tell of each other; `tags` by content, seen or never shown.

    A content without one of the 20 commonest tags is as it was; one that is not in `tags` is left out. The outcome is
    for expecting, not for learning on: that goes on with `bandit`.
    """
    loads = _loads(tags)
    prior, size = bandit.ridge, bandit.size
    unseen, nothing = np.eye(size) / prior, np.zeros(size)
    known = {key: (bandit.inverses_.get(key, unseen), bandit.rewards_.get(key, nothing)) for key in loads}
    many = len(_any(loads)) * size
    precision: Vector = prior * np.eye(many)
    told: Vector = np.zeros(many)
    for key, load in loads.items():
        inverse, rewards = known[key]
        # What the content's own weights leave to be explained by shared ones: S − S A⁻¹ S, where S = A − λI.
        left: Vector = prior * (np.eye(size) - prior * inverse)
        precision = precision + np.kron(np.outer(load, load), left)
        told += np.kron(load, prior * (inverse @ rewards))
    spread = np.linalg.inv(precision)
    common = spread @ told
    found = LinearBandit(bandit.facts, prior)
    for key, load in loads.items():
        inverse, rewards = known[key]
        across = prior * np.kron(load, inverse)
        weights = inverse @ rewards + across @ common
        _keep(found, key, bandit.counts_.get(key, 0), inverse + across @ spread @ across.T, weights)
    return found


def _keep(bandit: LinearBandit, key: str, count: int, spread: Vector, weights: Vector) -> None:
    """A content's posterior, in the shape in which a bandit keeps one."""
    bandit.counts_[key] = count
    bandit.inverses_[key] = (spread + spread.T) / 2.0
    bandit.rewards_[key] = np.asarray(np.linalg.solve(bandit.inverses_[key], weights), np.float64)


def _loads(tags: Mapping[str, Sequence[str]]) -> dict[str, Vector]:
    """Each content's features: its tags among the commonest, of length 1 together, or all 0."""
    counts = Counter(tag for many in tags.values() for tag in set(many))
    common = sorted(counts, key=lambda tag: (-counts[tag], tag))[:TAGS]
    found: dict[str, Vector] = {}
    for key in sorted(tags):
        mine = [tag in tags[key] for tag in common]
        found[key] = np.array(mine, np.float64) / math.sqrt(max(1, sum(mine)))
    return found


def _any(loads: Mapping[str, Vector]) -> Vector:
    return next(iter(loads.values()), np.zeros(0))
