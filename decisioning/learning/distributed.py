"""Rows and the settings of boosted trees come in; the same trees, grown by the workers of a Dask cluster, come out.

For rows that one machine trains on too slowly. Each worker keeps its part, of slates whole ones, and only histograms
travel (LightGBM's data-parallel learner; Meng et al. 2016). Early stopping does not work there: the number of trees is
fixed beforehand. Which rows a worker gets is chance, so the trees are as good again but not the same to the byte.
Source: https://lightgbm.readthedocs.io/en/stable/Parallel-Learning-Guide.html#dask
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.features import Matrix
from decisioning.learning.later import Later

dask_array = Later("dask.array")
distributed = Later("distributed")
lightgbm_dask = Later("lightgbm.dask")

ADDRESS: Final = "DASK_SCHEDULER_ADDRESS"
FEWEST_ROWS: Final = 10_000  # fewer are learned from here before they have travelled
SECONDS: Final = 10  # until a scheduler that does not answer is given up
# What scikit-learn's interface, the only one over Dask, calls LightGBM's own names.
NAMES: Final = {
    "boosting": "boosting_type",
    "min_data_in_leaf": "min_child_samples",
    "lambda_l2": "reg_lambda",
    "feature_fraction": "colsample_bytree",
    "bagging_fraction": "subsample",
    "bagging_freq": "subsample_freq",
    "seed": "random_state",
}
ASIDE: Final = frozenset({"objective", "metric", "num_threads"})  # a worker's threads are its own affair
# Who took part is no part of what was learned, and no address of a worker belongs into an artefact.
WHERE: Final = re.compile(r"^\[(machines|local_listen_port|num_machines|time_out|num_threads): .*\]\n", re.MULTILINE)


def scheduler() -> str | None:
    """The address of the cluster's scheduler, as the environment of the training process names it; None: train here."""
    return os.environ.get(ADDRESS) or None


@dataclass(frozen=True, slots=True)
class Given:
    """What trees are grown from: rows with outcomes and, where they have them, weights, slates and where trees start.

    `slates` int64 are how many rows each has, in the order of the rows; `start` (rows,) is what trees are added to.
    """

    X: Matrix
    y: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None = None
    slates: npt.NDArray[np.int64] | None = None
    start: npt.NDArray[np.float64] | None = None


def grown(address: str, given: Given, parameters: Mapping[str, Any], trees: int) -> str:
    """LightGBM's text of `trees` trees with the parameters of `lightgbm.train`, grown by the cluster at `address`.

    Raises `ValueError` when the scheduler does not answer or has no workers.
    """
    try:
        client = distributed.Client(address, timeout=SECONDS, set_as_default=False)
    except OSError as error:
        raise ValueError(f"No Dask scheduler answers at {address} ({error}); start it or train here.") from None
    with client, client.as_current():
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise ValueError(f"The Dask scheduler at {address} has no workers; start some, or train here.")
        rows, slates = parts_of(len(given.X), given.slates, workers)
        words = {NAMES.get(name, name): value for name, value in parameters.items() if name not in ASIDE}
        model = _kind(parameters)(n_estimators=trees, objective=parameters["objective"], client=client, **words)
        more = {"group": _spread(given.slates, slates)} if given.slates is not None else {}
        model.fit(
            _spread(given.X, rows),
            _spread(given.y, rows),
            sample_weight=_spread(given.weights, rows),
            init_score=_spread(given.start, rows),
            **more,
        )
        return WHERE.sub("", model.booster_.model_to_string())


def _kind(parameters: Mapping[str, Any]) -> Any:
    kinds = {"binary": "DaskLGBMClassifier", "lambdarank": "DaskLGBMRanker"}
    return getattr(lightgbm_dask, kinds.get(parameters["objective"], "DaskLGBMRegressor"))


def parts_of(rows: int, slates: npt.NDArray[np.int64] | None, workers: int) -> tuple[list[int], list[int]]:
    """How many rows, and how many slates, each worker gets: about as many, and of slates whole ones."""
    wanted = np.arange(1, workers) * rows // workers
    if slates is None:
        return np.diff([0, *wanted, rows]).tolist(), []
    ends = np.cumsum(slates)
    cuts = np.unique([0, *(np.searchsorted(ends, wanted) + 1), len(slates)])
    return np.diff(np.r_[0, ends][cuts]).tolist(), np.diff(cuts).tolist()


def _spread(values: npt.NDArray[Any] | None, parts: Sequence[int]) -> Any:
    """The values in parts of these lengths, one a worker."""
    if values is None:
        return None
    return dask_array.from_array(values, chunks=(tuple(parts), *((size,) for size in values.shape[1:])))
