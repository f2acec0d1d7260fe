"""Clustering: finds the groups there are, refuses hermits, and names what it found."""

import numpy as np
import polars as pl
import pytest

from decisioning.learning.clustering import Candidate, Clustering, choose
from decisioning.learning.clusters import Clusters
from decisioning.learning.naming import name_clusters

GROUPS = {"loyal": (2, 80, 4000), "average": (15, 20, 700), "gone": (200, 3, 60), "new": (3, 2, 45)}


def people(each: int = 150, seed: int = 3) -> pl.DataFrame:
    """Four groups of customers with skewed spread around their recency, orders and spend."""
    rng = np.random.default_rng(seed)
    rows = [np.array(centre) * rng.lognormal(0, 0.15, (each, 3)) for centre in GROUPS.values()]
    recency, orders, spend = np.vstack(rows).T
    names = np.repeat(list(GROUPS), each)
    return pl.DataFrame({"group": names, "recency_days": recency, "orders_365d": orders, "spend_365d": spend})


@pytest.fixture(scope="module")
def fit() -> Clustering:
    return Clustering().fit(people())


def test_it_finds_the_groups_there_are(fit: Clustering) -> None:
    assert fit.number_ == 4
    found = people().with_columns(cluster=pl.Series(fit.assign(people())))
    shares = found.group_by("group").agg(pl.col("cluster").mode().first(), same=pl.col("cluster").unique_counts().max())
    assert shares["cluster"].n_unique() == 4
    assert shares["same"].min() >= 148


def test_names_tell_who_is_in(fit: Clustering) -> None:
    names = {cluster.name for cluster in fit.clusters_.clusters}
    assert "Recent frequent big spenders" in names
    assert "Lapsed occasional small spenders" in names
    assert len(names) == 4


def test_clusters_know_their_share_and_means(fit: Clustering) -> None:
    clusters = fit.clusters_.clusters
    assert sum(cluster.share for cluster in clusters) == pytest.approx(1)
    loyal = next(cluster for cluster in clusters if cluster.means["spend_365d"] > 3000)
    assert loyal.means["orders_365d"] == pytest.approx(80, rel=0.1)
    assert loyal.effects["spend_365d"] > 1


def test_customers_who_never_ordered_are_placed_with_those_who_are_gone(fit: Clustering) -> None:
    never = {"recency_days": None, "orders_365d": 0, "spend_365d": 0}
    gone = {"recency_days": 200, "orders_365d": 3, "spend_365d": 60}
    assert fit.clusters_.assign(never) == fit.clusters_.assign(gone) == fit.clusters_.assign({})


def test_folded_centres_assign_to_the_nearest_one(fit: Clustering) -> None:
    clusters, frame = fit.clusters_, people(20, seed=9)
    logs = np.log1p(frame.select(clusters.facts).to_numpy())
    scaled = (logs - np.array(clusters.centre_of_all)) / np.array(clusters.scales)
    distance = ((scaled[:, None, :] - np.array(clusters.centres)) ** 2).sum(axis=2)
    np.testing.assert_array_equal(clusters.assign_frame(frame), distance.argmin(axis=1))


def test_a_few_hermits_are_no_clusters() -> None:
    hermits = pl.DataFrame({"recency_days": [1.0] * 5, "orders_365d": [9e3] * 5, "spend_365d": [9e8] * 5})
    crowd = pl.concat([people().drop("group"), hermits])
    found = Clustering(numbers=(3, 4, 5, 6)).fit(crowd)
    assert min(cluster.share for cluster in found.clusters_.clusters) >= 0.03
    refused = [candidate for candidate in found.comparison_ if not candidate.allowed]
    assert refused
    assert all(candidate.smallest_share < 0.03 for candidate in refused)


def test_both_indices_decide_and_equal_sums_go_to_fewer_clusters() -> None:
    hermit = Candidate(2, 0.95, 0.1, 0.001, False)
    ones = [
        Candidate(3, 0.5, 1.0, 0.2, True),
        Candidate(4, 0.4, 0.9, 0.2, True),
        Candidate(5, 0.3, 1.1, 0.2, True),
    ]
    assert choose([hermit, *ones]) == 3
    assert choose([hermit, *ones[1:]]) == 4
    assert choose([hermit, Candidate(6, 0.1, 3.0, 0.02, False)]) == 6


def test_clusters_of_one_description_are_numbered() -> None:
    near = {"spend_365d": 0.1}
    assert name_clusters([near, {"spend_365d": 2.0}, near]) == [
        "Average customers",
        "Big spenders",
        "Average customers, 2",
    ]


def test_it_says_when_there_are_too_few_customers_or_facts(fit: Clustering) -> None:
    with pytest.raises(ValueError, match="more than 8 different customers"):
        Clustering().fit(people(2)[:6])
    with pytest.raises(ValueError, match="lacks the facts spend_365d"):
        fit.clusters_.assign_frame(people().drop("spend_365d"))
    assert isinstance(fit.clusters_, Clusters)
