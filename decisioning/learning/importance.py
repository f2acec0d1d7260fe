"""A scorer and rows it has not seen come in; how much worse it does without each feature comes out.

Permutation importance (Breiman, *Random Forests*, 2001; of any model as in Fisher, Rudin and Dominici 2019): the values
of one feature are dealt out anew among the rows, and the loss of the scores is compared with that before. It says
what the scorer leans on, not what causes outcomes; features that say the same share their importance.

What a loss is hangs on what the scores are: the log loss (nats a row) of chances, 1 − nDCG@10 of an order, the share of
the variance of the money that is not foretold, and of a gain, which no row shows, by how much it moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.dataset import Labelled
from decisioning.learning.evaluation import Estimate, log_loss
from decisioning.learning.family import ORDER, UPLIFT, VALUE, Chances, Scorer
from decisioning.learning.gains import ndcg

ROWS: Final = 4_000  # more make it slower and hardly surer
REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class Importance:
    """By how much the loss grows without what a feature says; the interval is over ways to deal it out."""

    name: str
    loss: Estimate

    @property
    def matters(self) -> bool:
        """Whether the scorer is worse without it in every way of dealing that was tried."""
        return self.loss.low > 0


def importances(
    scorer: Scorer, rows: Labelled, seed: int, most: int = ROWS, repeats: int = REPEATS
) -> list[Importance]:
    """One a column of the scorer's schema, the greatest first; equal ones in the order of the columns.

    About `most` rows are looked at, whole slates of an order.
    `rows` are those of a time after the training. Raises `ValueError` without any.
    """
    if not len(rows):
        raise ValueError("Importance needs rows that the scorer was not trained on; there are none.")
    rng = np.random.default_rng(seed)
    chosen = _slates(rows, rng, most) if scorer.task == ORDER else rng.permutation(len(rows))[:most]
    X = rows.X[chosen].copy()
    keys = [rows.contents[place] for place in chosen.tolist()]
    said = scorer.score(X, scorer.schema.hash, keys)
    loss = loss_of(scorer.task, rows, chosen, said)
    before = loss(said)
    found = []
    for place, name in enumerate(scorer.schema.names):
        kept = X[:, place].copy()
        losses = []
        for _ in range(repeats):
            X[:, place] = kept[rng.permutation(len(kept))]
            losses.append(loss(scorer.score(X, scorer.schema.hash, keys)) - before)
        X[:, place] = kept
        found.append(Importance(name, _spread(losses)))
    return sorted(found, key=lambda one: -one.loss.value)


def loss_of(task: str, rows: Labelled, chosen: npt.NDArray[np.int64], said: Chances) -> Callable[[Chances], float]:
    """What scores of these `chosen` rows lose, by what the task is; `said` are the scorer's own."""
    y = rows.y[chosen].astype(np.float64)
    if task == ORDER:
        groups, customers = rows.groups[chosen], rows.customers[chosen]
        return lambda scores: 1.0 - _mean(ndcg(y, scores, groups, customers).figures)
    if task == VALUE:
        variance = float(np.var(y)) or 1.0
        return lambda scores: float(np.mean((y - scores) ** 2)) / variance
    if task == UPLIFT:
        return lambda scores: float(np.mean(np.abs(scores - said)))
    hits = (y > 0).astype(np.int8)
    return lambda scores: log_loss(hits, scores)


def _mean(figures: npt.NDArray[np.float64]) -> float:
    return float(figures.mean()) if len(figures) else 1.0


def _slates(rows: Labelled, rng: np.random.Generator, most: int) -> npt.NDArray[np.int64]:
    """Whole slates in any order, until there are so many rows."""
    slates, which, sizes = np.unique(rows.groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(slates))
    kept = order[: 1 + int(np.searchsorted(np.cumsum(sizes[order]), most))]
    return np.flatnonzero(np.isin(which, kept))


def _spread(losses: Sequence[float]) -> Estimate:
    return Estimate(float(np.mean(losses)), float(min(losses)), float(max(losses)))
