"""Customers on several scales come in; every algorithm tried on each of them, measured, comes out.

The budget is bounded by rows: k-means is searched on at most 10,000 customers, what looks at pairs of customers on
4,000, the indices on 2,500. Shares are of everybody. Everything is drawn from one seed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from decisioning.learning.algorithms import MANY, Algorithm, Setting, Wanted
from decisioning.learning.clusters import Positions
from decisioning.learning.judging import SAMPLE, Candidate, Limits, Yardstick, refusals, score
from decisioning.learning.later import Later
from decisioning.learning.scaling import Floats
from decisioning.learning.serving import Served, serve

metrics = Later("sklearn.metrics")
Progress = Callable[[int, int, str], None]
RESAMPLES: Final = 5
PART: Final = 2 / 3  # of the rows in a resample


def quiet(done: int, of: int, what: str) -> None:
    """For those who do not want to be told."""


@dataclass(frozen=True, slots=True)
class Space:
    """Everybody on one scale: `all` in the frame's order, `drawn` the rows that are searched, in random order."""

    kind: str
    all: Floats
    drawn: Floats


@dataclass(frozen=True, slots=True)
class Group:
    """One algorithm on one scale; a `warm` one starts from the active clustering."""

    algorithm: Algorithm
    space: Space
    warm: bool = False

    def __str__(self) -> str:
        return f"{self.algorithm.name} on the {self.space.kind} scale"

    @property
    def rows(self) -> Floats:
        return self.space.drawn[: self.algorithm.rows]


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate, how it would be served, and where it comes from."""

    candidate: Candidate
    served: Served
    group: Group
    place: int  # of its setting among those of its group


class Search:
    """Runs groups of settings: first all of them, then refits on resamples for those that pass the other gates."""

    def __init__(self, numbers: tuple[int, ...], limits: Limits, seed: int, progress: Progress) -> None:
        self.wanted = Wanted(numbers, limits.smallest)
        self.limits = limits
        self.seed = seed
        self.progress = progress

    def run(self, groups: Sequence[Group]) -> list[Tried]:
        """Every candidate of every group, in order, with its figures and refusals."""
        spaces = {group.space.kind: group.space.drawn[:SAMPLE] for group in groups}
        yardstick = Yardstick(spaces)
        tried: list[list[Tried]] = []
        for done, group in enumerate(groups):
            self.progress(done, 2 * len(groups), str(group))
            tried.append([self.measured(one, yardstick) for one in self.fitted(group)])
        for done, group in enumerate(groups):
            self.progress(len(groups) + done, 2 * len(groups), f"{group}, on resamples")
            tried[done] = self.resampled(group, tried[done])
        self.progress(2 * len(groups), 2 * len(groups), "compared")
        return [one for group in tried for one in group]

    def fitted(self, group: Group) -> Iterator[Tried]:
        """Each setting's labels, made servable."""
        settings = group.algorithm.settings(group.rows, self.wanted)
        for place, (setting, labels) in enumerate(
            zip(settings, group.algorithm.labels(group.rows, settings, self.seed), strict=True)
        ):
            served = serve(group.rows, labels, self.limits.smallest, self.seed)
            yield Tried(self.candidate(group, setting, served), served, group, place)

    def candidate(self, group: Group, setting: Setting, served: Served) -> Candidate:
        """What can be said before the indices: how the clusters share everybody."""
        counts = np.bincount(served.positions(group.space.all), minlength=served.number) if served.number else None
        shares = np.array([1.0]) if counts is None else counts / counts.sum()
        return Candidate(
            algorithm=group.algorithm.name,
            scaling=group.space.kind,
            setting=setting.text,
            number=served.number,
            smallest_share=round(float(shares.min()), 6),
            biggest_share=round(float(shares.max()), 6),
            noise_share=round(served.noise, 6),
            agreement=round(served.agreement, 6),
            warm=group.warm,
        )

    def measured(self, tried: Tried, yardstick: Yardstick) -> Tried:
        """With the indices and the refusals that need no resamples."""
        one, kind = tried.candidate, tried.group.space.kind
        figures = yardstick.measure(tried.served.positions(yardstick.spaces[kind]), kind) if one.number > 1 else {}
        one = replace(one, **figures)  # type: ignore[arg-type]
        refused = refusals(one, self.limits)
        if not refused and one.silhouette is None:
            refused = ("on a sample of the customers it is one crowd",)
        return replace(tried, candidate=replace(one, refused=refused))

    def resampled(self, group: Group, tried: Sequence[Tried]) -> list[Tried]:
        """With the stability of those that are still allowed, and their score."""
        asked = [one for one in tried if one.candidate.allowed]
        if not asked:
            return list(tried)
        stability = dict(zip((one.place for one in asked), self.stability(group, asked), strict=True))
        return [self.scored(one, stability.get(one.place)) for one in tried]

    def stability(self, group: Group, asked: Sequence[Tried]) -> list[float]:
        """For each the mean adjusted Rand index between it and refits on parts of the rows, over all the rows."""
        rows = group.rows
        own = [one.served.positions(rows) for one in asked]
        agreed = np.zeros((RESAMPLES, len(asked)))
        for turn in range(RESAMPLES):
            dice = np.random.default_rng((self.seed, turn))
            part = rows[np.sort(dice.permutation(len(rows))[: max(2, int(PART * len(rows)))])]
            settings = group.algorithm.settings(part, self.wanted)
            chosen = [settings[one.place] for one in asked]
            for place, labels in enumerate(group.algorithm.labels(part, chosen, self.seed + turn + 1)):
                served = serve(part, labels, self.limits.smallest, self.seed)
                if served.number:
                    agreed[turn, place] = metrics.adjusted_rand_score(own[place], served.positions(rows))
        return [float(figure) for figure in agreed.mean(axis=0)]

    def scored(self, tried: Tried, stability: float | None) -> Tried:
        if stability is None:
            return tried
        one = replace(tried.candidate, stability=round(stability, 6))
        refused = refusals(one, self.limits)
        return replace(tried, candidate=replace(one, refused=refused, score=None if refused else score(one)))


def draw(count: int, seed: int) -> Positions:
    """The rows that are searched, in random order."""
    return np.random.default_rng(seed).permutation(count)[:MANY]


def means_of(scaled: Floats, labels: Positions) -> Floats:
    """The mean of each label that somebody has: centres to start from."""
    return np.vstack([scaled[labels == label].mean(axis=0) for label in np.unique(labels)])
