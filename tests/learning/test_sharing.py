"""Shared learning is the hybrid LinUCB of the paper and the joint ridge regression behind it, written here apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.learning.bandit import LinearBandit
from decisioning.learning.sharing import TAGS, shared
from tests.examples import examples

CONTENTS = {"a": ("red",), "b": ("red", "big"), "c": ("big",), "d": ()}
UNSEEN = {"new": ("red", "big"), "odd": ()}
ORDER = ["big", "red"]


def features_of(key: str, x: np.ndarray) -> np.ndarray:
    tags = {**CONTENTS, **UNSEEN}[key]
    own = np.array([float(tag in tags) for tag in ORDER]) / np.sqrt(max(1, len(tags)))
    return np.kron(own, x)


def showings(seed: int, many: int = 40) -> tuple[LinearBandit, list[tuple[str, np.ndarray, float]]]:
    dice, bandit, rows = np.random.default_rng(seed), LinearBandit(("n", "m")), []
    for _ in range(many):
        key, x = str(dice.choice(list(CONTENTS))), bandit.features({"n": dice.integers(9), "m": dice.normal()})
        reward = float(dice.random() < (0.7 if "red" in CONTENTS[key] else 0.2))
        bandit.update(key, x, reward)
        rows.append((key, x, reward))
    return bandit, rows


class Paper:
    """Algorithm 2 of Li et al. 2010, line by line."""

    def __init__(self, d: int, k: int) -> None:
        self.A0, self.b0, self.d, self.k = np.eye(k), np.zeros(k), d, k
        self.A: dict[str, np.ndarray] = {}
        self.B: dict[str, np.ndarray] = {}
        self.b: dict[str, np.ndarray] = {}

    def see(self, a: str) -> None:
        if a not in self.A:
            self.A[a], self.B[a], self.b[a] = np.eye(self.d), np.zeros((self.d, self.k)), np.zeros(self.d)

    def expect(self, a: str, x: np.ndarray, z: np.ndarray) -> tuple[float, float]:
        self.see(a)
        I0, I, B = np.linalg.inv(self.A0), np.linalg.inv(self.A[a]), self.B[a]  # noqa: E741
        beta = I0 @ self.b0
        theta = I @ (self.b[a] - B @ beta)
        s = z @ I0 @ z - 2 * z @ I0 @ B.T @ I @ x + x @ I @ x + x @ I @ B @ I0 @ B.T @ I @ x
        return float(z @ beta + x @ theta), float(np.sqrt(s))

    def update(self, a: str, x: np.ndarray, z: np.ndarray, r: float) -> None:
        self.see(a)
        I = np.linalg.inv(self.A[a])  # noqa: E741
        self.A0 += self.B[a].T @ I @ self.B[a]
        self.b0 += self.B[a].T @ I @ self.b[a]
        self.A[a] += np.outer(x, x)
        self.B[a] += np.outer(x, z)
        self.b[a] += r * x
        I = np.linalg.inv(self.A[a])  # noqa: E741
        self.A0 += np.outer(z, z) - self.B[a].T @ I @ self.B[a]
        self.b0 += r * z - self.B[a].T @ I @ self.b[a]


@given(st.integers(0, 10_000))
@examples(100)
def test_means_and_widths_are_those_of_the_papers_algorithm(seed: int) -> None:
    bandit, rows = showings(seed)
    paper = Paper(bandit.size, bandit.size * len(ORDER))
    for key, x, reward in rows:
        paper.update(key, x, features_of(key, x), reward)
    hybrid, x = shared(bandit, {**CONTENTS, **UNSEEN}), bandit.features({"n": 4, "m": 0.5})
    for key in {**CONTENTS, **UNSEEN}:
        assert hybrid.expect(x, key) == pytest.approx(paper.expect(key, x, features_of(key, x)), abs=1e-8)


def test_it_is_one_ridge_regression_over_shared_and_own_weights() -> None:
    ridge, (first, rows) = 3.0, showings(5)
    bandit = LinearBandit(first.facts, ridge)
    d, names = bandit.size, list(CONTENTS)
    design = np.zeros((len(rows), d * (len(ORDER) + len(names))))
    for place, (key, x, reward) in enumerate(rows):
        bandit.update(key, x, reward)
        own = d * (len(ORDER) + names.index(key))
        design[place, : d * len(ORDER)], design[place, own : own + d] = features_of(key, x), x
    inverse = np.linalg.inv(ridge * np.eye(design.shape[1]) + design.T @ design)
    weights, x = inverse @ design.T @ np.array([row[2] for row in rows]), bandit.features({"n": 2})
    for key in names:
        one, own = np.zeros(design.shape[1]), d * (len(ORDER) + names.index(key))
        one[: d * len(ORDER)], one[own : own + d] = features_of(key, x), x
        found = shared(bandit, CONTENTS).expect(x, key)
        assert found == pytest.approx((float(one @ weights), float(np.sqrt(one @ inverse @ one))))


def test_a_content_never_shown_is_expected_to_be_like_those_with_its_tags() -> None:
    bandit, _ = showings(1, 300)
    x = bandit.features({"n": 4})
    found = shared(bandit, {**CONTENTS, "red-new": ("red",), "big-new": ("big",), **UNSEEN})
    assert found.expect(x, "red-new")[0] > found.expect(x, "big-new")[0] + 0.1
    assert found.expect(x, "odd") == pytest.approx(bandit.expect(x, "odd"))
    assert found.expect(x, "d") == pytest.approx(bandit.expect(x, "d"))


def test_no_contents_no_tags_and_more_tags_than_count() -> None:
    bandit, _ = showings(2)
    assert shared(bandit, {}).counts_ == {}
    many = {"a": tuple(f"t{n:02}" for n in range(TAGS + 5)), "b": (f"t{TAGS + 1:02}",)}
    x = bandit.features({})
    assert shared(bandit, many).expect(x, "b") != bandit.expect(x, "b"), "the tag of two is among the commonest"
    late = {"a": tuple(f"t{n:02}" for n in range(TAGS)), "b": ("zz",)}
    assert shared(bandit, late).expect(x, "b") == pytest.approx(bandit.expect(x, "b"))


def test_the_same_showings_give_the_same_bytes_and_they_come_back() -> None:
    one, two = (shared(showings(3)[0], dict(sorted(CONTENTS.items(), reverse=back))) for back in (False, True))
    assert one.to_bytes() == two.to_bytes() == LinearBandit.from_bytes(one.to_bytes()).to_bytes()
