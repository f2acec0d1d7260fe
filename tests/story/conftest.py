"""Real processes of the product against the test's own database, killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0


class Processes:
    """What a test started; only these are ever killed."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self.variables = folder, variables
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """A process in a group of its own, its output in a file."""
        log = (self.folder / f"{name}-{len(self.started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, **self.variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def celery(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """`celery -A decisioning.config.celery …`."""
        return self.start(name, "celery", "-A", "decisioning.config.celery", *words)

    def worker(self) -> subprocess.Popen[bytes]:
        """A worker with two forked children for every queue."""
        return self.celery("worker", "worker", "-Q", "now,later", "-c", "2", "-l", "info", "--without-mingle")

    def consumer(self) -> subprocess.Popen[bytes]:
        """The consumer of the event log."""
        return self.start("consumer", "manage", "consume")

    def beat(self) -> subprocess.Popen[bytes]:
        """The timetable."""
        return self.celery("beat", "beat", "-l", "warning", "-s", str(self.folder / "beat"), "--pidfile=")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to the process and everything it forked."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        """Whatever still runs."""
        for process in self.started:
            if process.poll() is None:
                self.kill(process)

    def output(self) -> str:
        """All logs, for a failing test."""
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(self.folder.glob("*.log")))


@pytest.fixture
def processes(transactional_db: None, clean_redis: object, tmp_path: Path) -> Iterator[Processes]:
    """Processes that see the test's database, Redis database and state folder."""
    database = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
    # The state folder is the test's own: a process must not start from another test's snapshot.
    variables = {
        "DATABASE_URL": database,
        "DECISIONING_STATE_DIR": str(tmp_path / "state"),
        "OMP_NUM_THREADS": "1",
    }
    running = Processes(tmp_path, variables)
    yield running
    running.stop_all()


@pytest.fixture
def until() -> Callable[[str, Callable[[], bool]], None]:
    """Wait for what a process does."""

    def wait(label: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, f"{label}: not within {PATIENCE:.0f} s"
            time.sleep(0.05)

    return wait
