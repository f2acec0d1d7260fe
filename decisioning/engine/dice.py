"""A text in; numbers that look random and are the same for the same text on every machine, out.

Single draws come from BLAKE2b, many at once from SHAKE-128 (FIPS 202), and what has no simple formula from Philox
(Salmon et al. 2011), a counter-based generator keyed by the text's hash. No state outlives a call, so the order of
calls does not matter and a replay is exact.
"""

from hashlib import blake2b, shake_128

import numpy as np
import numpy.typing as npt

from ..experiments.assignment import bucket

Floats = npt.NDArray[np.float64]


class Dice:
    """The dice of one decision; every throw has a name."""

    __slots__ = ("unit",)

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def __call__(self, name: str) -> float:
        """A number in [0, 1)."""
        return bucket(self.unit, name)

    def generator(self, name: str) -> np.random.Generator:
        """A generator of its own for this name."""
        digest = blake2b(f"{name}\x1f{self.unit}".encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big")))

    def uniforms(self, name: str, size: int) -> Floats:
        """Numbers in (0, 1), never 0 and never 1."""
        words = np.frombuffer(shake_128(f"{name}\x1f{self.unit}".encode()).digest(8 * size), "<u8")
        return ((words >> np.uint64(12)).astype(np.float64) + 0.5) / float(1 << 52)

    def gumbels(self, name: str, size: int) -> Floats:
        """Standard Gumbel numbers."""
        return -np.log(-np.log(self.uniforms(name, size)))

    def normals(self, name: str, size: int) -> Floats:
        """Standard normal numbers. Source: Box and Muller 1958."""
        radius, angle = self.uniforms(name, 2 * size).reshape(2, size)
        return np.sqrt(-2.0 * np.log(radius)) * np.cos(2.0 * np.pi * angle)
