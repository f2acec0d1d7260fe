"""Real processes keep decisions and count them: killed at any moment, and while PostgreSQL is away."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import OperationalError, connection, connections
from psycopg.conninfo import make_conninfo

from decisioning.models import Decision, Outcome, Tally, Uncounted, UncountedOutcome
from decisioning.store import ledger as ledgers
from decisioning.store.copying import copy_in
from decisioning.store.counting import count_new
from decisioning.store.recounting import rebuild

from .ledger_process import MOMENT, made
from .test_ledger_counting import held, traffic

pytestmark = [pytest.mark.story, pytest.mark.django_db(transaction=True)]
REPOSITORY = Path(__file__).resolve().parent.parent.parent
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `ledger_process` on this test's database."""
    started: list[subprocess.Popen[str]] = []

    def run(verb: str) -> subprocess.Popen[str]:
        database = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
        variables = {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "decisioning.config.settings"}
        command = [sys.executable, "-m", "tests.store.ledger_process", verb]
        started.append(
            subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | variables, stdout=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield run
    for one in started:
        if one.poll() is None:
            one.kill()
        one.communicate()


def killed(process: subprocess.Popen[str], after: str, times: int, dice: random.Random) -> list[str]:
    """Kill -9 a little after it said so for the n-th time; every line it had said whole."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if sum(each.startswith(after) for each in lines) == times:
            break
    time.sleep(dice.random() * 0.3)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    return [line.strip() for line in lines if line.endswith("\n")]


def test_a_killed_process_loses_only_its_last_decisions_and_doubles_none(start: Start):
    said = killed(start("keep"), "written", 3, random.Random(3))
    numbers = sorted(int(number) for number in Decision.objects.values_list("request_id", flat=True))
    assert numbers == list(range(len(numbers))), "what is lost comes after all that is kept"
    flushes = [index for index, line in enumerate(said) if line.startswith("written")]
    assert len(numbers) >= sum(int(said[index].split()[1]) for index in flushes) > 0
    # What was made before the last finished flush began had to be in it.
    made_before = [int(line.split()[1]) for line in said[: flushes[-2]] if line.startswith("made")]
    assert len(numbers) > max(made_before)


def test_a_killed_counter_counts_nothing_twice(start: Start):
    dice = random.Random(5)
    rows = [made(number) for number in range(6000)]
    copy_in(rows)
    kinds = ["impression", "click", "conversion"]
    copy_in(
        [
            Outcome(decision_id=dice.choice(rows).pk, content="a", kind=kinds[n % 3], at=MOMENT, message_id=f"m{n}")
            for n in range(6000)
        ]
    )
    killed(start("count"), "counted", 1, dice)
    # The killed one's transaction may still be on its way back in the server.
    until(lambda: not count_new() and not Uncounted.objects.exists() and not UncountedOutcome.objects.exists())
    counted = held(), traffic()
    assert {row[5] for row in counted[0]} == {6000}
    rebuild()
    assert (held(), traffic()) == counted


class Way:
    """A socket to PostgreSQL that can be cut: what is under way breaks, and nobody gets in until it is open again."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server
        self._open: list[socket.socket] = []
        self._listening: socket.socket | None = None
        # Cleared, it stays open and nothing comes through: a server that stands still.
        self.flowing = threading.Event()
        self.flowing.set()

    @property
    def path(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def open(self) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def cut(self) -> None:
        assert self._listening is not None
        self.path.unlink()
        for one in [self._listening, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, there = listening.accept()[0], socket.socket(socket.AF_UNIX)
                there.connect(self.server)
                self._open += [here, there]
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def way(tmp_path_factory, monkeypatch) -> Iterator[Way]:
    """New connections of this process go through it; that of the test itself stays."""
    connection.ensure_connection()
    described = connection.settings_dict
    server = f"{described['HOST']}/.s.PGSQL.{described['PORT'] or 5432}"
    if not Path(server).exists():
        pytest.skip("PostgreSQL listens on no socket file here")
    folder = Path("/tmp") / f"way-{os.getpid()}"
    folder.mkdir()
    monkeypatch.setitem(connections.databases["default"], "HOST", str(folder))
    monkeypatch.setitem(connections.databases["default"], "PORT", "")
    made = Way(folder, server)
    made.open()
    yield made
    with suppress(OSError):
        made.cut()
    folder.rmdir()


def until(true: Callable[[], bool]) -> None:
    """Wait for it, for at most half a minute."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_while_postgresql_is_away_decisions_wait_and_what_does_not_fit_is_counted(way: Way, monkeypatch):
    monkeypatch.setattr(ledgers, "TALLY_SECONDS", 0.0)
    ledger = ledgers.Ledger(limit=50)
    ledger.append(made(0))
    until(lambda: ledger.waiting() == 0)
    way.cut()
    for number in range(1, 81):
        ledger.append(made(number))
    assert (ledger.waiting(), ledger.dropped, dict(ledger.lost)) == (50, 30, {"full": 30})
    # Long enough for some tries in vain.
    time.sleep(0.7)
    assert (ledger.waiting(), Decision.objects.count()) == (50, 1)
    way.open()
    until(lambda: ledger.waiting() == 0)
    kept = {int(number) for number in Decision.objects.values_list("request_id", flat=True)}
    assert kept == {0, *range(31, 81)}
    until(lambda: Tally.objects.filter(what="dropped", name="full", count=30).exists())
    ledger.append(made(100))
    until(lambda: Tally.objects.filter(what="written", count=52).exists())


def test_a_postgresql_that_stands_still_is_not_waited_for_for_ever(way: Way):
    ledger = ledgers.Ledger()
    ledger._thread = threading.current_thread()  # flushed by hand
    with ThreadPoolExecutor(1) as pool:
        ledger.append(made(0))
        assert pool.submit(ledger.flush).result() == 1
        way.flowing.clear()
        ledger.append(made(1))
        with pytest.raises(OperationalError):
            pool.submit(ledger.flush, 0.3).result()
        assert ledger.waiting() == 1
        way.flowing.set()
        until(lambda: pool.submit(flushed, ledger).result())
        pool.submit(lambda: connection.close()).result()
    assert Decision.objects.count() == 2


def flushed(ledger: ledgers.Ledger) -> bool:
    """Whether nothing waits any more; after a failure nothing is tried for a moment."""
    with suppress(OperationalError):
        ledger.flush()
    return ledger.waiting() == 0
