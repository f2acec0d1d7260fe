"""Counts of two groups in; how far their rates differ, with an interval, out. No raw events come in here."""

import math
from dataclasses import dataclass
from typing import Final

Z95: Final = 1.959963984540054  # of the standard normal distribution, two-sided 95 %


@dataclass(frozen=True, slots=True)
class Group:
    """How many customers, and how many of them succeeded."""

    customers: int
    successes: int

    @property
    def rate(self) -> float:
        """Their share, in [0, 1]; 0 without customers."""
        return self.successes / self.customers if self.customers else 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """The rate of the first group less that of the second, and its 95 % interval, in [-1, 1]."""

    value: float
    low: float
    high: float

    @property
    def tells(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0.0 or self.high < 0.0


def wilson(group: Group) -> tuple[float, float]:
    """The 95 % score interval of a rate. Source: Wilson 1927; everything without customers."""
    n, p, z2 = group.customers, group.rate, Z95 * Z95
    if not n:
        return 0.0, 1.0
    middle, half = p + z2 / (2 * n), Z95 * math.sqrt((p * (1 - p) + z2 / (4 * n)) / n)
    return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))


def difference(first: Group, second: Group) -> Difference:
    """Of two independent rates. Source: Newcombe 1998 (Statistics in Medicine 17), method 10."""
    value = first.rate - second.rate
    (low1, high1), (low2, high2) = wilson(first), wilson(second)
    low = value - math.hypot(first.rate - low1, high2 - second.rate)
    return Difference(value, low, value + math.hypot(high1 - first.rate, second.rate - low2))
