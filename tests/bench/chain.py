"""Comes in: a number of seconds. Goes out: events a second through the whole chain, and ms until a decision shows one.

The chain is HTTP, the log, the consumers: identities, facts, ten segments, a history, two campaigns, profiles. Events
are sent for so many seconds, as fast as the backlog stays short, and counted when the last one was handled.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from tests.bench.measure import Result
from tests.bench.posting import Posted, Wire, post_all
from tests.bench.system import Running, System, cpu_seconds, system
from tests.bench.traffic import BATCH, Traffic, everybody

SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
CONSUMERS = 2
SENDERS = 4
# Bodies are made beforehand: for so many events a second at most.
AT_MOST = 9_000
LONGEST_BACKLOG = 10_000
LOOK_SECONDS = 0.5
PAUSE_SECONDS = 0.005
RATE, PROBES = 2_000, 300
MOST_SECONDS_A_PROBE = 0.3
LONGEST_WAIT_SECONDS = 10.0
WAITING = b"SELECT count(*) FROM customers_pending WHERE problem = ''"
PREPARE = "tests.fault.inside"


@dataclass(slots=True)
class Chain:
    """A running chain: its web process, its consumers, a key, and where to look."""

    servers: System
    web: Running
    consumers: list[Running]
    key: str
    database: str

    @property
    def port(self) -> int:
        return int(self.web.variables["PORT"])

    def waiting(self) -> int:
        """Events not handled yet."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            row = connection.execute(WAITING).fetchone()
        assert row is not None
        return int(row[0])

    def settle(self) -> None:
        """Return when everything was handled."""
        while self.waiting():
            time.sleep(0.1)

    def spent(self) -> dict[str, float]:
        """CPU seconds so far: web, consumers, PostgreSQL (of backends that still live), Valkey."""
        return {
            "web": cpu_seconds(self.web.process.pid),
            "consumers": sum(cpu_seconds(one.process.pid) for one in self.consumers),
            "PostgreSQL": cpu_seconds(self.servers.server("postgres").pid),
            "Valkey": cpu_seconds(self.servers.server("valkey").pid),
        }


@contextmanager
def running(name: str, consumers: int = CONSUMERS) -> Iterator[Chain]:
    """A chain of its own whose 20,000 customers are known already."""
    with system(name) as servers:
        variables = servers.variables(servers.database("chain"))
        key = servers.inside(PREPARE, "prepare", variables=variables)["key"]
        web = servers.web(variables)
        found = [servers.consumer(variables) for _ in range(consumers)]
        chain = Chain(servers, web, found, key, variables["DATABASE_URL"])
        post_all(chain.port, key, everybody(), BATCH, SENDERS)
        chain.settle()
        yield chain


def chain() -> Iterator[Result]:
    """Events a second from the first one sent to the last one handled."""
    with running("bench-chain") as under:
        rate, posted = sustained(under, SECONDS)
        yield Result("chain", round(rate, 1), "events/s", runs=1)
    assert not posted.others, f"answers other than 200: {posted.others[:5]}"


def sustained(under: Chain, seconds: float) -> tuple[float, Posted]:
    """Send for so many seconds, then wait for the last; what each part spent goes to standard error."""
    bodies = Traffic(1).batches(round(seconds * AT_MOST / BATCH))
    before, started = under.spent(), time.perf_counter()
    posted = _post_while_short(under, bodies, seconds)
    under.settle()
    elapsed = time.perf_counter() - started
    spent = {name: (value - before[name]) / posted.accepted * 1e6 for name, value in under.spent().items()}
    told = ", ".join(f"{name} {value:.0f}" for name, value in spent.items())
    _note(
        f"chain: {posted.accepted:,} events, {elapsed:.1f} s; µs of CPU an event: {told}; load {os.getloadavg()[0]:.1f}"
    )
    return posted.accepted / elapsed, posted


def _post_while_short(under: Chain, bodies: Sequence[bytes], seconds: float) -> Posted:
    """Senders that rest while the backlog is long: a second's work of the consumers waits, not a minute's."""
    total = Posted()
    end = time.perf_counter() + seconds
    place, looked = 0, 0.0
    while place < len(bodies) and time.perf_counter() < end:
        # Counting costs the database something, so it is not done for each body.
        if time.perf_counter() - looked > LOOK_SECONDS:
            while under.waiting() > LONGEST_BACKLOG:
                time.sleep(LOOK_SECONDS)
            looked = time.perf_counter()
        some = bodies[place : place + 40]
        done = post_all(under.port, under.key, some, BATCH, SENDERS)
        total.accepted, total.added = total.accepted + done.accepted, total.added + done.added
        total.others += done.others
        place += len(some)
    return total


def visible() -> Iterator[Result]:
    """Milliseconds from sending an event to the first decision that shows it, others coming in meanwhile."""
    with running("bench-visible") as under:
        waits = probed(under, PROBES)
        yield Result("visible_p99", round(waits[int(len(waits) * 0.99)], 1), "ms", runs=len(waits))
        yield Result("visible_p50", round(waits[len(waits) // 2], 1), "ms", runs=len(waits))


def probed(under: Chain, probes: int) -> list[float]:
    """The waits of so many probes, the shortest first, at `RATE` events a second of others."""
    wire = Wire(under.port, under.key)
    for number in range(probes):
        _probe(wire, number, "Probe Ready")
    under.settle()
    bodies = Traffic(2).batches(round(probes * MOST_SECONDS_A_PROBE * RATE / BATCH))
    stop = threading.Event()
    others = threading.Thread(
        target=post_all,
        args=(under.port, under.key, bodies, BATCH, SENDERS),
        kwargs={"rate": RATE, "stop": stop},
        daemon=True,
    )
    others.start()
    time.sleep(1.0)
    waits = [_wait(wire, number) for number in range(probes) if others.is_alive()]
    stop.set()
    others.join()
    _note(f"visible: {len(waits)} probes, p50 {sorted(waits)[len(waits) // 2]:.0f} ms, load {os.getloadavg()[0]:.1f}")
    return sorted(waits)


def _wait(wire: Wire, number: int) -> float:
    """Milliseconds until a decision shows what was sent; a pause after it."""
    started = time.perf_counter()
    _probe(wire, number, "Probe Sent")
    while not _shown(wire, number):
        # Asking without a pause would measure the asking.
        time.sleep(PAUSE_SECONDS)
        assert time.perf_counter() - started < LONGEST_WAIT_SECONDS, f"probe {number} is stored and never shown"
    waited = (time.perf_counter() - started) * 1000
    time.sleep(0.05)
    return waited


def _probe(wire: Wire, number: int, name: str) -> None:
    event = {"messageId": f"{name}-{number}", "userId": f"probe-{number}", "event": name}
    status, text = wire.post("/v1/track", json.dumps(event).encode())
    assert status == 200, text


def _shown(wire: Wire, number: int) -> bool:
    asked = {"customer_id": f"probe-{number}", "placements": ["seen"]}
    status, text = wire.post("/v1/decide", json.dumps(asked).encode())
    assert status == 200, text
    return b'"seen-it"' in text


def _note(text: str) -> None:
    print(f"── {text}", file=sys.stderr, flush=True)


BENCHES = {"chain": chain, "visible_p99": visible}
