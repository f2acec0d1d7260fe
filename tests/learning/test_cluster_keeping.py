"""Between fits: labels are kept across refits, centres follow new customers a little, drift is told."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from decisioning.learning.clustering import Clustering, Options
from decisioning.learning.clusters import Clusters, distances, nearest
from decisioning.learning.drifting import binned, drift, inner_edges, psi
from decisioning.learning.matching import CONTINUES, carry
from decisioning.learning.online import REACH, anchors_of, strayed, updated

from .crowds import GROUPS, QUICK, people

FAST = Options(algorithms=QUICK, scalings=("log",), numbers=(3, 4, 5))


@pytest.fixture(scope="module")
def fit() -> Clustering:
    return Clustering(FAST).fit(people())


def moved_people(seed: int = 8) -> pl.DataFrame:
    """The same groups half a year on: a few spend more, many are gone."""
    groups = {**GROUPS, "loyal": (3, 90, 4800)}
    return pl.concat([people(120, seed, groups), people(150, seed + 1, {"gone": (230, 2, 50)})])


def refit(former: Clusters | None, frame: pl.DataFrame, options: Options = FAST) -> tuple[Clustering, Clusters, float]:
    again = Clustering(options).fit(frame, former)
    before = former.assign_frame(frame) if former else None
    found, kept = carry(again.clusters_, again.labels_, former, before)
    return again, found, kept.labels or 0.0


def test_a_refit_starts_from_the_active_clusters_and_keeps_keys_and_names(fit: Clustering) -> None:
    again, found, labels = refit(fit.clusters_, moved_people())
    assert again.chosen_.warm
    assert set(found.keys) == set(fit.clusters_.keys)
    assert labels > 0.94
    names = {cluster.key: cluster.name for cluster in fit.clusters_.clusters}
    assert {cluster.key: cluster.name for cluster in found.clusters} == names


def test_the_same_customers_give_the_same_labels_again(fit: Clustering) -> None:
    _, found, labels = refit(fit.clusters_, people())
    assert labels == 1
    np.testing.assert_array_equal(found.assign_frame(people()), fit.clusters_.assign_frame(people()))


def test_another_scale_is_matched_by_who_is_in_which(fit: Clustering) -> None:
    again, found, labels = refit(fit.clusters_, people(), replace(FAST, scalings=("quantile",)))
    assert not again.chosen_.warm
    assert labels > 0.9
    assert set(found.keys) & set(fit.clusters_.keys)


def test_what_continues_nothing_gets_a_new_key_and_a_name_of_its_own(fit: Clustering) -> None:
    new = {**GROUPS, "whales": (2, 300, 90_000)}
    frame = people(120, 4, new)
    again = Clustering(replace(FAST, numbers=(5,))).fit(frame)
    found, kept = carry(again.clusters_, again.labels_, fit.clusters_, fit.clusters_.assign_frame(frame))
    assert len(kept.new) == 1
    assert kept.gone == ()
    assert all(overlap >= CONTINUES for overlap in kept.carried.values())
    assert len(set(found.keys)) == len({cluster.name for cluster in found.clusters}) == 5
    assert set(kept.carried) == set(fit.clusters_.keys)


def test_a_cluster_that_is_no_more_is_named_gone(fit: Clustering) -> None:
    frame = people(150, 5).filter(pl.col("group") != "gone")
    again = Clustering(replace(FAST, numbers=(3,))).fit(frame)
    found, kept = carry(again.clusters_, again.labels_, fit.clusters_, fit.clusters_.assign_frame(frame))
    assert len(kept.gone) == 1
    assert len(found.keys) == 3


def test_who_asks_for_another_number_gets_it(fit: Clustering) -> None:
    again, found, _ = refit(fit.clusters_, people(), replace(FAST, numbers=(3,)))
    assert not again.chosen_.warm
    assert len(found.clusters) == 3


def test_a_cluster_of_other_facts_continues_none_by_chance(fit: Clustering) -> None:
    dice = np.random.default_rng(2)
    frame = people().with_columns(
        pl.Series("share_meat", dice.permutation(np.r_[dice.normal(0.1, 0.02, 400), dice.normal(0.5, 0.02, 200)]))
    )
    halves = Clustering(replace(FAST, facts=("orders_365d",), numbers=(2,))).fit(frame).clusters_
    again, found, labels = refit(
        halves, frame, replace(FAST, facts=("share_meat",), scalings=("standard",), numbers=(2,))
    )
    assert not again.chosen_.warm
    assert labels == 0
    assert not set(found.keys) & set(halves.keys)


def test_names_that_people_wrote_are_carried(fit: Clustering) -> None:
    mine = replace(
        fit.clusters_, clusters=tuple(replace(one, name=f"Ours {n}") for n, one in enumerate(fit.clusters_.clusters))
    )
    _, found, _ = refit(mine, people())
    assert {cluster.name for cluster in found.clusters} == {"Ours 0", "Ours 1", "Ours 2", "Ours 3"}


def test_a_step_moves_towards_new_customers(fit: Clustering) -> None:
    known = fit.clusters_
    richer = people(40, 6, {"loyal": (1, 100, 5200)})
    found = updated(known, richer)
    scaled = known.scaler.scaled_frame(richer)
    at = nearest(scaled, np.array(known.centres))
    before = distances(scaled, np.array(known.centres), at).mean()
    assert distances(scaled, np.array(found.centres), at).mean() < before
    untouched = [n for n in range(4) if n not in set(at.tolist())]
    assert untouched
    assert all(found.centres[n] == known.centres[n] for n in untouched)
    assert found.keys == known.keys
    assert known.to_artefact() != found.to_artefact()


def test_a_batch_is_the_same_as_one_by_one_while_nobody_changes_cluster(fit: Clustering) -> None:
    frame = people(5, 7)
    together, alone = updated(fit.clusters_, frame), fit.clusters_
    for row in range(frame.height):
        alone = updated(alone, frame[row : row + 1])
    np.testing.assert_allclose(alone.centres, together.centres, atol=1e-6)
    assert alone.counts == together.counts


def test_steps_without_end_stay_near_the_fit(fit: Clustering) -> None:
    found, far = fit.clusters_, people(300, 9, {"loyal": (0.1, 5000, 9e6)})
    for _ in range(60):
        found = updated(found, far)
    offsets = np.linalg.norm(np.array(found.centres) - anchors_of(found), axis=1)
    moved, held = strayed(found)
    assert 0 < offsets.max() <= REACH + 1e-6
    assert moved == pytest.approx(offsets.max(), abs=1e-6)
    assert held == 1
    assert found.assign_frame(people()).tolist() == fit.clusters_.assign_frame(people()).tolist()


def test_nobody_moves_nothing(fit: Clustering) -> None:
    assert updated(fit.clusters_, people()[:0]) is fit.clusters_


def test_the_same_customers_have_not_drifted(fit: Clustering) -> None:
    report = drift(fit.clusters_, people(400, seed=12))
    assert report.verdict == "steady", report.reasons
    assert report.reasons == ()
    assert max(report.facts.values()) < 0.1


def test_a_little_change_is_drifting_and_a_large_one_asks_for_a_refit(fit: Clustering) -> None:
    some = people(150).with_columns(pl.col("spend_365d") * 1.12)
    much = people(150).with_columns(pl.col("spend_365d") * 3, pl.col("recency_days") * 4)
    little = drift(fit.clusters_, some)
    large = drift(fit.clusters_, much, {"spend_365d": "Spend in a year"})
    assert little.verdict == "drifting", little
    assert large.verdict == "refit"
    assert any("“Spend in a year” has moved (PSI" in reason for reason in large.reasons)
    assert large.distance[1] > large.distance[0]


def test_other_shares_are_drift_even_if_nobody_changed(fit: Clustering) -> None:
    report = drift(fit.clusters_, pl.concat([people(), people(400, 3, {"gone": GROUPS["gone"]})]))
    assert report.verdict == "refit"
    assert "the sizes of the clusters have moved" in " ".join(report.reasons)
    assert report.shares_psi > 0.25


def test_too_few_customers_or_an_old_artefact_give_no_verdict(fit: Clustering) -> None:
    assert drift(fit.clusters_, people(10)).verdict == "unknown"
    old = drift(replace(fit.clusters_, baseline=None), people())
    assert (old.verdict, old.facts) == ("unknown", {})
    assert "before drift was watched" in old.reasons[0]


def test_missing_values_are_a_bin_of_their_own() -> None:
    column = np.r_[np.arange(90.0), [np.nan] * 10]
    edges = inner_edges(column)
    shares = binned(column, edges)
    assert shares[-1] == 0.1
    assert sum(shares) == pytest.approx(1)
    gone = binned(np.full(50, np.nan), edges)
    assert gone[-1] == 1
    assert psi(np.array(shares), np.array(gone)) > 1
    assert psi(np.array(shares), np.array(shares)) == 0
