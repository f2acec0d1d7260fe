"""Nothing goes in; the whole product with real data runs: `demo` serves it, `smoke` runs its loop once."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

from tools.dev import environment, strays
from tools.dev.supervisor import Command, Supervisor
from tools.devstack import processes
from tools.devstack.places import REPOSITORY, Profile, StackError, profile
from tools.devstack.stack import stack

SERVER_SECONDS = 60.0
PYTHON = sys.executable
CELERY = (PYTHON, "-m", "celery", "-A", "decisioning.config.celery")


def demo() -> int:
    """Import the data (once), then serve web, worker, beat and a mail server until Ctrl-C."""
    with one_interruption(), whole_system("demo") as (system, variables):
        manage("demo_info", variables)
        system.echo = True
        print("── Ctrl-C stops everything.", flush=True)
        try:
            system.serve()
        except KeyboardInterrupt:
            print("\n── Stopping …", flush=True)
    return 0


def smoke() -> int:
    """Run the loop once on servers of its own; the exit code is that of `manage.py smoke`."""
    with one_interruption(), whole_system("smoke") as (system, variables):
        code = subprocess.run(manage_words("smoke"), cwd=REPOSITORY, env=os.environ | variables, check=False)
        if code.returncode != 0:
            print(f"── The logs of the processes are in {system.place.folder / 'log'}", file=sys.stderr)
        return code.returncode


@contextmanager
def whole_system(name: str) -> Iterator[tuple[Supervisor, dict[str, str]]]:
    """Servers and processes of one profile with the demo's data; everything stops at the end."""
    place = profile(name)
    with alone(place), stack(name, leash=True) as servers:
        variables = environment.demo_environment(
            place, servers, _told_port(), environment.free_port(environment.MAIL_PORT)
        )
        environment.publish(place, variables)
        system = Supervisor(place, variables)
        try:
            _bring_up(system, variables)
            yield system, variables
        finally:
            system.stop()


def _bring_up(system: Supervisor, variables: dict[str, str]) -> None:
    """Migrate, let the workers load the data, then open the doors: timetable and web would only slow it."""
    manage("migrate", variables, "--verbosity=0")
    for command in workers(variables):
        system.start(command)
    manage("load_demo", variables)
    for command in doors(variables):
        system.start(command)
    wait_for_web(system, variables)


def workers(variables: dict[str, str]) -> list[Command]:
    """What works behind the doors: the mail sink and one Celery worker a queue."""
    sink = ["--port", variables["EMAIL_PORT"], "--folder", variables["DECISIONING_MAIL_DIR"]]
    return [
        Command("mail", [PYTHON, "-m", "tools.demo.smtp_sink", *sink]),
        worker("worker", "now", 2),
        # Training takes seconds: on a worker of its own it keeps no message waiting.
        worker("learner", "later", 1),
    ]


def doors(variables: dict[str, str]) -> list[Command]:
    """What sets work off: the timetable and the web server."""
    schedule = f"--schedule={variables['DECISIONING_STATE_DIR']}/beat"
    web = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", variables["PORT"], "--backlog", "1024"]
    return [
        Command("beat", [*CELERY, "beat", "--loglevel=warning", schedule, "--pidfile="]),
        Command("web", [PYTHON, "-m", "granian", *web, "decisioning.config.wsgi:application"]),
    ]


def worker(name: str, queue: str, count: int) -> Command:
    """A Celery worker with forked processes for one queue; a warm stop may take its seconds."""
    options = [f"--queues={queue}", f"--concurrency={count}", f"--hostname={name}@%h", "--loglevel=info"]
    return Command(name, [*CELERY, "worker", *options, "--without-gossip", "--without-mingle"], patience=8.0)


def manage_words(*words: str) -> list[str]:
    """The words of a `manage.py` command."""
    return [PYTHON, str(REPOSITORY / "manage.py"), *words]


def manage(command: str, variables: dict[str, str], *words: str) -> None:
    """Run a `manage.py` command in the foreground; StackError when it fails."""
    done = subprocess.run(
        manage_words(command, *words), cwd=REPOSITORY, env=os.environ | variables, check=False
    )
    if done.returncode != 0:
        raise StackError(
            f"`manage.py {command}` failed with exit code {done.returncode}; its message is above."
        )


def wait_for_web(system: Supervisor, variables: dict[str, str]) -> None:
    """Return when /healthz answers; the web process's last lines are the error when it does not."""
    address = f"http://127.0.0.1:{variables['PORT']}/healthz"
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline:
        system.watch()
        try:
            with urllib.request.urlopen(address, timeout=2.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise StackError(
        f"{address} did not answer in {SERVER_SECONDS:g} s. Its last lines:\n{system.tail('web')}"
    )


@contextmanager
def alone(place: Profile) -> Iterator[None]:
    """One whole system a profile; what a killed one left is ended first."""
    place.prepare()
    with place.folder.joinpath("supervisor.lock").open("a") as lock:
        _take(lock, place)
        if me := processes.look(os.getpid()):
            processes.remember(place.record("supervisor"), me)
        if left := strays.end(place):
            print(f"── Ended {left} processes that an earlier run had left behind.", flush=True)
        yield
        place.record("supervisor").unlink(missing_ok=True)


def _take(lock: IO[str], place: Profile) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = processes.recall(place.record("supervisor"))
        who = f"process {other.pid}" if other else "another process"
        raise StackError(
            f"`make {place.name}` already runs ({who}). Stop it there, or with `make down`."
        ) from None


@contextmanager
def one_interruption() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal raise KeyboardInterrupt, once: the clean-up is not disturbed."""
    seen: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not seen:
            seen.append(number)
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _told_port() -> int:
    wanted = environment.wanted_port()
    port = environment.free_port(wanted)
    if port != wanted:
        print(f"── Port {wanted} is taken; using {port}. (PORT=… chooses another.)", flush=True)
    return port
