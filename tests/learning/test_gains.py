"""Orders are measured as the references do, equals share their places, and intervals resample whole customers."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from decisioning.learning.gains import Slates, gain, mean, mrr, ndcg, reciprocal

RNG = np.random.default_rng(3)
ROWS, SIZE = 60, 8
GROUPS = np.repeat(np.arange(ROWS), SIZE)
Y = (RNG.random(ROWS * SIZE) < 0.2).astype(np.int8)
SCORES = np.round(0.4 * Y + RNG.random(ROWS * SIZE), 1)
CUSTOMERS = GROUPS % 20


def slate(values: np.ndarray, number: int) -> np.ndarray:
    return values[number * SIZE : (number + 1) * SIZE]


@pytest.mark.parametrize("k", [3, 10])
def test_ndcg_equals_the_reference_with_ties(k: int) -> None:
    told = [n for n in range(ROWS) if 0 < slate(Y, n).sum() < SIZE]
    expected = [ndcg_score([slate(Y, n)], [slate(SCORES, n)], k=k) for n in told]
    found = ndcg(Y, SCORES, GROUPS, CUSTOMERS, k)
    assert found.figures == pytest.approx(expected)
    assert (found.left_out, found.customers.tolist()) == (ROWS - len(told), [n % 20 for n in told])


def test_graded_relevance_gains_by_powers_of_two() -> None:
    grades = np.array([3, 0, 1, 2])
    expected = ndcg_score([2.0**grades - 1], [[1, 2, 3, 4]])
    assert ndcg(grades, [1, 2, 3, 4], [7] * 4, [1] * 4).figures == pytest.approx([expected])


def test_rows_may_come_in_any_order() -> None:
    mixed = np.random.default_rng(4).permutation(len(Y))
    for measure in (ndcg, mrr):
        one = measure(Y, SCORES, GROUPS, CUSTOMERS)
        other = measure(Y[mixed], SCORES[mixed], GROUPS[mixed], CUSTOMERS[mixed])
        assert one.figures == pytest.approx(other.figures)


def test_reciprocal_rank_is_the_mean_over_every_order_of_equals() -> None:
    assert mrr([0, 1, 0], [3, 2, 1], [1] * 3, [1] * 3).figures == pytest.approx([1 / 2])
    assert mrr([0, 1, 0], [3, 3, 1], [1] * 3, [1] * 3).figures == pytest.approx([(1 + 1 / 2) / 2])
    places = [1 / (before + 1 + min(pair)) for before in (0, 3) for pair in combinations(range(6), 2)]
    assert [reciprocal(0, 6, 2), reciprocal(3, 6, 2)] == pytest.approx([np.mean(places[:15]), np.mean(places[15:])])


def test_a_constant_gains_nothing_from_the_order_of_the_rows() -> None:
    first = np.tile([1] + [0] * (SIZE - 1), ROWS)
    found = mrr(first, np.ones(len(first)), GROUPS, CUSTOMERS)
    assert found.figures == pytest.approx([sum(1 / n for n in range(1, SIZE + 1)) / SIZE] * ROWS)


def test_slates_that_cannot_tell_are_left_out_and_scores_that_are_no_numbers_come_last() -> None:
    assert ndcg([1, 1, 0, 0], [1, 2, 3, 4], [1, 1, 2, 2], [1] * 4).left_out == 2
    assert ndcg([1, 0], [np.nan, -5.0], [1, 1], [1, 1]).figures == pytest.approx([1 / np.log2(3)])
    assert len(ndcg([], [], [], [])) == len(mrr([], [], [], [])) == 0


def test_the_gain_is_paired_and_needs_the_same_slates() -> None:
    ours, theirs = (ndcg(Y, scores, GROUPS, CUSTOMERS) for scores in (SCORES, np.ones(len(Y))))
    rng = np.random.default_rng
    told = gain(ours, theirs, rng(1))
    assert 0 < told.low < told.value < told.high
    assert told.value == pytest.approx(mean(ours, rng(1)).value - mean(theirs, rng(1)).value)
    assert told == gain(ours, theirs, rng(1))
    with pytest.raises(ValueError, match="different slates"):
        gain(ours, Slates(theirs.figures[1:], theirs.customers[1:], 0), rng(1))


def test_slates_of_few_customers_give_wider_intervals() -> None:
    found = ndcg(Y, SCORES, GROUPS, GROUPS)
    alike = Slates(np.repeat(found.figures, 5), np.repeat(found.customers, 5), 0)
    apart = Slates(alike.figures, np.arange(len(alike)), 0)
    few, many = (mean(slates, np.random.default_rng(1)) for slates in (alike, apart))
    assert few.high - few.low > 1.5 * (many.high - many.low)
