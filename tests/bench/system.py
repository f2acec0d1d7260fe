"""Comes in: the name of a run. Goes out: durable servers and real processes of the product, which may be killed.

The servers are the run's own, in a folder of their own below `.run/`, with fsync on: what a 2xx says is on the disk.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import psycopg

from tools.dev import demo
from tools.dev.environment import secret
from tools.devstack import postgres, processes, valkey
from tools.devstack.accounts import leash
from tools.devstack.openmp import library_environment
from tools.devstack.places import REPOSITORY, Profile, profile

START_SECONDS = 60.0
# A proxy meant for the outside must not be asked for our own machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Running:
    """One process of the product: its name, and how to start it again."""

    def __init__(self, name: str, words: list[str], variables: dict[str, str], log: Path) -> None:
        self.name, self.words, self.variables, self.log = name, words, variables, log
        self.start()

    def start(self) -> None:
        """A process in a group of its own, ended by the kernel when we are. From the main thread only."""
        with self.log.open("ab") as log:
            self.process = _spawn(self.words, self.variables, log)
        self.since = time.monotonic()

    def kill(self) -> None:
        """SIGKILL to it and to everything it forked."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to stop; kill it when it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.variables['PORT']}"

    def answers(self) -> bool:
        """Whether this web process says that it can decide."""
        try:
            with DIRECT.open(f"{self.url}/readyz", timeout=2.0):
                return True
        except OSError:
            return False

    def memory(self) -> int:
        """Bytes in use (RSS) by it and its children."""
        return sum(_rss(pid) for pid in [self.process.pid, *children(self.process.pid)])


class System:
    """Servers of one run and what was started on them."""

    def __init__(self, place: Profile) -> None:
        self.place = place
        self.running: list[Running] = []
        self.start_servers()

    def start_servers(self) -> None:
        """PostgreSQL and Valkey; either that runs already is left alone."""
        postgres.start(self.place, leash=True)
        valkey.start(self.place, self.place.socket_folder(), leash=True)

    def kill_server(self, service: str, *, forget: bool = False) -> None:
        """SIGKILL to `postgres` or `valkey`; `forget` its data as well. `start_servers` starts it again."""
        server = (postgres if service == "postgres" else valkey).find(self.place)
        assert server is not None, f"{service} does not run"
        processes.stop(server, [(signal.SIGKILL, 10.0)])
        if forget:
            shutil.rmtree(self.place.data(service))

    def server(self, service: str) -> processes.Process:
        """The server's process."""
        found = (postgres if service == "postgres" else valkey).find(self.place)
        assert found is not None, f"{service} does not run"
        return found

    def database(self, name: str, like: str = "template1") -> str:
        """Make a database, empty or a copy of one that nobody uses; its address."""
        address = postgres.url(self.place)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"'.encode())
        return address.replace(f"///{postgres.DATABASE}?", f"///{name}?")

    def variables(self, database: str, number: int = 0, **more: str) -> dict[str, str]:
        """The environment of the product's processes on this database and this one of Valkey's databases."""
        sockets = self.place.socket_folder()
        state = self.place.folder / f"state-{number}"
        state.mkdir(exist_ok=True)
        return {
            "DATABASE_URL": database,
            "REDIS_URL": valkey.redis_url(sockets).replace(f"db={valkey.CACHE}", f"db={number}"),
            "CELERY_BROKER_URL": valkey.broker_url(sockets),
            "DJANGO_SETTINGS_MODULE": "decisioning.config.settings",
            "DECISIONING_ENV": "demo",
            "SECRET_KEY": secret(self.place.run),
            "DECISIONING_STATE_DIR": str(state),
            "OMP_NUM_THREADS": "1",
            "LOG_LEVEL": "WARNING",
            # As the product has them, whatever the tests around have.
            "REDIS_DEADLINE_SECONDS": "0.03",
            "INTAKE_DEADLINE_SECONDS": "0.8",
            **library_environment(self.place.run),
            **more,
        }

    def web(self, variables: dict[str, str], *options: str) -> Running:
        """A web process as `make demo` starts it, answering."""
        port = _any_port()
        own = {**variables, "PORT": str(port)}
        words = next(list(one.words) for one in demo.doors(own) if one.name == "web")
        started = self.start(f"web-{port}", [*words[:-1], *options, words[-1]], own)
        self.wait_for(started)
        return started

    def consumer(self, variables: dict[str, str], *options: str) -> Running:
        """A consumer as `make demo` starts it."""
        own = {"EMAIL_PORT": "0", "DECISIONING_MAIL_DIR": "", **variables}
        words = next(list(one.words) for one in demo.workers(own) if one.name == "consumer")
        return self.start(f"consumer-{len(self.running)}", [*words, *options], variables)

    def wait_for(self, web: Running) -> None:
        """Return when it answers; its last words are the error when it does not."""
        deadline = time.monotonic() + START_SECONDS
        while not web.answers():
            if not web.alive or time.monotonic() > deadline:
                raise RuntimeError(f"{web.name} does not answer:\n{web.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def inside(self, module: str, *words: str, variables: dict[str, str]) -> Any:
        """Run `python -m MODULE …` with the product's settings; what the JSON in its last line says."""
        command = [sys.executable, "-m", module, *words]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=os.environ | variables, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{module} {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def stop(self) -> None:
        """Everything that was started here."""
        for one in self.running:
            if one.alive:
                one.kill()
        valkey.stop(self.place)
        postgres.stop(self.place)
        self.place.remove_sockets()

    def start(self, name: str, words: list[str], variables: dict[str, str]) -> Running:
        """A process of the product; its words go to a log of its own."""
        log = self.place.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        self.running.append(Running(name, words, variables, log))
        return self.running[-1]


@contextmanager
def system(name: str, run: Path | None = None) -> Iterator[System]:
    """Servers for the length of a block; their data is deleted before it."""
    place = profile(name, run)
    valkey.stop(place)
    postgres.stop(place)
    shutil.rmtree(place.folder, ignore_errors=True)
    place.prepare()
    running = System(place)
    try:
        yield running
    finally:
        running.stop()


def _any_port() -> int:
    """A port that nobody uses, far from those that others look for: a killed process must find its own free again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _spawn(words: list[str], variables: dict[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*leash("TERM"), *words],
        cwd=REPOSITORY, env=os.environ | variables, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    """The processes that it forked, and theirs (Linux)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return [one for child in found for one in (child, *children(child))]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of those it forked, as long as they live (Linux)."""
    ticks = 0
    for one in [pid, *children(pid)]:
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
