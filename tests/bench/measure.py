"""Comes in: something to time. Goes out: its best time, and the result as a table row and a line of JSON."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

RUNS = 7


@dataclass(frozen=True, slots=True)
class Result:
    """One figure, and a peer's for the same work in the same run; ratio > 1 means the peer is worse."""

    bench: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    runs: int = RUNS

    def line(self) -> str:
        """The machines' line."""
        return json.dumps(asdict(self))


def against(bench: str, value: float, unit: str, peer: str, peer_value: float, runs: int = RUNS) -> Result:
    """A result next to a peer's, for units of which less is better."""
    return Result(bench, round(value, 3), unit, peer, round(peer_value, 3), round(peer_value / value, 2), runs)


def best(work: Callable[[], object], repeats: int = 1, runs: int = RUNS) -> float:
    """Seconds for one call of `work`: the best of some runs of some repeats, after one that warms up."""
    work()
    fastest = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        fastest = min(fastest, (time.perf_counter() - started) / repeats)
    return fastest
