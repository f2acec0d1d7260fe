"""Comes in: nothing. Goes out: seconds to train on a million impressions, and the most memory that took.

train_1m             a million rows × 60 features to a scorer, early stopping and all, on two cores, rows ready
train_1m_megabytes   the most memory the process had, the rows (240 MB) included
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from tests.bench.measure import Result
from tools.devstack.places import REPOSITORY

ROWS, FEATURES, CORES = 1_000_000, 60, 2
CODE: Final = f"""
import json, resource, time
import numpy as np
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Trees
dice = np.random.default_rng(0)
X = dice.normal(size=({ROWS}, {FEATURES})).astype(np.float32)
X[dice.random(X.shape, np.float32) < 0.1] = np.nan
liking = np.nan_to_num(X[:, :5]).sum(axis=1) - 3
y = (dice.random({ROWS}) < 1 / (1 + np.exp(-liking))).astype(np.int8)
schema = FeatureSchema([Column(f"f{{n}}", "fact", f"f{{n}}") for n in range({FEATURES})])
begun = time.perf_counter()
scorer = Trees(schema, threads={CORES}).fit(X, y, (), np.arange({ROWS}))
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"seconds": seconds, "megabytes": peak, "trees": scorer.trees_}}))
"""


def training() -> Iterator[Result]:
    """In a process of its own, so that its memory is its own."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    yield Result("train_1m", round(found["seconds"], 1), "s", runs=1)
    yield Result("train_1m_megabytes", round(found["megabytes"]), "MB", runs=1)


BENCHES = {"train_1m": training}
