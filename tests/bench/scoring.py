"""Comes in: nothing. Goes out: how quickly everybody is scored with every content, and how that grows with workers.

scoring            customers × contents a second of one process, from the frame to PostgreSQL and Redis; the peer is the
                   same booster's bare `predict` on rows that are ready
scoring_megabytes  the most memory that process had
scoring_two        the same by two Celery processes, next to one
scores_kept        seconds to put the scores of 200,000 customers into PostgreSQL and Redis
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Final

from tests.bench.measure import Result
from tests.bench.system import System, system
from tools.dev import demo

CUSTOMERS: Final = int(os.environ.get("BENCH_CUSTOMERS", "200000"))
CONTENTS: Final = 27
RUNS: Final = 3
MODULE: Final = "tests.bench.inside.scored"


def scoring() -> Iterator[Result]:
    """One process, two workers, and publishing alone, on servers of their own."""
    with system("bench-scoring") as servers:
        variables = servers.variables(servers.database("scoring"))
        variables["ARCHIVE_URL"] = str(servers.place.folder / "archive")
        servers.inside(MODULE, "fill", str(CUSTOMERS), str(CONTENTS), variables=variables)
        runs = [servers.inside(MODULE, "alone", variables=variables) for _ in range(RUNS)]
        print(json.dumps(runs), file=sys.stderr)
        bare = servers.inside(MODULE, "bare", variables=variables)
        rate = max(one["rows"] / one["seconds"] for one in runs)
        beside = bare["rows"] / bare["seconds"]
        yield Result("scoring", round(rate), "rows/s", "predict alone", round(beside), round(rate / beside, 2), RUNS)
        yield Result("scoring_megabytes", max(one["megabytes"] for one in runs), "MB", runs=RUNS)
        one, two = (_by_workers(servers, variables, count) for count in (1, 2))
        yield Result("scoring_two", round(two), "rows/s", "one process", round(one), round(two / one, 2), 1)
        kept = min(servers.inside(MODULE, "keep", variables=variables)["seconds"] for _ in range(RUNS))
        yield Result("scores_kept", round(kept, 2), "s", runs=RUNS)


def _by_workers(servers: System, variables: dict[str, str], count: int) -> float:
    """Rows a second by so many forked processes of a worker as `make demo` starts it."""
    command = demo.worker("learner", "later", count, "WARNING")
    worker = servers.start(f"learner-{count}", list(command.words), variables)
    found = servers.inside(MODULE, "hand", variables=variables)
    worker.stop()
    return float(found["rows"] / found["seconds"])


BENCHES = {"scoring": scoring}
