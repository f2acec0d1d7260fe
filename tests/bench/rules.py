"""Comes in: nothing. Goes out: microseconds for one customer and all rules, next to other engines on the same work."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from rules.language import RuleIndex, parse
from tests.bench.measure import RUNS, Result, against, best
from tests.bench.peers import PEERS, installed
from tests.bench.workload import customers, rules, text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = 10
FASTEST = "zen-engine"


def ours(count: int) -> tuple[RuleIndex[int], float]:
    """The index over the workload, and its microseconds a customer."""
    index = RuleIndex((number, parse(text(rule))) for number, rule in enumerate(rules(count)))
    people = customers(PEOPLE)
    seconds = best(lambda: [index.matching(one, NOW) for one in people], repeats=20)
    return index, seconds * 1e6 / PEOPLE


def next_to(name: str, bench: str, count: int) -> Result:
    """Our time and a peer's, who must find the same rules."""
    index, value = ours(count)
    engine = PEERS[name][1](rules(count))
    people = customers(PEOPLE)
    for one in people:
        if engine(one) != index.matching(one, NOW):
            raise AssertionError(f"{name} and the index disagree about a customer; the adapter is wrong.")
    runs, few = (RUNS, people) if name == FASTEST else (2, people[:2])
    seconds = best(lambda: [engine(one) for one in few], runs=runs)
    return against(bench, value, "µs", name, seconds * 1e6 / len(few), runs)


def rules_1k() -> Iterator[Result]:
    """1,000 rules next to the fastest peer."""
    yield from _first("rules_1k", 1_000)


def rules_10k() -> Iterator[Result]:
    """10,000 rules next to the fastest peer."""
    yield from _first("rules_10k", 10_000)


def _first(bench: str, count: int) -> Iterator[Result]:
    if FASTEST in installed():
        yield next_to(FASTEST, bench, count)
    else:
        yield Result(bench, round(ours(count)[1], 3), "µs")


def _peer(name: str) -> Iterator[Result]:
    yield next_to(name, f"rules_1k_{name}", 1_000)


BENCHES = {"rules_1k": rules_1k, "rules_10k": rules_10k} | {
    f"rules_1k_{name}": partial(_peer, name) for name in installed() if name != FASTEST
}
