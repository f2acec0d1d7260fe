"""The supervisor: children run, come back when they die, stop together, and none outlives a killed parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.dev import strays
from tools.dev.environment import MARK
from tools.dev.supervisor import Command, Supervisor
from tools.devstack import processes, profile
from tools.devstack.places import REPOSITORY, Profile

SLEEP = "; import time; time.sleep(60)"
SLEEPER = [sys.executable, "-uc", "print('awake')" + SLEEP]
IGNORE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
STUBBORN = [sys.executable, "-uc", f"{IGNORE}; print('deaf'){SLEEP}"]
FORKING = [sys.executable, "-uc", "import os; os.fork()" + SLEEP]
SUPERVISE = """
import sys, time
from pathlib import Path
from tools.dev.environment import MARK
from tools.dev.supervisor import Command, Supervisor
from tools.devstack import profile
place = profile("demo", Path(sys.argv[1]))
place.prepare()
system = Supervisor(place, {MARK: str(place.folder)})
system.start(Command("deaf", sys.argv[2:]))
print(system.children[0].process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def place(run: Path) -> Profile:
    place = profile("demo", run)
    place.prepare()
    return place


@pytest.fixture
def system(place: Profile) -> Iterator[Supervisor]:
    system = Supervisor(place, {MARK: str(place.folder)})
    yield system
    system.stop()


def eventually(question: Callable[[], object], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_child_that_dies_is_started_again(system: Supervisor) -> None:
    system.start(Command("child", SLEEPER))
    first = system.children[0].process.pid
    os.kill(first, signal.SIGKILL)

    def replaced() -> bool:
        system.watch()
        child = system.children[0]
        return child.process.pid != first and child.process.poll() is None

    assert eventually(replaced)


def test_a_child_that_keeps_dying_is_tried_less_and_less_often(system: Supervisor) -> None:
    system.start(Command("child", [sys.executable, "-c", "raise SystemExit(3)"]))
    child = system.children[0]
    pauses = []
    for _ in range(2):
        assert eventually(lambda: child.process.poll() is not None)
        pauses.append(child.pause)
        system.watch()
        child.next_try = time.monotonic()
        system.watch()
    assert pauses[1] == 2 * pauses[0]


def test_forked_processes_of_a_killed_child_do_not_stay(system: Supervisor, place: Profile) -> None:
    system.start(Command("pool", FORKING))
    assert eventually(lambda: len(strays.find(place)) == 2)
    os.kill(system.children[0].process.pid, signal.SIGKILL)
    assert eventually(lambda: system.children[0].process.poll() is not None)
    system.watch()
    assert eventually(lambda: not strays.find(place))


def test_stopping_ends_also_a_child_that_does_not_listen(system: Supervisor, place: Profile) -> None:
    system.start(Command("good", SLEEPER))
    system.start(Command("deaf", STUBBORN, patience=0.3))
    assert eventually(lambda: "deaf" in system.tail("deaf") and "awake" in system.tail("good"))
    system.stop()
    assert strays.find(place) == []


def test_lines_go_to_a_log_file_of_each_child(system: Supervisor) -> None:
    system.start(Command("quiet", SLEEPER))
    system.start(Command("loud", [sys.executable, "-c", "print('one'); print('two')"]))
    assert eventually(lambda: system.tail("loud") == "one\ntwo" and system.tail("quiet") == "awake")


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is Linux's")
def test_children_of_a_killed_supervisor_are_asked_to_stop(place: Profile) -> None:
    with supervised(place, SLEEPER) as (parent, child):
        parent.kill()
    assert eventually(lambda: processes.look(child) is None)


@pytest.mark.skipif(sys.platform != "linux", reason="the mark is read from /proc")
def test_what_survives_a_killed_supervisor_is_ended_at_the_next_start(
    place: Profile, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strays, "GENTLE_SECONDS", 0.3)
    with supervised(place, STUBBORN) as (parent, child):
        log = place.folder / "log" / "deaf.log"
        assert eventually(lambda: log.exists() and log.read_text() == "deaf\n")
        parent.kill()
    other = profile("other", run)
    other.prepare()
    assert strays.end(other) == 0
    assert processes.look(child) is not None
    assert strays.end(place) == 1
    assert processes.look(child) is None


@contextmanager
def supervised(place: Profile, words: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that supervises one child; that process and the child's pid."""
    command = [sys.executable, "-c", SUPERVISE, str(place.run), *words]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            yield parent, int(parent.stdout.readline())
        finally:
            parent.kill()
