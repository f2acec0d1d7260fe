"""One set of checks over every algorithm on every scale; a new one joins the tables and gets them for free."""

import json

import numpy as np
import polars as pl
import pytest

from decisioning.learning.algorithms import NAMES
from decisioning.learning.clustering import Clustering, Options
from decisioning.learning.clusters import Clusters, nearest
from decisioning.learning.judging import Limits
from decisioning.learning.scaling import KINDS, Scaler, raw_matrix

from .crowds import people

# Every algorithm must give an answer here, however bad: it is serving that is checked, not choosing.
LAX = Limits(smallest=0.005, biggest=1, stability=-1, noise=1, agreement=0.5)
APART = {"a": (10, 10, 10), "b": (60, 12, 45), "c": (12, 70, 50), "d": (70, 65, 10)}
FACTS = ("recency_days", "orders_365d", "spend_365d")


def crowd() -> pl.DataFrame:
    """Groups that all algorithms find, with holes and other columns among them."""
    frame = people(80, groups=APART).with_row_index("customer_id")
    holes = pl.Series(np.random.default_rng(1).random(frame.height) < 0.02)
    return frame.with_columns(recency_days=pl.when(~holes).then("recency_days"))


@pytest.fixture(scope="module", params=[(name, kind) for name in NAMES for kind in KINDS], ids=" ".join)
def options(request: pytest.FixtureRequest) -> Options:
    name, kind = request.param
    return Options(FACTS, (name,), (kind,), (3, 4), LAX, seed=4)


@pytest.fixture(scope="module")
def fit(options: Options) -> Clustering:
    return Clustering(options).fit(crowd())


def test_the_same_seed_gives_the_same_bytes(options: Options, fit: Clustering) -> None:
    again = Clustering(options).fit(crowd())
    assert again.clusters_.to_artefact() == fit.clusters_.to_artefact()
    assert again.comparison_ == fit.comparison_


def test_the_input_is_untouched(options: Options) -> None:
    frame, before = crowd(), crowd()
    clustering = Clustering(options)
    assert clustering.fit(frame) is clustering
    assert frame.equals(before)


def test_saved_and_loaded_it_is_the_same(fit: Clustering) -> None:
    found = fit.clusters_
    loaded = Clusters.from_artefact(found.to_artefact())
    assert loaded == found
    assert loaded.to_artefact() == found.to_artefact()


def test_everybody_is_assigned_one_by_one_as_all_together_with_columns_in_any_order(fit: Clustering) -> None:
    frame = crowd()
    everybody = fit.clusters_.assign_frame(frame.select(reversed(frame.columns)))
    assert len(everybody) == frame.height
    assert set(everybody.tolist()) <= set(range(fit.number_))
    assert [fit.clusters_.assign(row) for row in frame.iter_rows(named=True)] == everybody.tolist()
    np.testing.assert_array_equal(everybody, fit.labels_)


def test_missing_and_absurd_values_are_assigned_too(fit: Clustering) -> None:
    missing = fit.clusters_.assign({})
    for absurd in (None, "many", [], float("nan"), float("inf"), 10**400, {}):
        assert fit.clusters_.assign(dict.fromkeys(FACTS, absurd)) == missing


def test_folded_centres_assign_to_the_nearest_one(fit: Clustering) -> None:
    clusters, frame = fit.clusters_, people(20, seed=9)
    scaled, centres = clusters.scaler.scaled_frame(frame), np.array(clusters.centres)
    distance = ((scaled[:, None, :] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(nearest(scaled, centres), distance.argmin(axis=1))
    np.testing.assert_array_equal(clusters.assign_frame(frame), np.array(clusters.owners)[distance.argmin(axis=1)])


def test_broken_artefacts_are_refused(fit: Clustering) -> None:
    data = fit.clusters_.to_artefact()
    newer = data.replace(b'"format":2', b'"format":9')
    for broken in (b"", data[:-9], b"[]", b'{"kind": "trees"}', newer):
        with pytest.raises(ValueError, match="fit the clustering again"):
            Clusters.from_artefact(broken)


def test_how_faithfully_it_is_served_is_measured(fit: Clustering) -> None:
    assert 0.5 <= fit.chosen_.agreement <= 1
    assert fit.chosen_.noise_share == 0 or "DBSCAN" in fit.chosen_.algorithm


@pytest.mark.parametrize("kind", KINDS)
def test_a_scale_is_the_same_for_one_and_for_all(kind: str) -> None:
    frame = crowd()
    scaler = Scaler.learned(kind, FACTS, raw_matrix(frame, FACTS))
    everybody = scaler.moved(raw_matrix(frame, FACTS))
    one_by_one = [scaler.moved_one(row) for row in frame.iter_rows(named=True)]
    np.testing.assert_allclose(one_by_one, everybody, rtol=1e-12, atol=1e-12)


def test_negative_values_keep_their_sign_on_the_log_scale() -> None:
    frame = pl.DataFrame({"a": [-100.0, -1.0, 0.0, 1.0, 100.0]})
    moved = Scaler.learned("log", ("a",), raw_matrix(frame, ("a",))).moved(raw_matrix(frame, ("a",)))[:, 0]
    assert moved.tolist() == sorted(moved)
    assert moved[0] == -moved[-1]


def test_a_fact_that_never_differs_counts_for_nothing() -> None:
    frame = people(30).with_columns(orders_365d=pl.lit(7.0))
    for kind in ("log", "standard", "quantile"):
        scaled = Scaler.learned(kind, FACTS, raw_matrix(frame, FACTS)).scaled_frame(frame)
        assert np.abs(scaled[:, 1]).max() < 1e-6


def test_artefacts_of_format_1_are_still_read() -> None:
    body = {
        "kind": "clusters",
        "format": 1,
        "facts": ["recency_days", "spend_365d"],
        "missing": [400.0, 0.0],
        "centre_of_all": [2.5, 5.0],
        "scales": [1.5, 2.0],
        "centres": [[-1.0, 1.0], [1.0, -1.0]],
        "clusters": [
            {"key": "big-spenders", "name": "Big spenders", "share": 0.5, "means": {}, "effects": {}},
            {"key": "lapsed", "name": "Lapsed", "share": 0.5, "means": {}, "effects": {}},
        ],
    }
    found = Clusters.from_artefact(json.dumps(body).encode())
    assert found.keys == ("big-spenders", "lapsed")
    assert found.assign({"recency_days": 1, "spend_365d": 5000}) == 0
    assert found.assign({"recency_days": 300, "spend_365d": 2}) == found.assign({}) == 1
    assert found.assign({"recency_days": 300, "spend_365d": -50}) == 1
    assert Clusters.from_artefact(found.to_artefact()) == found
