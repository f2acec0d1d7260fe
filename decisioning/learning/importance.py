"""A scorer and rows it has not seen come in; how much worse it does without each feature comes out.

Permutation importance (Breiman, *Random Forests*, 2001; of any model as in Fisher, Rudin and Dominici 2019): the values
of one feature are dealt out anew among the rows, and the log loss of the scores is compared with that before. It says
what the scorer leans on, not what causes outcomes; features that say the same share their importance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from decisioning.learning.dataset import Labelled
from decisioning.learning.evaluation import Estimate, log_loss
from decisioning.learning.family import Scorer

ROWS: Final = 4_000  # more make it slower and hardly surer
REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class Importance:
    """By how many nats a row's log loss grows without what a feature says; the interval is over ways to deal it out."""

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

    `rows` are those of a time after the training. Raises `ValueError` without any.
    """
    if not len(rows):
        raise ValueError("Importance needs rows that the scorer was not trained on; there are none.")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(rows))[:most]
    X, y = rows.X[chosen].copy(), rows.y[chosen]
    before = log_loss(y, scorer.score(X, scorer.schema.hash))
    found = []
    for place, name in enumerate(scorer.schema.names):
        kept = X[:, place].copy()
        losses = []
        for _ in range(repeats):
            X[:, place] = kept[rng.permutation(len(kept))]
            losses.append(log_loss(y, scorer.score(X, scorer.schema.hash)) - before)
        X[:, place] = kept
        found.append(Importance(name, _spread(losses)))
    return sorted(found, key=lambda one: -one.loss.value)


def _spread(losses: Sequence[float]) -> Estimate:
    return Estimate(float(np.mean(losses)), float(min(losses)), float(max(losses)))
