"""A linear bandit is the ridge regression it claims to be, and comes back from bytes to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.learning.bandit import LinearBandit

ROWS = [{"age": 20 + n, "spend": 10.0**n, "vip": n % 2 == 0} for n in range(12)]
REWARDS = [float(n % 3 == 0) for n in range(12)]
FACTS = ("age", "spend", "vip")


def test_it_is_the_ridge_regression_of_its_showings():
    bandit = LinearBandit(FACTS, ridge=2.0).fit(ROWS, ["x"] * 12, REWARDS)
    X = np.array([bandit.features(row) for row in ROWS])
    inverse = np.linalg.inv(2.0 * np.eye(4) + X.T @ X)
    x = bandit.features({"age": 33, "spend": 50.0})
    mean, width = bandit.expect(x, "x")
    assert mean == pytest.approx(float(x @ inverse @ X.T @ np.array(REWARDS)))
    assert width == pytest.approx(float(np.sqrt(x @ inverse @ x)))


def test_features_are_tame_whatever_a_fact_holds():
    bandit = LinearBandit(("a", "b"))
    found = bandit.features({"a": -99.0, "b": "text"})
    assert found == pytest.approx([1.0, -np.log(100.0), 0.0])
    assert np.isfinite(bandit.features({"a": 10**400, "b": float("nan")})).all()
    assert bandit.features({"a": True}).tolist() == pytest.approx([1.0, np.log(2.0), 0.0])


def test_an_unknown_content_is_worth_0_and_as_wide_as_the_ridge_lets_it():
    bandit = LinearBandit((), ridge=4.0)
    assert bandit.expect(bandit.features({}), "new") == (0.0, 0.5)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.booleans()), max_size=30))
def test_bytes_give_it_back_to_the_bit_and_more_showings_never_widen(showings: list[tuple[str, int, bool]]):
    bandit = LinearBandit(("n",))
    x = bandit.features({"n": 3})
    last = {key: bandit.expect(x, key)[1] for key in "ab"}
    for key, n, won in showings:
        bandit.update(key, bandit.features({"n": n}), float(won))
        width = bandit.expect(x, key)[1]
        assert width <= last[key] + 1e-9
        last[key] = width
    again = LinearBandit.from_bytes(bandit.to_bytes())
    assert again.to_bytes() == bandit.to_bytes()
    assert [again.expect(x, key) for key in "ab"] == [bandit.expect(x, key) for key in "ab"]


def test_the_same_showings_give_the_same_bytes():
    one, two = (LinearBandit(FACTS).fit(ROWS, list("xy") * 6, REWARDS) for _ in range(2))
    assert one.to_bytes() == two.to_bytes()


@pytest.mark.parametrize("damage", [b"", b"\x00", b"damaged", slice(0, -9)])
def test_damaged_bytes_are_refused(damage):
    data = LinearBandit(FACTS).fit(ROWS, ["x"] * 12, REWARDS).to_bytes()
    with pytest.raises(ValueError, match="train again"):
        LinearBandit.from_bytes(data[damage] if isinstance(damage, slice) else damage)


def test_what_is_no_showing_is_refused():
    bandit = LinearBandit(FACTS)
    with pytest.raises(ValueError, match="4 finite features"):
        bandit.update("x", np.ones(3), 1.0)
    with pytest.raises(ValueError, match="finite reward"):
        bandit.update("x", np.ones(4), float("nan"))
    with pytest.raises(ValueError, match="above 0"):
        LinearBandit(FACTS, ridge=0.0)
