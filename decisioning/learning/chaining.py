"""Facts with gaps come in; the linear models that fill them in turns (MICE), fitted by scikit-learn, come out.

scikit-learn's `IterativeImputer` fits Bayesian ridge regressions in rounds; those of the last round are kept as plain
coefficients, in `chained.Chained`.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import polars as pl

from decisioning.learning.chained import ROUNDS, Chained
from decisioning.learning.imputing import TEXT, Values, kind_of, numbers, related, sampled
from decisioning.learning.later import Later

exceptions, linear_model = Later("sklearn.exceptions"), Later("sklearn.linear_model")
# It is there only after the other was imported.
impute = Later("sklearn.impute", first="sklearn.experimental.enable_iterative_imputer")


def fit_chain(facts: pl.DataFrame, targets: Sequence[str], candidates: Sequence[str], seed: int = 0) -> Chained:
    """`candidates` are the numeric facts that may help; texts and facts nobody has are no targets."""
    looked = sampled(facts, seed)
    kinds = {fact: kind_of(facts, fact) for fact in sorted(targets)}
    known = {f: kind for f, kind in kinds.items() if kind != TEXT and np.isfinite(numbers(looked, [f])).any()}
    reads = sorted({*known, *related(looked, list(known), candidates)}) if known else []
    raw = numbers(looked, reads)
    moments = _moments(raw)
    return Chained(known, reads, moments, _weights((raw - moments[0]) / moments[1], moments, seed))


def _moments(raw: Values) -> Values:
    if not raw.size:
        return np.empty((4, raw.shape[1]))
    mean, scale = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return np.vstack([mean, scale, (np.nanmin(raw, axis=0) - mean) / scale, (np.nanmax(raw, axis=0) - mean) / scale])


def _weights(values: Values, moments: Values, seed: int) -> Values:
    """The models of the last round; a fact alone, with nothing to tell it by, keeps its mean."""
    size = values.shape[1]
    weights = np.zeros((size, size + 1))
    if size < 2:
        return weights
    chain = impute.IterativeImputer(
        linear_model.BayesianRidge(), max_iter=ROUNDS, min_value=moments[2], max_value=moments[3], random_state=seed
    )
    with warnings.catch_warnings():
        # The rounds are bounded on purpose.
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        chain.fit(values)
    for step in chain.imputation_sequence_[-size:]:
        weights[step.feat_idx, step.neighbor_feat_idx] = step.estimator.coef_
        weights[step.feat_idx, -1] = step.estimator.intercept_
    return weights
