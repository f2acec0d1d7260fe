"""A challenger, the champion, and live decisions that neither has learned from come in; how it would do comes out.

Both are scored as live decisions are. What was shown was the champion's choice, so that figures on shown rows lean to
its side; where the log explored, the worth by the log's chances (`offpolicy`) does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from decisioning.learning.bench import Champion, Constants
from decisioning.learning.contest import Contest, Taught, held_against
from decisioning.learning.live import Live
from decisioning.learning.logged import MOST_CANDIDATES, crossed
from decisioning.learning.scorer import Scorer

ASKED: Final = 1_000  # decisions in which both are asked for their first choice
MORE_THAN_ONE: Final = 2


@dataclass(frozen=True, slots=True)
class Shadowed:
    """`contest` on decisions whose outcomes are known (None: none yet); `agreed` of `asked` first choices were alike.

    `scores` is the mean of the champion's and of the challenger's; `unfit` counts scores that are no numbers.
    """

    contest: Contest | None
    asked: int
    agreed: int
    scores: tuple[float, float | None]
    unfit: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        told: dict[str, Any] = {"first choices": self.asked, "the same": self.agreed, "unfit scores": self.unfit}
        told |= {"mean score of the champion": self.scores[0], "mean score": self.scores[1]}
        return told | ({"contest": self.contest.to_dict()} if self.contest else {})


def shadowed(
    bench: Live, challenger: Scorer, champion: Champion, everything: pl.DataFrame, taught: Taught, constants: Constants
) -> Shadowed:
    """How the challenger does; the bench's test are rows whose outcomes are known, `everything` all that was shown."""
    ours, theirs = bench.scored(challenger, everything)[1], bench.scored(champion.scorer, everything)[1]
    unfit = int((~np.isfinite(ours)).sum())
    asked, agreed = first_choices(bench, challenger, champion.scorer, everything)
    known = bool(bench.test.height) and not unfit
    contest = held_against(bench, challenger, taught, constants, champion) if known else None
    fit = ours[np.isfinite(ours)]
    means = float(theirs.mean()), float(fit.mean()) if len(fit) else None
    return Shadowed(contest, asked, agreed, means, unfit)


def first_choices(bench: Live, one: Scorer, other: Scorer, shown: pl.DataFrame) -> tuple[int, int]:
    """In how many decisions both would put the same content first, among what their placement shows."""
    asked = agreed = 0
    for (_,), mine in shown.group_by("placement", maintain_order=True):
        candidates = sorted(mine["content_key"].unique())[:MOST_CANDIDATES]
        if len(candidates) < MORE_THAN_ONE:
            continue
        groups = mine["group"].unique(maintain_order=True)
        every = max(1, -(-len(groups) // ASKED))
        some = mine.filter(pl.col("group").is_in(groups.gather_every(every).to_list()))
        found = [bench.matrix(each, crossed(some, candidates), candidates).argmax(axis=1) for each in (one, other)]
        asked += len(found[0])
        agreed += int((found[0] == found[1]).sum())
    return asked, agreed


def constants_from(scorer: Scorer) -> Mapping[str, float]:
    """The best constant choice as the scorer has it: each content's smoothed rate where it learned."""
    return {"": scorer.rate_, **scorer.priors}
