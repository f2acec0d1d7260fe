"""A scorer and rows of a later time come in; what it leans on, how, and how far its scores can be believed, out.

The parts of a model card (Mitchell et al. 2019) that can be computed. Plain data: it is kept with the scorer's metrics.
"""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.experiments.statistics import Group, wilson
from decisioning.learning.dataset import Labelled
from decisioning.learning.dependence import Point, dependence
from decisioning.learning.family import UPLIFT, VALUE, Scorer
from decisioning.learning.importance import importances

SHOWN: Final = 20  # features by importance
DRAWN: Final = 6  # of those, whose dependence is drawn
BINS: Final = 10
DIGITS: Final = 6


def card(scorer: Scorer, rows: Labelled, seed: int = 0) -> dict[str, Any]:
    """`importance`, `dependence` of what matters most, `calibration`, `scores` (how they are spread); JSON-able.

    `task` says what the scores are; of a gain, which no row shows, there is no calibration.
    Raises `ValueError` without rows.
    """
    found = importances(scorer, rows, seed)
    matter = [one.name for one in found if one.matters][:DRAWN]
    said = scorer.score(rows.X, scorer.schema.hash, rows.contents)
    return {
        "task": scorer.task,
        "rows": len(rows),
        "importance": [{"name": one.name, **_rounded(asdict(one.loss))} for one in found[:SHOWN]],
        "unused": sum(1 for one in found if one.loss.value == one.loss.high == 0),
        "dependence": [
            {"name": name, "points": [_rounded(asdict(point)) for point in _curve(scorer, rows, name, seed)]}
            for name in matter
        ],
        "calibration": [] if scorer.task == UPLIFT else calibration(rows.y, said, scorer.task == VALUE),
        "scores": spread(said),
    }


def _curve(scorer: Scorer, rows: Labelled, name: str, seed: int) -> list[Point]:
    return dependence(scorer, rows.X, name, seed, contents=rows.contents)


def calibration(y: npt.NDArray[Any], scores: npt.NDArray[np.float64], money: bool = False) -> list[dict[str, float]]:
    """Bins of equal size by rising score: mean `score`, `rate` of what happened with its interval, `rows`.

    Of chances the rate is how often anything happened, with Wilson's interval; of `money` it is the mean, with that of
    the normal approximation (both 95 %).
    """
    found = []
    for part in np.array_split(np.argsort(scores, kind="stable"), BINS):
        if len(part):
            came, low, high = _money(y[part]) if money else _often(y[part] > 0)
            bins = {"score": float(scores[part].mean()), "rate": came, "low": low, "high": high}
            found.append({**_rounded(bins), "rows": len(part)})
    return found


def _often(hits: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    return float(hits.mean()), *wilson(Group(len(hits), int(hits.sum())))


def _money(amounts: npt.NDArray[Any]) -> tuple[float, float, float]:
    mean, error = float(amounts.mean()), 1.96 * float(amounts.std()) / max(len(amounts), 1) ** 0.5
    return mean, max(0.0, mean - error), mean + error


def spread(chances: npt.NDArray[np.float64]) -> dict[str, Any]:
    """How many scores lie between which `edges`, from the least to the greatest."""
    counts, edges = np.histogram(chances, bins=2 * BINS)
    return {"counts": counts.tolist(), "edges": [round(float(edge), DIGITS) for edge in edges]}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}
