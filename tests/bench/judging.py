"""Comes in: nothing. Goes out: seconds to put a million customers into 200 segments anew, from the frame of all.

segments_fill_1m      the first time: the frame is built, and everybody enters
segments_refresh_1m   once more, all of it: the frame read, 200 conditions for everybody, compared with who is in
segments_refresh_10k  after 10,000 customers changed: the frame takes them in, and they alone are judged
"""

import os
from collections.abc import Iterator

from tests.bench.measure import Result
from tests.bench.system import system

CUSTOMERS = int(os.environ.get("BENCH_CUSTOMERS", "1000000"))
CHANGED = 10_000


def refreshing() -> Iterator[Result]:
    """In a database of its own, in one process."""
    with system("bench-judging") as servers:
        variables = servers.variables(servers.database("judging"))
        variables["ARCHIVE_URL"] = str(servers.place.folder / "archive")
        found = servers.inside("tests.bench.inside.crowded", str(CUSTOMERS), str(CHANGED), variables=variables)
        size = "1m" if CUSTOMERS == 1_000_000 else f"{CUSTOMERS}"
        yield Result(f"segments_fill_{size}", found["fill"], "s", runs=1)
        yield Result(f"segments_refresh_{size}", found["all"], "s", runs=found["runs"])
        yield Result("segments_refresh_10k", found["changed"], "s", runs=found["runs"])


BENCHES = {"segments_refresh": refreshing}
