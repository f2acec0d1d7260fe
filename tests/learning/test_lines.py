"""The line that orders a slate: what it learns, what it leaves alone, and how it is kept."""

import json

import numpy as np
import pytest

from decisioning.learning.gains import ndcg
from decisioning.learning.lines import Bend, Line
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Order, Scorer

SLATES, SIZE = 400, 8
SCHEMA = FeatureSchema(
    [
        Column("income", "fact", "income"),
        Column("price", "content", "price"),
        Column("colour", "content", "colour", "category", ("blue", "red")),
        Column("rate", "rate", "", outcome="click", windows=(0,), strengths=(20.0,)),
        Column("position", "position", "position"),
    ]
)
GROUPS = np.repeat(np.arange(SLATES), SIZE)


def slates(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cheap contents of a good rate are taken; income is one's own, the colour says nothing, some values lack."""
    dice = np.random.default_rng(seed)
    income = np.repeat(dice.normal(size=SLATES), SIZE)
    price, rate = np.exp(dice.normal(size=(2, SLATES * SIZE)))
    colour, place = dice.integers(0, 2, SLATES * SIZE), np.tile(np.arange(1, SIZE + 1), SLATES)
    liking = np.log(rate) - np.log(price) - 0.2 * place + 2 * income
    y = dice.random(SLATES * SIZE) < 1 / (1 + np.exp(-liking))
    X = np.column_stack([income, price, colour, rate, place]).astype(np.float32)
    X[::17, 3] = np.nan
    return X, y.astype(np.int8)


def test_it_learns_which_way_each_column_of_a_content_goes() -> None:
    X, y = slates()
    line = Line.fitted(SCHEMA, X, y, GROUPS)
    slopes = dict(zip(line.bends, line.coefficients, strict=True))
    assert list(slopes) == [1, 3, 4]  # neither what is one's own nor a level
    assert slopes[1] < -0.3
    assert slopes[3] > 0.3
    assert slopes[4] < 0


def test_it_is_where_the_likelihood_has_no_slope_left() -> None:
    X, y = slates()
    line = Line.fitted(SCHEMA, X, y, GROUPS)
    Z = np.column_stack([bend.of(X[:, place]) for place, bend in line.bends.items()])
    raised = np.exp(Z @ line.coefficients).reshape(SLATES, SIZE)
    chance = raised / raised.sum(axis=1, keepdims=True)
    taken = y.reshape(SLATES, SIZE)
    surplus = (taken - taken.sum(axis=1, keepdims=True) * chance).ravel()
    np.testing.assert_allclose(Z.T @ surplus, 10.0 * np.array(line.coefficients), atol=1e-4)


def test_a_slate_of_which_all_or_nothing_was_taken_teaches_nothing() -> None:
    X, y = slates()
    more = np.r_[X, X[:SIZE], X[:SIZE]]
    outcomes = np.r_[y, np.zeros(SIZE, np.int8), np.zeros(SIZE, np.int8)]
    groups = np.r_[GROUPS, np.full(SIZE, SLATES), np.full(SIZE, SLATES + 1)]
    bends = Line.fitted(SCHEMA, X, y, GROUPS).bends
    again = Line.fitted(SCHEMA, more, outcomes, groups)
    assert list(again.bends) == list(bends)
    nothing = Line.fitted(SCHEMA, X, np.zeros_like(y), GROUPS)
    np.testing.assert_array_equal(nothing.of(X), 0.0)


def test_a_column_may_be_held_to_one_way() -> None:
    X, y = slates()
    assert 1 not in Line.fitted(SCHEMA, X, y, GROUPS, ways={1: 1}).bends
    assert 1 in Line.fitted(SCHEMA, X, y, GROUPS, ways={1: -1}).bends


def test_how_a_column_is_measured_changes_next_to_nothing() -> None:
    X, y = slates()
    other = X.copy()
    other[:, 1] = np.log(X[:, 1]) * 100
    ours, theirs = (Line.fitted(SCHEMA, rows, y, GROUPS).coefficients for rows in (X, other))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_bend_needs_two_values() -> None:
    assert Bend.fitted(np.full(9, 3.0)) is None
    assert Bend.fitted(np.full(9, np.nan)) is None
    bend = Bend.fitted(np.array([1.0, 2.0, np.nan]))
    assert bend is not None
    assert bend.of(np.array([np.nan])) == 0.0


def test_kept_as_json_it_says_the_same_and_a_damaged_one_is_refused() -> None:
    X, y = slates()
    line = Line.fitted(SCHEMA, X, y, GROUPS)
    stored = json.loads(json.dumps(line.to_dict()))
    np.testing.assert_array_equal(Line.from_dict(stored).of(X), line.of(X))
    with pytest.raises(ValueError, match="no line"):
        Line.from_dict({**stored, "coefficients": stored["coefficients"][1:]})


def test_an_order_stands_on_the_line_and_gains_by_it() -> None:
    X, y = slates()
    later, taken = slates(1)
    order = Order(SCHEMA, trees=10).fit(X, y, groups=GROUPS)
    assert order.line_ is not None
    grown = order.booster_.predict(later, num_threads=1)
    np.testing.assert_allclose(order.raw(later), grown + order.line_.of(later))
    with_it, without = (
        ndcg(taken, scores, GROUPS, GROUPS).figures.mean() for scores in (order.score(later, SCHEMA.hash), grown)
    )
    assert with_it > without


def test_an_order_kept_before_there_were_lines_is_read() -> None:
    X, y = slates()
    order = Order(SCHEMA, trees=10).fit(X, y, groups=GROUPS)
    learned = {name: value for name, value in order.learned().items() if name != "line"}
    old = Order.restored(SCHEMA, learned)
    np.testing.assert_array_equal(old.raw(X), order.booster_.predict(X, num_threads=1))
    order.line_ = None
    assert Scorer.from_artefact(order.to_artefact()).to_artefact() == order.to_artefact()


def test_where_contents_stood_does_not_change_how_they_compare() -> None:
    X, y = slates()
    order = Order(SCHEMA).fit(X, y, groups=GROUPS)
    first, last = X.copy(), X.copy()
    first[:, 4], last[:, 4] = 1, SIZE
    moved = order.raw(last) - order.raw(first)
    np.testing.assert_allclose(moved, moved[0], atol=1e-9)
