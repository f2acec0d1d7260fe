"""A scorer and rows of a later time come in; what it leans on, how, and how far its chances can be believed, out.

The parts of a model card (Mitchell et al. 2019) that can be computed. Plain data: it is kept with the scorer's metrics.
"""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.experiments.statistics import Group, wilson
from decisioning.learning.dataset import Labelled
from decisioning.learning.dependence import dependence
from decisioning.learning.family import Scorer
from decisioning.learning.importance import importances

SHOWN: Final = 20  # features by importance
DRAWN: Final = 6  # of those, whose dependence is drawn
BINS: Final = 10
DIGITS: Final = 6


def card(scorer: Scorer, rows: Labelled, seed: int = 0) -> dict[str, Any]:
    """`importance`, `dependence` of what matters most, `calibration`, `scores` (how they are spread); JSON-able.

    Raises `ValueError` without rows.
    """
    found = importances(scorer, rows, seed)
    matter = [one.name for one in found if one.matters][:DRAWN]
    chances = scorer.score(rows.X, scorer.schema.hash)
    return {
        "rows": len(rows),
        "importance": [{"name": one.name, **_rounded(asdict(one.loss))} for one in found[:SHOWN]],
        "unused": sum(1 for one in found if one.loss.value == one.loss.high == 0),
        "dependence": [
            {"name": name, "points": [_rounded(asdict(point)) for point in dependence(scorer, rows.X, name, seed)]}
            for name in matter
        ],
        "calibration": calibration(rows.y.astype(np.float64), chances),
        "scores": spread(chances),
    }


def calibration(y: npt.NDArray[np.float64], chances: npt.NDArray[np.float64]) -> list[dict[str, float]]:
    """Bins of equal size by rising chance: mean `score`, `rate` of what happened with Wilson's interval, `rows`."""
    found = []
    for part in np.array_split(np.argsort(chances, kind="stable"), BINS):
        if len(part):
            low, high = wilson(Group(len(part), int(y[part].sum())))
            bins = {"score": float(chances[part].mean()), "rate": float(y[part].mean()), "low": low, "high": high}
            found.append({**_rounded(bins), "rows": len(part)})
    return found


def spread(chances: npt.NDArray[np.float64]) -> dict[str, Any]:
    """How many scores lie between which `edges`, from the least to the greatest."""
    counts, edges = np.histogram(chances, bins=2 * BINS)
    return {"counts": counts.tolist(), "edges": [round(float(edge), DIGITS) for edge in edges]}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}
