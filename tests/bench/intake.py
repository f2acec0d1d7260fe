"""Comes in: nothing. Goes out: events a second over HTTP, committed when they are answered, next to a bare COPY.

The web process is started as `make demo` starts it, the log's fsync is on, bodies hold a hundred events of some 650
bytes and are made beforehand; each message id is different, 5 % of the visits are of somebody new. The peer is one COPY
of the same rows, already encoded, into a table without any index: what PostgreSQL itself can take on this machine.
"""

import sys
import time
from collections.abc import Iterator

import psycopg

from tests.bench.measure import Result
from tests.bench.posting import Posted, post_all
from tests.bench.system import cpu_seconds, system
from tests.bench.traffic import BATCH, Traffic, everybody

RUNS, BODIES, SENDERS = 3, 1200, 6
STORED = b"SELECT count(*) FROM customers_event"
COLUMNS = (
    "id, keep, message_id, identity_id, type, name, identifiers, properties, context, timestamp, received_at, "
    "historical, bot, source"
)
PIECE = 1 << 20


def intake() -> Iterator[Result]:
    """The best of some runs; every run is shown, and what it spent."""
    with system("bench-intake") as servers:
        variables = servers.variables(servers.database("intake"))
        key = servers.inside("tests.fault.inside", "prepare", variables=variables)["key"]
        web = servers.web(variables)
        port, address = int(web.variables["PORT"]), variables["DATABASE_URL"]
        sent = post_all(port, key, everybody(), BATCH, SENDERS).accepted
        runs: list[Posted] = []
        for number in range(1, RUNS + 1):
            bodies = Traffic(number, new=0.05, anonymous=0.0).batches(BODIES)
            pids = {"web": web.process.pid, "PostgreSQL": servers.server("postgres").pid}
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            runs.append(post_all(port, key, bodies, BATCH, SENDERS))
            spent = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
            sent += runs[-1].accepted
            _show(runs[-1], spent)
            assert _stored(address) == sent, "what was answered 2xx is not what is stored"
        assert not any(one.others for one in runs), "something was answered other than 200"
        peer = max(_copied(address) for _ in range(RUNS))
    rate = max(one.rate for one in runs)
    yield Result("intake", round(rate), "events/s", "bare COPY", round(peer), round(rate / peer, 3), RUNS)


def _show(done: Posted, spent: dict[str, float]) -> None:
    waits = sorted(done.waits)
    told = ", ".join(f"{name} {seconds / max(1, done.accepted) * 1e6:.0f}" for name, seconds in spent.items())
    print(
        f"── intake: {done.rate:,.0f} events/s, fsync on; a body p50 {waits[len(waits) // 2]:.0f} ms, "
        f"p99 {waits[int(len(waits) * 0.99)]:.0f} ms; µs of CPU an event: {told}",
        file=sys.stderr,
        flush=True,
    )


def _stored(address: str) -> int:
    with psycopg.connect(address) as connection:
        row = connection.execute(STORED).fetchone()
    assert row is not None
    return int(row[0])


def _copied(address: str) -> float:
    """Rows a second of one COPY of everything stored, in the binary format, committed with the disk's word."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(b"DROP TABLE IF EXISTS plain")
        connection.execute(b"CREATE TABLE plain AS SELECT * FROM customers_event WHERE false")
        asked = f"COPY (SELECT {COLUMNS} FROM customers_event) TO STDOUT (FORMAT BINARY)"
        with connection.cursor().copy(asked.encode()) as out:
            content = b"".join(bytes(piece) for piece in out)
        started = time.perf_counter()
        cursor = connection.cursor()
        with cursor.copy(f"COPY plain ({COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()) as into:
            for start in range(0, len(content), PIECE):
                into.write(content[start : start + PIECE])
        return cursor.rowcount / (time.perf_counter() - started)


BENCHES = {"intake": intake}
