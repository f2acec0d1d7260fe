"""A budget comes in, with a clock and a gauge of memory; whether the next step may still begin comes out.

A step is taken to need as much as the greediest so far. So nothing is begun that would go beyond, but for the first.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
UNITS: Final = 2**20 if sys.platform == "darwin" else 2**10  # what `ru_maxrss` counts in, in shares of a megabyte
TIME_UP, MEMORY_UP = "the time is used up", "the memory is used up"


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so many `minutes` of wall time, `megabytes` (2^20 bytes) resident in this process, and `trials`."""

    minutes: float = inf
    megabytes: float = inf
    trials: int = 40

    def __post_init__(self) -> None:
        if not (self.minutes > 0 and self.megabytes > 0 and self.trials > 0):
            raise ValueError("A budget needs minutes, megabytes and trials above 0.")


def resident() -> tuple[float, float]:
    """Megabytes of this process that are in memory now, and the most there ever were.

    As Linux tells them (VmRSS and VmHWM of proc_pid_status(5)); elsewhere the most, twice (getrusage(2)).
    """
    if not STATUS.exists():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNITS / 2**20
        return most, most
    told = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    now, most = (float(told[name].split()[0]) / 2**10 for name in ("VmRSS", "VmHWM"))
    return now, most


@dataclass(slots=True)
class Meter:
    """What of a budget is spent. `clock` tells seconds, `memory` megabytes: now, and the most so far."""

    budget: Budget
    clock: Callable[[], float] = time.monotonic
    memory: Callable[[], tuple[float, float]] = resident
    longest: float = 0.0  # seconds of a step
    widest: float = 0.0  # megabytes that a step came to beside what was there before
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self.clock() - self.began

    @property
    def peak(self) -> float:
        """The most megabytes so far."""
        return self.memory()[1]

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around a step: learn what one needs."""
        start, (rest, _) = self.clock(), self.memory()
        yield
        self.longest = max(self.longest, self.clock() - start)
        self.widest = max(self.widest, self.peak - rest)

    def spent(self, ahead: int = 1) -> str:
        """Why so many more steps, one after the other, may not begin; nothing where they may."""
        if self.seconds + ahead * self.longest >= self.budget.minutes * 60:
            return TIME_UP
        now, most = self.memory()
        if max(most, now + self.widest) > self.budget.megabytes:
            return MEMORY_UP
        return ""
