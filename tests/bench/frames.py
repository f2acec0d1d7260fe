"""Comes in: nothing. Goes out: seconds until the frame of a million customers has taken in 10,000 who changed.

Also shown: building it from nothing, and reading what a segment needs of it, each in a process of its own.
"""

import sys
from collections.abc import Iterator
from typing import Any

from tests.bench.measure import Result
from tests.bench.system import system

CUSTOMERS, CHANGED, COLUMNS, RUNS = 1_000_000, 10_000, 25, 7


def frame_refresh_10k() -> Iterator[Result]:
    """The middle one of some refreshes, each of other customers; reading and building as well."""
    with system("bench-frames") as servers:
        variables = servers.variables(servers.database("frames"))

        def job(*words: object) -> dict[str, Any]:
            told: dict[str, Any] = servers.inside("tests.bench.inside.millions", *map(str, words), variables=variables)
            print(f"── frames: {' '.join(map(str, words))}: {told}", file=sys.stderr, flush=True)
            return told

        job("fill", CUSTOMERS)
        built = job("rebuild")["seconds"]
        taken = sorted(job("refresh", CHANGED)["seconds"] for _ in range(RUNS))
        read = job("load", COLUMNS)["seconds"]
        job("load", 0)
    yield Result("frame_refresh_10k", round(taken[RUNS // 2], 3), "s", runs=RUNS)
    yield Result("frame_refresh_10k_slowest", round(taken[-1], 3), "s", runs=RUNS)
    yield Result("frame_refresh_10k_load", round(read, 3), "s", runs=1)
    yield Result("frame_refresh_10k_build", round(built, 1), "s", runs=1)


BENCHES = {"frame_refresh_10k": frame_refresh_10k}
