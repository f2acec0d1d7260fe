"""Comes in: a running web process. Goes out: what each hostile body costs it: status, milliseconds, megabytes.

Every one must be refused (4xx) in 100 ms with 20 MB more memory at most, and a good event be taken afterwards.
"""

import gzip
import json
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.posting import Wire
from tests.bench.system import Running, system
from tests.fault.figure import Figure

MOST_MS, MOST_MB = 100.0, 20.0
TIMES = 5
GOOD = {"messageId": "m", "userId": "u", "event": "e"}


class Bomb(NamedTuple):
    """A body, and the headers it comes with."""

    body: bytes
    headers: str = ""


def _event(inner: bytes) -> Bomb:
    """One event that holds this in its properties."""
    return Bomb(b'{"messageId":"m","userId":"u","event":"e","properties":{"x":' + inner + b"}}")


def _batch_of(inner: bytes) -> Bomb:
    return Bomb(b'{"batch":[' + inner + b"]}")


def _gzip(plain: bytes) -> Bomb:
    return Bomb(gzip.compress(plain), "Content-Encoding: gzip\r\n")


def _zeros(megabytes: int) -> bytes:
    """A gzip file of so many megabytes of zeros, made a piece at a time."""
    machine = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return b"".join([machine.compress(bytes(1 << 20)) for _ in range(megabytes)]) + machine.flush()


BOMBS: dict[str, Callable[[], Bomb]] = {
    "gzip of 1 GB": lambda: Bomb(_zeros(1024), "Content-Encoding: gzip\r\n"),
    "gzip within gzip": lambda: _gzip(_zeros(64)),
    "gzip cut short": lambda: Bomb(gzip.compress(bytes(10_000))[:-9], "Content-Encoding: gzip\r\n"),
    "deflate of 1 GB": lambda: Bomb(zlib.compress(bytes(1 << 30), 9), "Content-Encoding: deflate\r\n"),
    "depth 100,000, lists": lambda: _event(b"[" * 100_000 + b"]" * 100_000),
    "depth 100,000, objects": lambda: _event(b'{"a":' * 60_000 + b"1" + b"}" * 60_000),
    "depth 100,000, never closed": lambda: Bomb(b"[" * 100_000),
    "depth 100,000 in a batch": lambda: _batch_of(b"[" * 100_000 + b"]" * 100_000),
    "NaN": lambda: _event(b"NaN"),
    "Infinity in a batch": lambda: _batch_of(b'{"x":-Infinity}'),
    "U+0000": lambda: _event(b'"a\\u0000b"'),
    "lone surrogate": lambda: _event(b'"\\ud800"'),
    "integer of 5,000 digits": lambda: _event(b"9" * 5_000),
    "integer of 30,000 digits": lambda: _event(b"9" * 30_000),
    "exponent of 9,999,999": lambda: _event(b"1e9999999"),
    "20,000 duplicate keys": lambda: _event(b"{" + b",".join([b'"a":1'] * 5_000) + b"}"),
    "bad UTF-8": lambda: _event(b'"\xff\xfe\xfa"'),
    "overlong UTF-8": lambda: _event(b'"\xc0\xaf"'),
    "500 KB of backslashes": lambda: _event(b'"' + b"\\\\" * 250_000 + b'"'),
    "500 KB of quotes and colons": lambda: _batch_of(b'{"x":"' + b'\\":' * 160_000 + b'"}'),
    "a hundred thousand items": lambda: _batch_of(b",".join([b"{}"] * 100_000)),
    "nothing": lambda: Bomb(b""),
    "2 MB": lambda: _event(b'"' + b"x" * 2_000_000 + b'"'),
}
CHUNKED = "100 MB in chunks"


class Cost(NamedTuple):
    """The worst of some tries."""

    status: int
    milliseconds: float
    megabytes: float


def run(seed: int, folder: Path | None = None, times: int = TIMES) -> list[Figure]:
    """Every bomb in turn, so many times, against one web process."""
    with system("fault-bombs", folder) as servers:
        variables = servers.variables(servers.database("bombs"))
        key = servers.inside("tests.fault.inside", "prepare", variables=variables)["key"]
        web = servers.web(variables, "--workers", "1")
        _warm(web, key)
        return list(_figures(seed, web, key, times))


def _figures(seed: int, web: Running, key: str, times: int) -> Iterator[Figure]:
    for name, make in BOMBS.items():
        path = "/v1/track" if b'"batch"' not in make().body[:12] else "/v1/batch"
        cost = _worst(web, key, make(), path, times)
        yield from _said(seed, name, cost)
    yield from _said(seed, CHUNKED, _measured(web, lambda: _chunks(web, key, 100)))
    taken = _post(web, key, Bomb(json.dumps(GOOD).encode()), "/v1/track")
    yield Figure("bombs", seed, "a good event afterwards: status", taken, taken == 200)


def _said(seed: int, name: str, cost: Cost) -> Iterator[Figure]:
    print(
        f"── {name:<32} {cost.status} {cost.milliseconds:7.1f} ms {cost.megabytes:6.1f} MB", file=sys.stderr, flush=True
    )
    refused = 400 <= cost.status < 500
    yield Figure("bombs", seed, f"{name}: status", cost.status, refused)
    yield Figure("bombs", seed, f"{name}: ms", round(cost.milliseconds, 1), cost.milliseconds <= MOST_MS)
    yield Figure("bombs", seed, f"{name}: MB", round(cost.megabytes, 1), cost.megabytes <= MOST_MB)


def _warm(web: Running, key: str) -> None:
    """What a process does once only shall not be counted: code paths, the largest allowed body, an error."""
    for number in range(50):
        item = json.dumps({**GOOD, "messageId": f"warm-{number}", "properties": {"x": "y" * 30_000}}).encode()
        _post(web, key, _batch_of(item + b",{}"), "/v1/batch")


def _worst(web: Running, key: str, bomb: Bomb, path: str, times: int) -> Cost:
    """The best time of some tries, since other processes share the machine, and what memory all of them have cost."""
    tries = [_measured(web, lambda: _post(web, key, bomb, path)) for _ in range(times)]
    return Cost(tries[0].status, min(one.milliseconds for one in tries), sum(one.megabytes for one in tries))


def _measured(web: Running, do: Callable[[], int]) -> Cost:
    before, started = web.memory(), time.perf_counter()
    status = do()
    return Cost(status, (time.perf_counter() - started) * 1000, (web.memory() - before) / 2**20)


def _post(web: Running, key: str, bomb: Bomb, path: str) -> int:
    wire = Wire(int(web.variables["PORT"]), key)
    wire.head += bomb.headers
    try:
        return wire.post(path, bomb.body)[0]
    finally:
        wire.close()


def _chunks(web: Running, key: str, megabytes: int) -> int:
    """A body without a length that goes on and on; an answer in between or a closed door ends it."""
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", int(web.variables["PORT"])), timeout=10) as line:
        head = (
            f"POST /v1/batch HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        line.sendall(head.encode())
        try:
            for _ in range(megabytes * 16):
                line.sendall(piece)
            line.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            return int(line.recv(64)[9:12] or b"0")
        except ConnectionResetError:
            return 400
