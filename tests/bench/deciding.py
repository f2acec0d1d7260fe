"""Comes in: nothing. Goes out: what decisions cost, each next to a peer in the same run.

decide, decide_cached, decide_plain   the function with a warm process, calls a second; the peer `floor` is what cannot
                                      be saved: a look at Redis, the question decoded, an answer of that size encoded
decide_…_p99                          microseconds of the slowest in a hundred calls, next to those of the floor
decide_http                           requests a second over keep-alive connections to the server that `make demo`
                                      starts; the floor is the same server with an application that only answers
batch                                 customers a second at once, next to one by one
ledger                                rows a second into PostgreSQL with fsync on, next to Django's `bulk_create`
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.measure import Result
from tests.bench.posting import Wire
from tests.bench.system import Running, System, system

CONTENTS = (27, 1000)
SENDERS, SECONDS, WARM = 4, 6.0, 1.0
RUNS = 1


def deciding() -> Iterator[Result]:
    """In one process, on servers of its own, with few contents and with many."""
    with system("bench-decide") as servers:
        for number, contents in enumerate(CONTENTS):
            variables = servers.variables(servers.database(f"decide{contents}"), number)
            words = ("measure", str(contents))
            found = servers.inside("tests.bench.inside.deciding", *words, variables=variables)
            more = "" if contents == CONTENTS[0] else f"_{contents}"
            yield from _calls(found["calls"], more)
            together, apart = (found["customers"] / found[way] for way in ("together", "apart"))
            yield _beside(f"batch{more}", together, "customers/s", "single", apart)
            if not more:
                written, created = (found["rows"] / found[way] for way in ("flushed", "created"))
                yield _beside("ledger", written, "rows/s", "bulk_create", created)


def _calls(calls: dict[str, list[float]], more: str) -> Iterator[Result]:
    floor = calls.pop("floor")
    for name, took in calls.items():
        yield _beside(f"{name}{more}", 1e6 / at(took, 0.5), "calls/s", "floor", 1e6 / at(floor, 0.5))
        yield Result(f"{name}{more}_p99", round(at(took, 0.99)), "µs", "floor", round(at(floor, 0.99)), runs=RUNS)


def deciding_over_http() -> Iterator[Result]:
    """Two processes on loopback; every question is another, so that none is answered from the cache."""
    with system("bench-decide-http") as servers:
        variables = servers.variables(servers.database("http"))
        words = ("prepare", str(CONTENTS[0]))
        made = servers.inside("tests.bench.inside.deciding", *words, variables=variables)
        web = servers.web(variables)
        rate, waits = _asked(int(web.variables["PORT"]), made["key"], made["people"])
        web.kill()
        with _floor(servers, web) as port:
            floor, floor_waits = _asked(port, made["key"], made["people"])
    yield _beside("decide_http", rate, "requests/s", "floor", floor)
    yield Result(
        "decide_http_p99", round(at(waits, 0.99), 2), "ms", "floor", round(at(floor_waits, 0.99), 2), runs=RUNS
    )


@contextmanager
def _floor(servers: System, web: Running) -> Iterator[int]:
    """The same server on the same port, as its words say, with an application that only answers."""
    words = [*web.words[:-1], "tests.bench.inside.floor:application"]
    floor = Running("floor", words, web.variables, servers.place.folder / "floor.log")
    try:
        servers.wait_for(floor)
        yield int(floor.variables["PORT"])
    finally:
        floor.kill()


def _asked(port: int, key: str, people: int) -> tuple[float, list[float]]:
    """Requests a second and the milliseconds of each, sorted, by a few connections that ask one after the other."""
    waits: list[list[float]] = [[] for _ in range(SENDERS)]
    begin = time.perf_counter() + WARM

    def ask(sender: int) -> None:
        wire, number = Wire(port, key), sender
        while (now := time.perf_counter()) < begin + SECONDS:
            body = {"customer_id": f"c-{number % people}", "placements": ["hero"], "request_id": f"r-{number}"}
            body["context"] = {"page": {"path": f"/{number}"}}
            status, answer = wire.post("/v1/decide", json.dumps(body).encode())
            assert status == 200, answer
            if now >= begin:
                waits[sender].append((time.perf_counter() - now) * 1000)
            number += SENDERS
        wire.close()

    threads = [threading.Thread(target=ask, args=(sender,)) for sender in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = sorted(one for each in waits for one in each)
    return len(together) / SECONDS, together


def at(values: list[float], share: float) -> float:
    """The value below which this share of the sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))]


def _beside(bench: str, value: float, unit: str, peer: str, peer_value: float) -> Result:
    """More is better: the ratio is ours to the peer's."""
    return Result(bench, round(value, 1), unit, peer, round(peer_value, 1), round(value / peer_value, 3), RUNS)


BENCHES = {"decide": deciding, "decide_http": deciding_over_http}
