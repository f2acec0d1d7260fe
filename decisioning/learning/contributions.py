"""A scorer, a customer's facts and a content come in; what each feature adds to the score comes out.

For trees these are exact SHAP values, as LightGBM computes them while it predicts: base and factors sum to the score on
the scale on which the scorer adds: chances and orders in log-odds, expected money in its logarithm, gains as they are.
Source: Lundberg et al. 2020, From local explanations to global understanding with explainable AI for trees
(https://doi.org/10.1038/s42256-019-0138-9). Of a line they are coefficient times value. What becomes of a score
afterwards (trust in it, a calibration curve) stretches all shares alike, so that they still sum to the chance that was
given. A product of two models has no such scale, and neither has a constant: a base alone.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.boosting import Boosted
from decisioning.learning.family import CHANCE, ORDER, UPLIFT, VALUE
from decisioning.learning.features import Content, ContentBlock, Facts, Matrix, design_matrix
from decisioning.learning.schema import Column
from decisioning.learning.scorer import Careful, Forest, Logistic, Order, Scorer, Trees, Worth
from decisioning.learning.tempering import blended
from decisioning.learning.uplift import Uplift

Floats = npt.NDArray[np.float64]
NEVER: Final = 1e-15  # a chance is kept so far from 0 and 1, and money from 0, where the logarithm has no value
LOG_ODDS, LOG, PLAIN = "log-odds", "logarithm", "plain"
SCALES: Final = {CHANCE: LOG_ODDS, ORDER: LOG_ODDS, VALUE: LOG, UPLIFT: PLAIN}


@dataclass(frozen=True, slots=True)
class Factor:
    """One feature: `source` as its column has it, `key` the fact or attribute, `value` what was read or computed.

    `share` is what it adds on the scale; below zero it speaks against the content.
    """

    name: str
    source: str
    key: str
    value: Any
    share: float


@dataclass(frozen=True, slots=True)
class Contributions:
    """`score` is what the scorer gives; `total` the same on its `scale`, which is `base` and all shares together.

    `factors` have a share other than 0, the largest first, whatever its sign.
    """

    base: float
    total: float
    score: float
    factors: tuple[Factor, ...] = ()
    scale: str = LOG_ODDS


def contributions(scorer: Scorer, facts: Facts, content: Content) -> Contributions:
    """Why the scorer gives this customer with this content its score. A scorer of constants has a base alone."""
    score = float(scorer.score_contents(facts, [content])[0])
    scale = SCALES[scorer.task]
    total = on(scale, score)
    treated = scorer.treatment.one(facts)
    row = design_matrix(scorer.schema, treated, ContentBlock(scorer.schema, [content]))
    shares = added(scorer, row, content.key)
    if shares is None:
        return Contributions(total, total, score, scale=scale)
    factors = [
        Factor(column.name, column.source, column.key, _read(column, row, place, treated, content), float(share))
        for place, (column, share) in enumerate(zip(scorer.schema.columns, shares, strict=True))
        if share
    ]
    factors.sort(key=lambda factor: (-abs(factor.share), factor.name))
    return Contributions(total - float(shares.sum()), total, score, tuple(factors), scale)


def on(scale: str, score: float) -> float:
    """A score on the scale on which shares are added."""
    if scale == LOG_ODDS:
        return logit(score)
    return math.log(max(score, NEVER)) if scale == LOG else score


def off(scale: str, total: float) -> float:
    """The score that a number on the scale stands for."""
    if scale == LOG_ODDS:
        return 1 / (1 + math.exp(-total))
    return math.exp(total) if scale == LOG else total


def added(scorer: Scorer, row: Matrix, key: str) -> Floats | None:
    """(features,) what each feature adds for this content, on the scale; None where no score is made of features."""
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
    if isinstance(scorer, Trees | Worth):
        return _of_trees(scorer, row)
    if isinstance(scorer, Uplift):
        return _of_gain(scorer, row, key)
    return scorer.shares(row) if isinstance(scorer, Logistic) else None


def _of_trees(scorer: Boosted, row: Matrix) -> Floats:
    found = scorer.booster_.predict(row, pred_contrib=True, num_threads=scorer.threads)
    return np.asarray(found, np.float64)[0, :-1]


def _of_gain(scorer: Uplift, row: Matrix, key: str) -> Floats | None:
    """What of a content's gain is this customer's own: the models' shares, as far as they are kept."""
    models = scorer.parts(key)
    if not models:
        return None
    return sum((weight * _of_trees(model, row) for weight, model in models), np.zeros(row.shape[1]))


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
