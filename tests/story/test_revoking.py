"""Serving processes: a key that is switched off is refused by all soon; one that dies is replaced."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from campaigns.models import Content, Placement
from decisioning.models import ApiKey, Change
from decisioning.store import keys, snapshot
from tools.dev import demo
from tools.dev.environment import free_port

from .conftest import Processes

pytestmark = pytest.mark.story
# The promise is a second; a busy machine may take longer, and a process that never hears of it takes for ever.
BOUND = 10.0
# Enough calls for each of a server's two processes to answer some.
CALLS = 24


def ask(port: int, key: str) -> int:
    """The status of a decision on a connection of its own; 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"anonymous_id": "a", "placements": ["hero"]})
    try:
        connection.request("POST", "/v1/decide", body, {"Authorization": f"Bearer {key}"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def statuses(ports: list[int], key: str) -> set[int]:
    return {ask(port, key) for port in ports for _ in range(CALLS)}


@pytest.fixture
def published() -> tuple[str, str]:
    """A placement with a content, and two keys, in a snapshot that Redis has."""
    # Tests that commit empty every table afterwards, this row of the first migration too.
    Change.objects.get_or_create(pk=1, defaults={"number": 0, "built": -1})
    Placement.objects.create(key="hero", name="Hero", count=1, policy="greedy")
    Content.objects.create(key="apple", name="Apple")
    made = tuple(keys.create(name, ["decide"])[1] for name in ("leaked", "other"))
    snapshot.build()
    return made[0], made[1]


def serve(processes: Processes, name: str, until: Callable[[str, Callable[[], bool]], None], key: str) -> int:
    """A server with two processes that knows the key; its port."""
    first = 8700 + 40 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    port = free_port(first)
    web = demo.doors({"DECISIONING_STATE_DIR": str(processes.folder), "PORT": str(port)})[1]
    processes.start(name, *web.words[2:])
    until(f"{name} answers", lambda: statuses([port], key) == {200})
    return port


def test_a_key_that_is_switched_off_is_refused_by_all_processes_with_and_without_redis(processes, until, published):
    leaked, other = published
    ports = [serve(processes, "web", until, leaked)]
    # This one finds the snapshot on the disk that both share.
    processes.variables["REDIS_URL"] = "unix:///nowhere/valkey.sock?db=0"
    ports.append(serve(processes, "web without Redis", until, leaked))
    ApiKey.objects.filter(prefix=leaked[:11]).update(active=False)
    deadline = time.monotonic() + BOUND
    while statuses(ports, leaked) != {401}:
        assert time.monotonic() < deadline, processes.output()
    assert statuses(ports, other) == {200}
    until("the use is noted", lambda: ApiKey.objects.get(prefix=other[:11]).last_used_on is not None)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of what it started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_serving_processes_that_die_are_replaced(processes, until, published):
    key, _ = published
    port = serve(processes, "web", until, key)
    server = processes.started[-1]
    first = children(server)
    assert len(first) == 2
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    until("another process answers", lambda: statuses([port], key) == {200})
    assert set(children(server)).isdisjoint(first)
    assert server.poll() is None


@pytest.mark.parametrize("name", ["Dockerfile", "docker-compose.yml"])
def test_wherever_the_server_is_started_its_dead_processes_are_replaced(name):
    starts = [line for line in Path(name).read_text().splitlines() if '"granian"' in line]
    assert starts and all('"--respawn-failed-workers"' in line for line in starts)
