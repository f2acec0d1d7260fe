"""Clustering: finds the groups there are, refuses traps with a reason, and says so when nothing is sane."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import silhouette_score

from decisioning.learning.algorithms import knee
from decisioning.learning.clustering import Clustering, NoSaneClustering, Options
from decisioning.learning.clusters import Clusters
from decisioning.learning.judging import LIMITS, Candidate, Yardstick, choose, refusals, score
from decisioning.learning.naming import name_clusters

from .crowds import QUICK, people, with_whales

FAST = Options(algorithms=QUICK)


@pytest.fixture(scope="module")
def fit() -> Clustering:
    return Clustering(FAST).fit(people())


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


@pytest.fixture(scope="module")
def trap() -> Clustering:
    return Clustering(Options(algorithms=QUICK, scalings=("raw", "log", "standard"))).fit(with_whales())


def test_a_silhouette_of_more_than_095_with_hermits_is_seen_reported_and_refused(trap: Clustering) -> None:
    alone = trap.alone_
    assert alone is not None and alone.silhouette is not None
    assert alone.silhouette > 0.95
    assert alone.scaling == "raw"
    assert alone in trap.comparison_
    assert not alone.allowed
    assert any("the smallest cluster has" in reason for reason in alone.refused)
    assert any("one crowd holds" in reason for reason in alone.refused)


def test_what_is_chosen_instead_has_no_hermits(trap: Clustering) -> None:
    shares = [cluster.share for cluster in trap.clusters_.clusters]
    assert min(shares) >= LIMITS.smallest
    assert max(shares) <= LIMITS.biggest
    assert trap.chosen_.silhouette < trap.alone_.silhouette
    assert trap.chosen_.stability >= LIMITS.stability


def test_every_refused_candidate_says_why_and_every_allowed_one_has_a_score(trap: Clustering) -> None:
    assert all(one.score is not None for one in trap.comparison_ if one.allowed)
    assert all(one.score is None and one.refused for one in trap.comparison_ if not one.allowed)
    assert [one.chosen for one in trap.comparison_].count(True) == 1
    allowed = [one.allowed for one in trap.comparison_]
    assert allowed == sorted(allowed, reverse=True)


def test_one_crowd_without_groups_is_no_clustering() -> None:
    rng = np.random.default_rng(2)
    cloud = pl.DataFrame(rng.normal(50, 1, (600, 3)), schema=["recency_days", "orders_365d", "spend_365d"])
    with pytest.raises(NoSaneClustering, match=r"There is no sane clustering.*Cluster on other facts") as caught:
        Clustering(Options(algorithms=("DBSCAN", "HDBSCAN"))).fit(cloud)
    assert caught.value.comparison
    assert all(one.refused for one in caught.value.comparison)


def test_unusual_customers_are_a_cluster_when_there_are_enough() -> None:
    rng = np.random.default_rng(4)
    groups = np.vstack([rng.normal(centre, 0.05, (250, 2)) for centre in ((0, 0), (3, 0), (0, 3))])
    scattered = rng.uniform(-6, 9, (70, 2))
    frame = pl.DataFrame(np.vstack([groups, scattered]), schema=["a", "b"])
    found = Clustering(Options(("a", "b"), ("DBSCAN",), ("standard",))).fit(frame)
    assert [cluster.name for cluster in found.clusters_.clusters][-1] == "Unusual customers"
    assert found.number_ == 4
    unusual = found.labels_[750:] == 3
    assert unusual.mean() > 0.8
    assert (found.labels_[:750] == 3).mean() < 0.02
    assert len(found.clusters_.centres) > 4


def candidate(number: int, across: float, index: float, smallest: float = 0.2, stability: float = 0.9) -> Candidate:
    one = Candidate(
        "k-means", "log", f"{number} clusters", number, across, index, across, index, stability, smallest, 0.4
    )
    refused = refusals(one, LIMITS)
    return replace(one, refused=refused, score=None if refused else score(one))


def test_all_figures_decide_together_and_equal_scores_go_to_fewer_clusters() -> None:
    hermit = candidate(2, 0.95, 0.1, smallest=0.001)
    shaky = candidate(2, 0.9, 0.2, stability=0.3)
    three, four, five = candidate(3, 0.5, 0.95), candidate(4, 0.5, 0.94), candidate(5, 0.3, 1.1)
    assert choose([hermit, shaky, five, four, three]) == 4
    assert choose([hermit, five, candidate(6, 0.6, 0.5)]) == 2
    assert choose([hermit, shaky]) is None


def test_a_smaller_group_than_a_tenth_costs_score_and_evenness_beyond_it_gains_none() -> None:
    assert score(candidate(3, 0.5, 1, smallest=0.05)) < score(candidate(3, 0.5, 1, smallest=0.1))
    assert score(candidate(3, 0.5, 1, smallest=0.3)) == score(candidate(3, 0.5, 1, smallest=0.1))


def test_a_refit_of_the_active_clusters_wins_unless_it_is_much_worse() -> None:
    warm, better, best = replace(candidate(3, 0.40, 1.0), warm=True), candidate(4, 0.45, 0.9), candidate(4, 0.9, 0.2)
    assert choose([better, warm]) == 1
    assert choose([best, warm]) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"number": 1}, "only one crowd"),
        ({"number": 20}, "nobody can tell apart"),
        ({"smallest_share": 0.0005}, "the smallest cluster has 0.05 %"),
        ({"biggest_share": 0.9}, "one crowd holds 90 %"),
        ({"noise_share": 0.5}, "50 % of the customers fit into no cluster"),
        ({"agreement": 0.5}, "tells only 50 %"),
        ({"silhouette_across": -0.1}, "overlap"),
        ({"stability": 0.2}, "stability 0.20"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_each_gate_refuses_in_words(change: dict[str, float], words: str) -> None:
    (reason,) = refusals(replace(candidate(3, 0.5, 1.0), **change), LIMITS)
    assert words in reason


def test_the_silhouette_is_that_of_scikit_learn() -> None:
    rows = np.random.default_rng(1).normal(0, 1, (200, 3))
    labels = np.random.default_rng(2).integers(0, 4, 200)
    labels[0] = 9  # alone in its cluster
    ours = Yardstick({"raw": rows}).measure(labels, "raw")
    assert ours["silhouette"] == pytest.approx(silhouette_score(rows, labels), abs=1e-5)


def test_the_knee_of_a_curve_is_where_it_turns_up() -> None:
    curve = np.r_[np.linspace(0.1, 0.2, 90), np.linspace(0.25, 3, 10)]
    assert 0.19 <= knee(curve) <= 0.3
    assert knee(np.zeros(5)) > 0


def test_clusters_of_one_description_are_numbered() -> None:
    near = {"spend_365d": 0.1}
    assert name_clusters([near, {"spend_365d": 2.0}, near]) == [
        "Average customers",
        "Big spenders",
        "Average customers, 2",
    ]


def test_only_who_really_does_is_called_so() -> None:
    gone = {"recency_days": 0.57, "orders_365d": -0.63, "spend_365d": -0.7}
    some = {"recency_days": -0.44, "orders_365d": 0.75, "spend_365d": 1.08}
    many = {"recency_days": -2.18, "orders_365d": 1.95, "spend_365d": 1.68}
    assert name_clusters([gone, some, many]) == [
        "Lapsed occasional small spenders",
        "Customers in between",
        "Recent frequent big spenders",
    ]


def test_baskets_stand_behind_the_customers_who_have_them() -> None:
    effects = [
        {"spend_365d": 1.2, "average_order_value": 1.5, "coupon_order_share": 1.1, "share_meat": 0.0},
        {"spend_365d": 0.0, "average_order_value": -1.0, "coupon_order_share": 0.0, "share_meat": 0.9},
    ]
    assert name_clusters(effects, {"share_meat": "Share of Meat"}) == [
        "Coupon-using big spenders with big baskets",
        "Customers with small baskets and high share of Meat",
    ]


def test_facts_without_words_are_named_by_their_label() -> None:
    effects = [{"share_dairy": 1.2, "recency_days": -0.9}, {"share_dairy": -0.9, "recency_days": 0.0}]
    assert name_clusters(effects, {"share_dairy": "Share of Dairy"}) == [
        "Recent customers with high share of Dairy",
        "Customers with low share of Dairy",
    ]


def test_it_tells_how_far_it_is() -> None:
    told: list[tuple[int, int, str]] = []
    Clustering(FAST).fit(people(40), progress=lambda done, of, what: told.append((done, of, what)))
    assert told[-1][0] == told[-1][1]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert any("k-means on the log scale" in what for _, _, what in told)


def test_it_says_when_there_are_too_few_customers_or_facts_or_no_such_algorithm(fit: Clustering) -> None:
    with pytest.raises(ValueError, match="more than 8 different customers"):
        Clustering(FAST).fit(people(2)[:6])
    with pytest.raises(ValueError, match="lacks the facts spend_365d"):
        fit.clusters_.assign_frame(people().drop("spend_365d"))
    with pytest.raises(ValueError, match="Did you mean orders_365d"):
        Clustering(Options(facts=("orders_356d", "spend_365d"))).fit(people(20))
    with pytest.raises(ValueError, match="no algorithm magic; take some of k-means"):
        Clustering(Options(algorithms=("magic",))).fit(people(20))
    with pytest.raises(ValueError, match="no scaling 'cube'"):
        Clustering(Options(scalings=("cube",))).fit(people(20))
    assert isinstance(fit.clusters_, Clusters)
