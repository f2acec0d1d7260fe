"""Trees grown by two workers of a Dask cluster are as good as those grown here."""

from collections.abc import Callable, Iterator

import distributed
import numpy as np
import pytest

from decisioning.learning.distributed import ADDRESS, Given, grown, parts_of
from decisioning.learning.evaluation import auc
from decisioning.learning.gains import ndcg
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Order, Scorer, Trees, Worth

WIDTH, ROWS = 12, 12_000
SCHEMA = FeatureSchema([Column(f"f{n}", "fact", f"f{n}") for n in range(WIDTH)])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two workers, each a process of its own."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=ROWS) > 1).astype(np.int8)


def learned(address: str, monkeypatch: pytest.MonkeyPatch, fit: Callable[[], Scorer]) -> tuple[Scorer, Scorer]:
    """By this process alone, and by the workers."""
    monkeypatch.delenv(ADDRESS, raising=False)
    here = fit()
    monkeypatch.setenv(ADDRESS, address)
    there = fit()
    assert "machines" not in there.text_ and "127.0.0.1" not in there.text_
    assert there.text_ != here.text_, "it was grown elsewhere"
    return here, there


def test_two_workers_learn_what_one_machine_learns(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(1)
    later, outcomes = rows(2)
    both = learned(address, monkeypatch, lambda: Trees(SCHEMA).fit(X, y))
    ours, theirs = (auc(outcomes, scorer.score(later, SCHEMA.hash)) for scorer in both)
    assert ours > 0.8
    assert abs(ours - theirs) <= 0.002


def test_an_order_is_learned_there_too_by_whole_slates_on_its_line(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = rows(1)
    later, outcomes = rows(2)
    slates = np.repeat(np.arange(ROWS // 6), 6)
    both = learned(address, monkeypatch, lambda: Order(SCHEMA).fit(X, y, groups=slates))
    ours, theirs = (
        float(ndcg(outcomes, scorer.score(later, SCHEMA.hash), slates, slates).figures.mean()) for scorer in both
    )
    assert ours > 0.8
    assert abs(ours - theirs) <= 0.005


def test_money_is_learned_there_too(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(1)
    later, outcomes = rows(2)
    both = learned(address, monkeypatch, lambda: Worth(SCHEMA).fit(X, y * 12.5))
    ours, theirs = (auc(outcomes, scorer.score(later, SCHEMA.hash)) for scorer in both)
    assert ours > 0.8
    assert abs(ours - theirs) <= 0.005


def test_few_rows_do_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(1)
    monkeypatch.setenv(ADDRESS, "tcp://127.0.0.1:1")
    monkeypatch.setattr("decisioning.learning.distributed.SECONDS", 0.5)
    Trees(SCHEMA).fit(X[:9_999], y[:9_999])
    with pytest.raises(ValueError, match="start it or train here"):
        Trees(SCHEMA).fit(X, y)


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_parts_hold_every_row_once_and_slates_whole(workers: int) -> None:
    slates = np.random.default_rng(3).integers(1, 9, 50)
    total = int(slates.sum())
    rows, of = parts_of(total, slates, workers)
    assert sum(rows) == total and sum(of) == 50
    assert len(rows) == len(of) <= workers
    ends = set(np.cumsum(slates).tolist())
    assert all(end in ends for end in np.cumsum(rows).tolist())
    assert max(rows) - total / workers < 2 * 9
    assert parts_of(total, None, workers)[0] == np.diff([total * n // workers for n in range(workers + 1)]).tolist()


def test_a_scheduler_that_is_not_there_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decisioning.learning.distributed.SECONDS", 0.5)
    with pytest.raises(ValueError, match="start it or train here"):
        grown("tcp://127.0.0.1:1", Given(*rows(1)), {"objective": "binary"}, 2)
