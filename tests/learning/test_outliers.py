"""Fences stand where the definitions put them, survive odd data, and hold values within."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.learning.correlating import pairwise
from decisioning.learning.outliers import FEWEST, METHODS, Fence, fences

EVEN = np.arange(0.0, 101.0)
FLOATS = st.floats(-1e9, 1e9, allow_subnormal=False)


def test_quartile_fences_are_tukeys() -> None:
    assert fences(EVEN, "iqr", 1.5) == Fence(25 - 1.5 * 50, 75 + 1.5 * 50)


def test_z_fences_are_deviations_around_the_mean() -> None:
    found = fences(EVEN, "z", 2)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((50 - 2 * EVEN.std(), 50 + 2 * EVEN.std()))


def test_one_huge_value_moves_the_z_fence_and_not_the_quartiles() -> None:
    spoiled = np.append(EVEN, 1e9)
    by_quartiles, by_deviation = fences(spoiled, "iqr", 3), fences(spoiled, "z", 3)
    assert by_quartiles is not None and by_deviation is not None
    assert by_quartiles.high < 250 < 1e6 < by_deviation.high


def test_counts_that_are_mostly_nothing_are_fenced_by_the_others() -> None:
    counts = np.array([0.0] * 900 + [1.0, 2.0, 3.0, 4.0] * 24 + [500.0] * 4)
    found = fences(counts, "iqr", 3)
    assert found is not None
    assert found.low <= 0
    assert found.outside(counts).sum() == 4


@pytest.mark.parametrize("method", METHODS)
def test_without_spread_or_with_few_values_there_is_no_fence(method: str) -> None:
    assert fences(np.full(100, 7.0), method) is None
    assert fences(np.arange(FEWEST - 1.0), method) is None
    assert fences(np.full(100, np.nan), method) is None


@pytest.mark.parametrize(("method", "width"), [("mad", 3.0), ("iqr", 0.0), ("z", -1.0), ("iqr", float("nan"))])
def test_unknown_methods_and_empty_widths_are_refused_with_the_cure(method: str, width: float) -> None:
    with pytest.raises(ValueError, match=r"take one of|must be more than 0"):
        fences(EVEN, method, width)


@given(st.lists(FLOATS | st.just(float("nan")), min_size=FEWEST, max_size=80), st.sampled_from(METHODS))
def test_clipped_values_lie_within_and_gaps_stay_gaps(values: list[float], method: str) -> None:
    held = np.array(values)
    before = held.copy()
    found = fences(held, method, 1.5)
    if found is None:
        return
    clipped = found.clip(held)
    np.testing.assert_array_equal(held, before)
    np.testing.assert_array_equal(np.isnan(clipped), np.isnan(held))
    assert not found.outside(clipped).any()
    inside = ~found.outside(held)
    np.testing.assert_array_equal(clipped[inside], held[inside])
    assert [found.clip_one(value) for value in held[~np.isnan(held)]] == clipped[~np.isnan(held)].tolist()


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.sampled_from(METHODS))
def test_a_wider_fence_leaves_fewer_outside(one: float, other: float, method: str) -> None:
    values = np.random.default_rng(2).lognormal(0, 1.5, 300)
    narrow, wide = fences(values, method, min(one, other)), fences(values, method, max(one, other))
    assert narrow is not None and wide is not None
    assert wide.outside(values).sum() <= narrow.outside(values).sum()


def test_pairwise_correlation_is_numpys_over_the_rows_both_have() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(1e6, 2, (200, 4)) @ rng.normal(0, 1, (4, 5))
    matrix[rng.random(matrix.shape) < 0.3] = np.nan
    found = pairwise(matrix)
    for one in range(5):
        for other in range(5):
            both = np.isfinite(matrix[:, one]) & np.isfinite(matrix[:, other])
            expected = np.corrcoef(matrix[both, one], matrix[both, other])[0, 1]
            assert found[one, other] == pytest.approx(expected, abs=1e-9)


def test_columns_that_do_not_vary_or_share_no_rows_correlate_with_nothing() -> None:
    values = np.arange(100.0)
    apart = np.where(values < 50, values, np.nan), np.where(values >= 50, values, np.nan)
    found = pairwise(np.column_stack([values, np.full(100, 3.0), *apart]))
    assert np.isnan(found[0, 1])
    assert np.isnan(found[2, 3])
    assert found[0, 2] == pytest.approx(1)
