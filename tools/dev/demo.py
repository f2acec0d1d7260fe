"""Nothing goes in; the whole product with real data runs: `demo` serves it, `smoke` runs its loop once."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
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
# A worker of granian that dies is not replaced unless it is told to, and one that was starting may miss the stop.
RESPAWN = ("--respawn-failed-workers", "--respawn-interval", "1", "--workers-kill-timeout", "15")
CELERY = (PYTHON, "-m", "celery", "-A", "decisioning.config.celery")


def demo() -> int:
    """Import the data (once), then serve web, worker, beat and a mail server until Ctrl-C."""
    with one_interruption(), whole_system("demo") as system:
        insist(system, "demo_info")
        system.echo = True
        print("── Ctrl-C stops everything.", flush=True)
        try:
            system.serve()
        except KeyboardInterrupt:
            print("\n── Stopping …", flush=True)
    return 0


def smoke() -> int:
    """Run the loop once on servers of its own; the exit code is that of `manage.py smoke`."""
    with one_interruption(), whole_system("smoke") as system:
        code = manage(system, "smoke")
        if code != 0:
            print(f"── What the processes wrote is in {system.place.folder / 'log'}", file=sys.stderr)
        return code


@contextmanager
def whole_system(name: str) -> Iterator[Supervisor]:
    """Servers and processes of one profile with the demo's data; everything stops at the end."""
    place = profile(name)
    with alone(place), stack(name, leash=True) as servers:
        variables = environment.demo_environment(
            place, servers, _told_port(), environment.free_port(environment.MAIL_PORT)
        )
        environment.publish(place, variables)
        system = Supervisor(place, variables)
        try:
            bring_up(system)
            yield system
        finally:
            system.stop()


def bring_up(system: Supervisor) -> None:
    """Migrate, let the workers load the data, then open the doors: timetable and web would only slow it."""
    insist(system, "migrate", "--verbosity=0")
    for command in workers(system.variables):
        system.start(command)
    insist(system, "load_demo")
    for command in doors(system.variables):
        system.start(command)
    wait_for_web(system)


def workers(variables: dict[str, str]) -> list[Command]:
    """What works behind the doors: the mail sink, one Celery worker a queue, and the consumer of the event log."""
    sink = ["--port", variables["EMAIL_PORT"], "--folder", variables["DECISIONING_MAIL_DIR"]]
    return [
        Command("mail", [PYTHON, "-m", "tools.demo.smtp_sink", *sink]),
        worker("worker", "now", 2, variables["LOG_LEVEL"]),
        # Training takes seconds: on a worker of its own it keeps no message waiting.
        worker("learner", "later", 1, variables["LOG_LEVEL"]),
        Command("consumer", [PYTHON, str(REPOSITORY / "manage.py"), "consume"]),
    ]


def doors(variables: dict[str, str]) -> list[Command]:
    """What sets work off: the timetable and the web server."""
    schedule = f"--schedule={variables['DECISIONING_STATE_DIR']}/beat"
    web = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", variables["PORT"], "--backlog", "1024"]
    # Measured on two cores (docs/operations.md): a second worker takes in half as many events again.
    web += ["--workers", "2", "--blocking-threads", "2", *RESPAWN]
    return [
        Command("beat", [*CELERY, "beat", "--loglevel=warning", schedule, "--pidfile="]),
        Command("web", [PYTHON, "-m", "granian", *web, "decisioning.config.wsgi:application"]),
    ]


def worker(name: str, queue: str, count: int, level: str) -> Command:
    """A Celery worker with forked processes for one queue; a warm stop may take its seconds."""
    options = [f"--queues={queue}", f"--concurrency={count}", f"--hostname={name}@%h", f"--loglevel={level}"]
    return Command(name, [*CELERY, "worker", *options, "--without-gossip", "--without-mingle"], patience=8.0)


def manage(system: Supervisor, *words: str) -> int:
    """Run a `manage.py` command beside the system, which is watched meanwhile; returns its exit code."""
    command = [PYTHON, str(REPOSITORY / "manage.py"), *words]
    with subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | system.variables) as process:
        try:
            while process.poll() is None:
                system.watch()
                time.sleep(0.05)
        finally:
            process.terminate()
    return process.returncode


def insist(system: Supervisor, *words: str) -> None:
    """The same, and StackError when the command fails."""
    if manage(system, *words) != 0:
        logs = system.place.folder / "log"
        raise StackError(f"`manage.py {words[0]}` failed, see above. What the workers wrote is in {logs}.")


def wait_for_web(system: Supervisor) -> None:
    """Return when /readyz says that it can decide; the web process's last lines are the error when it does not."""
    address = f"http://127.0.0.1:{system.variables['PORT']}/readyz"
    # A proxy meant for the outside must not be asked for our own machine.
    door = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline:
        system.watch()
        try:
            with door.open(address, timeout=2.0):
                return
        except OSError:
            time.sleep(0.1)
    raise StackError(f"{address} did not answer within {SERVER_SECONDS:g} s:\n{system.tail('web')}")


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
        raise StackError(f"`make {place.name}` already runs ({who}). Stop it there, or with `make down`.") from None


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
