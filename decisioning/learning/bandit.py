"""Contexts, contents shown and their rewards come in; what each content is worth in a new context, and how sure, out.

One ridge regression a content over the same features of the customer: the disjoint model of LinUCB (Li, Chu, Langford
and Schapire 2010), whose posterior is also what linear Thompson sampling draws from (Agrawal and Goyal 2013). A reward
changes A⁻¹ by Sherman and Morrison's formula (1950), so that learning costs d² and never a matrix inversion.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from decisioning.learning.features import number

Vector = npt.NDArray[np.float64]
FORMAT: Final = 1
DOUBLE: Final = np.dtype("<f8")


class _Arm(msgspec.Struct, frozen=True):
    """A content's count of rewards, A⁻¹ and b, as little-endian doubles."""

    count: int
    inverse: bytes
    rewards: bytes


class _Stored(msgspec.Struct, frozen=True):
    """A bandit as bytes carry it."""

    format: int
    facts: tuple[str, ...]
    ridge: float
    arms: dict[str, _Arm]


class LinearBandit:
    """Ridge regressions of the reward on `facts`, one a content; `ridge` (> 0) holds an unknown content at 0.

    A fact is read as sign(v) · ln(1 + |v|), so that no unit of money outweighs all else; missing is 0, and a constant 1
    stands before all.
    """

    def __init__(self, facts: Sequence[str], ridge: float = 1.0) -> None:
        if ridge <= 0:
            raise ValueError(f"The ridge is {ridge}; it must be above 0, or a new content has no width.")
        self.facts = tuple(facts)
        self.ridge = ridge
        self.counts_: dict[str, int] = {}
        self.inverses_: dict[str, Vector] = {}
        self.rewards_: dict[str, Vector] = {}

    @property
    def size(self) -> int:
        """Features, the constant among them."""
        return len(self.facts) + 1

    def features(self, facts: Mapping[str, Any]) -> Vector:
        """(size,) one customer's facts of the moment as this bandit reads them."""
        values = [number(facts.get(name)) for name in self.facts]
        return np.array([1.0, *(0.0 if math.isnan(v) else math.copysign(math.log1p(abs(v)), v) for v in values)])

    def update(self, content: str, x: Vector, reward: float) -> Self:
        """Learn from one showing. Raises ValueError when features or reward are no finite numbers."""
        if x.shape != (self.size,) or not (np.isfinite(x).all() and math.isfinite(reward)):
            raise ValueError(f"A showing has {self.size} finite features and a finite reward; got {x.shape}, {reward}.")
        inverse = self.inverses_.get(content)
        if inverse is None:
            inverse = np.eye(self.size) / self.ridge
            self.rewards_[content] = np.zeros(self.size)
        along = inverse @ x
        self.inverses_[content] = inverse - np.outer(along, along) / (1.0 + float(x @ along))
        self.rewards_[content] = self.rewards_[content] + reward * x
        self.counts_[content] = self.counts_.get(content, 0) + 1
        return self

    def fit(self, facts: Sequence[Mapping[str, Any]], contents: Sequence[str], rewards: Sequence[float]) -> Self:
        """Learn from showings in their order, beside what is known already."""
        for row, content, reward in zip(facts, contents, rewards, strict=True):
            self.update(content, self.features(row), reward)
        return self

    def expect(self, x: Vector, content: str) -> tuple[float, float]:
        """The mean reward, and its width: √(xᵀ A⁻¹ x), in units of the reward's noise."""
        inverse = self.inverses_.get(content)
        if inverse is None:
            return 0.0, math.sqrt(float(x @ x) / self.ridge)
        along = inverse @ x
        return float(along @ self.rewards_[content]), math.sqrt(max(0.0, float(x @ along)))

    def to_bytes(self) -> bytes:
        """The same showings in the same order give the same bytes."""
        arms = {
            key: _Arm(self.counts_[key], _packed(self.inverses_[key]), _packed(self.rewards_[key]))
            for key in sorted(self.counts_)
        }
        return msgspec.msgpack.encode(_Stored(FORMAT, self.facts, self.ridge, arms))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The bandit that `to_bytes` wrote, to the bit. Raises ValueError when it is damaged."""
        try:
            stored = msgspec.msgpack.decode(data, type=_Stored)
            if stored.format != FORMAT:
                raise ValueError(f"format {stored.format}")
            bandit = cls(stored.facts, stored.ridge)
            for key, arm in stored.arms.items():
                bandit.counts_[key] = arm.count
                bandit.inverses_[key] = _unpacked(arm.inverse, (bandit.size, bandit.size))
                bandit.rewards_[key] = _unpacked(arm.rewards, (bandit.size,))
        except (msgspec.DecodeError, ValueError) as error:
            raise ValueError(f"This is no linear bandit, or a damaged one ({error}); train again.") from error
        return bandit


def _packed(values: Vector) -> bytes:
    return values.astype(DOUBLE).tobytes()


def _unpacked(data: bytes, shape: tuple[int, ...]) -> Vector:
    values = np.frombuffer(data, DOUBLE).astype(np.float64).reshape(shape)
    if not np.isfinite(values).all():
        raise ValueError("a number is not finite")
    return values
