"""Comes in: nothing. Goes out: how quickly facts are computed, for everybody, for one customer, and for one event.

facts_10m   seconds for 50 facts of 200,000 customers from 10 million archived events; peer: one PostgreSQL statement
fold        µs to take one event into a customer's state, all facts kept
facts_read  µs to expand a stored state into 60 facts; `facts_read_all` into all of them
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import polars as pl

from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.facts.deriving import derive
from decisioning.customers.facts.folding import fold, prune
from decisioning.customers.facts.frame import facts_at, needed
from decisioning.customers.facts.history import Prepared
from decisioning.customers.facts.state import FoldedEvent, State, pack, unpack
from tests.bench.facts_peer import asked, differences
from tests.bench.happening import NOW, WORDS, events_of
from tests.bench.measure import Result, against, best
from tests.bench.shop import BUCKETS, CUSTOMERS, EVENTS, bucket
from tests.bench.system import system

FIFTY: Final = (
    *("visits", "visits_7d", "visits_30d", "visits_90d", "visits_365d", "tenure_days"),
    *("sessions_7d", "sessions_30d", "sessions_90d", "sessions_365d", "session_minutes", "session_events"),
    *("orders", "orders_7d", "orders_30d", "orders_90d", "orders_365d", "recency_days", "days_between_orders"),
    *("spend", "spend_7d", "spend_30d", "spend_90d", "spend_365d", "average_order_value", "average_order_lines"),
    *("spend_trend", "coupon_discount_share", "discount_share", "coupon_order_share", "weekend_order_share"),
    *("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "favourite_department", "favourite_brand"),
    *("categories_bought", "share_department_0", "share_department_1", "share_department_2", "share_department_3"),
    *("products_viewed_7d", "products_viewed_30d", "products_viewed_90d", "searches_30d", "days_since_search"),
    *("days_since_product_viewed", "contents_viewed_30d", "messages_sent_30d"),
)
AT_ONCE: Final = 2
PEOPLE, TYPICAL = 300, 30
"""Customers of the small benches, and the events each has."""
SIXTY: Final = 60


def facts_10m() -> Iterator[Result]:
    """The best of some runs, each in a fresh process; the same from four processes, and from PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="bench-facts-") as folder:
        write(Path(folder))
        runs = [_run(folder, range(BUCKETS)) for _ in range(3)]
        fastest = min(runs, key=lambda run: run["seconds"])
        parts = [_run(folder, range(place, BUCKETS, 4)) for place in range(4)]
        together = sum(int(part["digest"], 16) for part in parts) % 2**64
        assert together == int(fastest["digest"], 16), "four processes do not say what one says"
        with system("bench-facts") as servers:
            address = servers.variables(servers.database("facts"))["DATABASE_URL"]
            seconds, theirs = asked((bucket(number) for number in range(BUCKETS)), address)
        ours = pl.concat([facts_of(Path(folder), number) for number in range(BUCKETS)])
        found = differences(ours.join(theirs.select("customer_id"), on="customer_id", how="semi"), theirs)
        assert not found, f"PostgreSQL answers otherwise: {found}"
    yield against("facts_10m", fastest["seconds"], "s", "one PostgreSQL statement", seconds, len(runs))
    yield Result("facts_10m_memory", round(max(run["peak"] for run in runs)), "MB", runs=len(runs))


def write(folder: Path, events: int = EVENTS, customers: int = CUSTOMERS) -> None:
    """The log as the archive keeps it: each bucket's tables as Parquet."""
    for number in range(BUCKETS):
        for name, table in bucket(number, events, customers).tables().items():
            table.write_parquet(folder / f"{name}-{number}.parquet", compression="zstd")


def read(folder: Path, number: int) -> Prepared:
    """The columns of one bucket's tables that the facts need."""
    wanted = needed(WORDS, FIFTY)
    return Prepared(
        **{
            name: pl.read_parquet(folder / f"{name}-{number}.parquet", columns=columns)
            for name, columns in wanted.items()
        }
    )


def compute(folder: Path, numbers: Sequence[int], customers: int = CUSTOMERS) -> dict[str, Any]:
    """Seconds, peak memory (MB) and a digest of the facts that does not depend on the order of buckets."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        digests = list(pool.map(lambda number: _digest(facts_of(folder, number, customers)), numbers))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak": peak, "digest": f"{sum(digests) % 2**64:x}"}


def facts_of(folder: Path, number: int, customers: int = CUSTOMERS) -> pl.DataFrame:
    """The facts of one bucket's customers."""
    people = pl.DataFrame({"customer_id": range(number, customers, BUCKETS)}, {"customer_id": pl.Int64})
    return facts_at(read(folder, number), people, NOW, WORDS, FIFTY)


def _digest(facts: pl.DataFrame) -> int:
    rows = facts.sort("customer_id").hash_rows(seed=1)
    return int.from_bytes(blake2b(rows.to_numpy().tobytes(), digest_size=8).digest(), "big")


def _run(folder: str, numbers: Sequence[int]) -> dict[str, Any]:
    words = [sys.executable, "-m", "tests.bench.facts", folder, *map(str, numbers)]
    answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(answer)
    print(f"── facts_10m: {found}", file=sys.stderr, flush=True)
    return found


def fold_bench() -> Iterator[Result]:
    """One event at a time, as the consumer does: folded and pruned."""
    people = _people()
    number = sum(map(len, people))
    seconds = best(lambda: [_folded(events) for events in people])
    yield Result("fold", round(seconds / number * 1e6, 2), "µs")


def facts_read() -> Iterator[Result]:
    """Stored states of typical customers, expanded."""
    stored = [pack(_folded(events)) for events in _people()]
    names = [fact.name for fact in built_in_facts(WORDS)]
    size = sum(map(len, stored)) / PEOPLE
    print(
        f"── facts_read: {len(names)} facts; {TYPICAL} events are kept in {size:.0f} bytes", file=sys.stderr, flush=True
    )
    some = frozenset(random.Random(2).sample(names, SIXTY))
    for name, only in (("facts_read", some), ("facts_read_all", None)):
        seconds = best(lambda only=only: [derive(unpack(one), NOW, WORDS, {}, only) for one in stored], runs=15)
        yield Result(name, round(seconds / PEOPLE * 1e6, 1), "µs", runs=15)


def _people() -> list[list[FoldedEvent]]:
    dice = random.Random(1)
    return [events_of(dice, TYPICAL, 150) for _ in range(PEOPLE)]


def _folded(events: Sequence[FoldedEvent]) -> State:
    state = State()
    for event in events:
        state = prune(fold(state, [event], {}, NOW), NOW, {})
    return state


if __name__ == "__main__":
    print(json.dumps(compute(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]])))
