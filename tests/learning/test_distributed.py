"""Trees grown by two workers of a Dask cluster are as good as those grown here."""

from collections.abc import Iterator

import distributed
import numpy as np
import pytest

from decisioning.learning.distributed import ADDRESS, grown
from decisioning.learning.evaluation import auc
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Trees

WIDTH, ROWS = 12, 12_000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two workers, each a process of its own."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=ROWS) > 1).astype(np.int8)


def test_two_workers_learn_what_one_machine_learns(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(1)
    schema = FeatureSchema([Column(f"f{n}", "fact", f"f{n}") for n in range(WIDTH)])
    monkeypatch.delenv(ADDRESS, raising=False)
    here = Trees(schema).fit(X, y)
    monkeypatch.setenv(ADDRESS, address)
    there = Trees(schema).fit(X, y)
    later, outcomes = rows(2)
    ours, theirs = (auc(outcomes, scorer.score(later, schema.hash)) for scorer in (here, there))
    assert ours > 0.8
    assert abs(ours - theirs) <= 0.002
    assert "127.0.0.1" not in there.text_


def test_a_scheduler_that_is_not_there_is_named_with_the_cure() -> None:
    X, y = rows(1)
    with pytest.raises(ValueError, match="start it or train here"):
        grown("tcp://127.0.0.1:1", X, y, {"objective": "binary"}, 2)
