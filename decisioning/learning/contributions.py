"""A scorer, a customer's facts and a content come in; what each feature adds to the chance, in log-odds, comes out.

For trees these are exact SHAP values, as LightGBM computes them while it predicts: base and factors sum to the logit of
the chance that the scorer gives. Source: Lundberg et al. 2020, From local explanations to global understanding with
explainable AI for trees (https://doi.org/10.1038/s42256-019-0138-9). Of a line they are coefficient times value. What
becomes of a score afterwards (trust in it, a calibration curve) stretches all shares alike, so that they still sum to
the chance that was given. Scorers of money and of gains have no chance to share out.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.boosting import Boosted
from decisioning.learning.features import Content, ContentBlock, Facts, Matrix, design_matrix
from decisioning.learning.schema import Column
from decisioning.learning.scorer import Careful, Forest, Logistic, Order, Scorer, Trees
from decisioning.learning.tempering import blended

Floats = npt.NDArray[np.float64]
NEVER: Final = 1e-15  # a chance is kept so far from 0 and 1, where the logit has no value


@dataclass(frozen=True, slots=True)
class Factor:
    """One feature: `source` as its column has it, `key` the fact or attribute, `value` what was read or computed.

    `share` is what it adds to the log-odds; below zero it speaks against the content.
    """

    name: str
    source: str
    key: str
    value: Any
    share: float


@dataclass(frozen=True, slots=True)
class Contributions:
    """`chance` is what the scorer gives; `log_odds` its logit, which is `base` and all shares together.

    `factors` have a share other than 0, the largest first, whatever its sign.
    """

    base: float
    log_odds: float
    chance: float
    factors: tuple[Factor, ...] = ()


def contributions(scorer: Scorer, facts: Facts, content: Content) -> Contributions:
    """Why the scorer gives this customer with this content its chance. A scorer of constants has a base alone."""
    chance = float(scorer.score_contents(facts, [content])[0])
    treated = scorer.treatment.one(facts)
    row = design_matrix(scorer.schema, treated, ContentBlock(scorer.schema, [content]))
    shares = added(scorer, row, content.key)
    if shares is None:
        return Contributions(logit(chance), logit(chance), chance)
    factors = [
        Factor(column.name, column.source, column.key, _read(column, row, place, treated, content), float(share))
        for place, (column, share) in enumerate(zip(scorer.schema.columns, shares, strict=True))
        if share
    ]
    factors.sort(key=lambda factor: (-abs(factor.share), factor.name))
    return Contributions(logit(chance) - float(shares.sum()), logit(chance), chance, tuple(factors))


def added(scorer: Scorer, row: Matrix, key: str) -> Floats | None:
    """(features,) log-odds that each feature adds for this content; None where no chance is made of features."""
    if isinstance(scorer, Careful):
        return _stretched(scorer, row, key)
    if isinstance(scorer, Order):
        line = np.zeros(row.shape[1])
        if scorer.line_ is not None:
            line[list(scorer.line_.bends)] = scorer.line_.shares(row)[0]
        return (_of_trees(scorer, row) + line) * scorer.sigmoid_.slope / scorer.sigmoid_.spread
    if isinstance(scorer, Forest):
        # What the trees of a forest say is averaged, not added.
        return _of_trees(scorer, row) / scorer.trees_
    if isinstance(scorer, Trees):
        return _of_trees(scorer, row)
    return scorer.shares(row) if isinstance(scorer, Logistic) else None


def _of_trees(scorer: Boosted, row: Matrix) -> Floats:
    found = scorer.booster_.predict(row, pred_contrib=True, num_threads=scorer.threads)
    return np.asarray(found, np.float64)[0, :-1]


def _stretched(scorer: Careful, row: Matrix, key: str) -> Floats | None:
    """The shares of the scorer inside, stretched to what its chance moves when it is trusted and calibrated."""
    inside = added(scorer.scorer_, row, key)
    if inside is None or not scorer.weight_:
        return None
    ends = logit(float(scorer.scorer_.score(row, scorer.schema.hash, [key])[0]))
    begins = ends - float(inside.sum())
    constants = scorer.constants(2, [key])
    chances = blended(1 / (1 + np.exp(-np.array([begins, ends]))), constants, scorer.weight_)
    low, high = map(logit, scorer.calibration_.curve.chances(chances).tolist())
    return inside * ((high - low) / (ends - begins) if ends != begins else 0.0)


def logit(chance: float) -> float:
    """The logarithm of the odds."""
    kept = min(max(chance, NEVER), 1 - NEVER)
    return math.log(kept / (1 - kept))


def _read(column: Column, row: Matrix, place: int, facts: Facts, content: Content) -> Any:
    """The value as people know it; of a cross, a rate and the like the number. None where it is missing."""
    if column.source in ("fact", "context"):
        return facts.get(column.key)
    if column.source == "content":
        return content.attributes.get(column.key)
    value = float(row[0, place])
    return None if math.isnan(value) else value
