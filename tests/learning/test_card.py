"""What a scorer's card says of it: importance, dependence, calibration."""

from dataclasses import replace

import numpy as np
import pytest

from decisioning.learning.card import calibration, card, spread
from decisioning.learning.dataset import Labelled, label, schema_for
from decisioning.learning.dependence import VALUES, dependence
from decisioning.learning.importance import importances
from decisioning.learning.scorer import Prior, Scorer, Trees

from .shop import CROSSES, KINDS, OFFERS, showings


@pytest.fixture(scope="module")
def made() -> tuple[Scorer, Labelled]:
    """A scorer of the shop, and rows it has not seen."""
    frame, later = showings(), showings(seed=8)
    schema = schema_for(frame, OFFERS, KINDS, CROSSES)
    seen = label(schema, frame, OFFERS)
    return Trees(schema).fit(seen.X, seen.y, seen.contents, seen.at), label(schema, later, OFFERS)


def test_what_decides_in_the_shop_matters_most_and_what_does_not_is_last(made):
    scorer, rows = made
    found = {one.name: one for one in importances(scorer, rows, 0)}
    assert next(iter(found)) in {"orders_30d", "spend_90d"}
    assert found["share_in_departments"].matters
    assert not found["age"].loss.value > found["share_in_departments"].loss.value
    assert [one.loss.value for one in found.values()] == sorted(
        (one.loss.value for one in found.values()), reverse=True
    )


def test_importance_leaves_the_rows_as_they_were_and_is_the_same_again(made):
    scorer, rows = made
    before = rows.X.copy()
    first = importances(scorer, rows, 3)
    np.testing.assert_array_equal(rows.X, before)
    assert importances(scorer, rows, 3) == first


def test_a_constant_leans_on_nothing(made):
    scorer, rows = made
    prior = Prior(scorer.schema).fit(rows.X, rows.y, rows.contents)
    assert {one.loss.value for one in importances(prior, rows, 0)} == {0.0}
    found = card(prior, rows)
    assert (found["dependence"], found["unused"]) == ([], len(scorer.schema.names))


def test_without_rows_nothing_is_made_up(made):
    scorer, rows = made
    empty = replace(rows, X=rows.X[:0], y=rows.y[:0])
    with pytest.raises(ValueError, match="there are none"):
        importances(scorer, empty, 0)


def test_more_orders_mean_a_higher_chance_along_the_curve(made):
    scorer, rows = made
    points = dependence(scorer, rows.X, "orders_30d", 0)
    known = [point for point in points if point.value is not None]
    assert len(known) <= VALUES
    assert known[0].mean < known[-1].mean
    assert [point.value for point in known] == sorted(point.value for point in known)
    assert all(point.low <= point.mean <= point.high for point in points)


def test_levels_come_by_name_and_missing_comes_last(made):
    scorer, rows = made
    points = dependence(scorer, rows.X, "age", 0)
    assert [point.value for point in points] == ["19-24", "25-34", "65+", None]


def test_the_mean_of_the_curve_is_the_mean_of_scores_with_that_value(made):
    scorer, rows = made
    place = scorer.schema.names.index("orders_30d")
    points = dependence(scorer, rows.X, "orders_30d", 0, most=len(rows))
    X = rows.X.copy()
    X[:, place] = points[0].value
    assert points[0].mean == pytest.approx(scorer.score(X, scorer.schema.hash).mean())


def test_a_feature_that_is_none_is_refused_with_those_there_are(made):
    with pytest.raises(ValueError, match="it has orders_30d"):
        dependence(made[0], made[1].X, "nothing", 0)


def test_bins_hold_every_row_and_their_intervals_hold_their_rates(made):
    scorer, rows = made
    found = card(scorer, rows)
    assert sum(one["rows"] for one in found["calibration"]) == found["rows"] == len(rows)
    assert all(one["low"] <= one["rate"] <= one["high"] for one in found["calibration"])
    assert sum(found["scores"]["counts"]) == len(rows)
    assert found["dependence"][0]["name"] == found["importance"][0]["name"]


def test_perfect_chances_lie_on_the_diagonal():
    y = np.repeat([0.0, 1.0], 50)
    found = calibration(y, y)
    assert [(one["score"], one["rate"]) for one in found] == [(0.0, 0.0)] * 5 + [(1.0, 1.0)] * 5
    assert spread(y)["edges"][0] == 0.0
