"""Comes in: nothing. Goes out: how quickly facts are computed, for everybody, for one customer, and for one event.

facts_10m   seconds for 50 facts of 200,000 customers from 10 million archived events; peer: one PostgreSQL statement
fold        µs to take one event into a customer's state, all facts kept
facts_read  µs to expand a stored state into 60 facts; `facts_read_all` into all of them; `facts_published` to read 60
            from the published profile, as every decision does
"""

import os
import random
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import polars as pl

from decisioning.config.garbage import search_seldom
from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.facts.deriving import derive
from decisioning.customers.facts.folding import fold, prune
from decisioning.customers.facts.state import FoldedEvent, State, pack, unpack
from decisioning.engine.types import Profile
from tests.bench.facts_peer import asked, differences
from tests.bench.happening import NOW, WORDS, events_of
from tests.bench.measure import Result, against, best
from tests.bench.shop import BUCKETS, bucket
from tests.bench.system import system

EVENTS: Final = int(os.environ.get("BENCH_EVENTS", "10000000"))
CUSTOMERS: Final = EVENTS // 50
RUNS: Final = 3
PEOPLE, TYPICAL = 300, 30
"""Customers of the small benches, and the events each has."""
SIXTY: Final = 60


def facts_10m() -> Iterator[Result]:
    """The best of some runs, each in a fresh process; the same from four processes, and from PostgreSQL."""
    with system("bench-facts") as servers:
        variables = servers.variables(servers.database("facts"))
        variables["ARCHIVE_URL"] = str(servers.place.folder / "archive")
        run = partial(servers.inside, "tests.bench.inside.shelved", variables=variables)
        _show("archive", run("write", str(EVENTS), str(CUSTOMERS)))
        runs = [run("compute", *map(str, range(BUCKETS))) for _ in range(RUNS)]
        four = [run("compute", *map(str, range(place, BUCKETS, 4))) for place in range(4)]
        assert {one["digest"] for one in runs} == {sum(one["digest"] for one in four) % 2**64}, "4 processes differ"
        for one in runs:
            _show("run", one)
        seconds, theirs = asked(
            (bucket(number, EVENTS, CUSTOMERS) for number in range(BUCKETS)), variables["DATABASE_URL"]
        )
        with TemporaryDirectory(prefix="bench-facts-") as folder:
            run("answer", f"{folder}/facts.parquet")
            ours = pl.read_parquet(f"{folder}/facts.parquet")
    found = differences(ours.join(theirs.select("customer_id"), on="customer_id", how="semi"), theirs)
    assert not found, f"PostgreSQL answers otherwise: {found}"
    yield against("facts_10m", min(one["seconds"] for one in runs), "s", "one PostgreSQL statement", seconds, RUNS)
    yield Result("facts_10m_memory", round(max(one["peak"] for one in runs)), "MB", runs=RUNS)


def _show(what: str, found: dict[str, Any]) -> None:
    print(f"── facts_10m, {what}: {found}", file=sys.stderr, flush=True)


def fold_bench() -> Iterator[Result]:
    """One event at a time, as the consumer does: folded and pruned."""
    people = _people()
    number = sum(map(len, people))
    seconds = best(lambda: [_folded(events) for events in people])
    yield Result("fold", round(seconds / number * 1e6, 2), "µs")


def facts_read() -> Iterator[Result]:
    """Stored states of typical customers, expanded."""
    stored = [pack(_folded(events)) for events in _people()]
    # As in the processes that do it.
    search_seldom()
    names = [fact.name for fact in built_in_facts(WORDS)]
    size = sum(map(len, stored)) / PEOPLE
    print(
        f"── facts_read: {len(names)} facts; {TYPICAL} events are kept in {size:.0f} bytes", file=sys.stderr, flush=True
    )
    some = frozenset(random.Random(2).sample(names, SIXTY))
    for name, only in (("facts_read", some), ("facts_read_all", None)):
        seconds = best(lambda only=only: [derive(unpack(one), NOW, WORDS, {}, only) for one in stored], runs=15)
        yield Result(name, round(seconds / PEOPLE * 1e6, 1), "µs", runs=15)
    expanded = [derive(unpack(one), NOW, WORDS, {}, some) for one in stored]
    blobs = [msgspec.msgpack.encode(Profile(1, "c-1", 1, facts, (), facts_at=NOW)) for facts in expanded]
    decoder = msgspec.msgpack.Decoder(Profile)
    seconds = best(lambda: [decoder.decode(blob) for blob in blobs], runs=15)
    yield Result("facts_published", round(seconds / PEOPLE * 1e6, 1), "µs", runs=15)


def _people() -> list[list[FoldedEvent]]:
    dice = random.Random(1)
    return [events_of(dice, TYPICAL, 150) for _ in range(PEOPLE)]


def _folded(events: Sequence[FoldedEvent]) -> State:
    state = State()
    for event in events:
        state = prune(fold(state, [event], {}, NOW), NOW, {})
    return state


BENCHES = {"facts_10m": facts_10m, "fold": fold_bench, "facts_read": facts_read}
