"""A scorer, a customer's facts and a content come in; what each feature adds to the chance, in log-odds, comes out.

For trees these are exact SHAP values, as LightGBM computes them while it predicts: base and factors sum to the logit of
the chance that the scorer gives. Source: Lundberg et al. 2020, From local explanations to global understanding with
explainable AI for trees (https://doi.org/10.1038/s42256-019-0138-9).
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from decisioning.learning.features import Content, ContentBlock, Facts, Matrix, design_matrix
from decisioning.learning.schema import Column
from decisioning.learning.scorer import Scorer, Trees

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
    if not isinstance(scorer, Trees):
        return Contributions(logit(chance), logit(chance), chance)
    treated = scorer.treatment.one(facts)
    row = design_matrix(scorer.schema, treated, ContentBlock(scorer.schema, [content]))
    shares = np.asarray(scorer.booster_.predict(row, pred_contrib=True, num_threads=scorer.threads), np.float64)[0]
    factors = [
        Factor(column.name, column.source, column.key, _read(column, row, place, treated, content), float(share))
        for place, (column, share) in enumerate(zip(scorer.schema.columns, shares[:-1], strict=True))
        if share
    ]
    factors.sort(key=lambda factor: (-abs(factor.share), factor.name))
    return Contributions(float(shares[-1]), logit(chance), chance, tuple(factors))


def logit(chance: float) -> float:
    """The logarithm of the odds."""
    kept = min(max(chance, NEVER), 1 - NEVER)
    return math.log(kept / (1 - kept))


def _read(column: Column, row: Matrix, place: int, facts: Facts, content: Content) -> Any:
    """The value as people know it; of a cross, a rate or likeness the number. None where it is missing."""
    if column.source in ("fact", "context"):
        return facts.get(column.key)
    if column.source == "content":
        return content.attributes.get(column.key)
    value = float(row[0, place])
    return None if math.isnan(value) else value
