"""A folder comes in; out goes the product's web server, as `make demo` starts it, on the database of the test."""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from psycopg.conninfo import make_conninfo

from decisioning.customers.models import Event
from decisioning.store import keys, snapshot
from decisioning.store.connection import patient
from tools.dev import demo
from tools.dev.environment import free_port
from tools.devstack.places import REPOSITORY

FIRST_PORT = 8500
PATIENCE = 240.0
# Events a second for one key. No test comes near it but the one that means to.
RATE = 100
# A proxy meant for the outside must not be asked for our own machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Site:
    """The server's address and two keys; what it stored; and how to stop and kill it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "web.log"
        self.key, self.other_key = (keys.create(name, keys.SCOPES)[1] for name in ("clients", "others"))
        snapshot.build()
        port = free_port(FIRST_PORT + 50 * _worker())
        self.url = f"http://127.0.0.1:{port}"
        self.variables = {
            **os.environ,
            "DATABASE_URL": make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"]),
            "DECISIONING_STATE_DIR": str(folder / "state"),
            "INTAKE_EVENTS_PER_SECOND": str(RATE),
            # Seconds are the bench machine's matter; here others run at the same time.
            "INTAKE_DEADLINE_SECONDS": "4",
            "PUBLIC_URL": self.url,
            "PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start the server; `ready` waits for it."""
        words = next(list(one.words) for one in demo.doors(self.variables) if one.name == "web")
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                words, cwd=REPOSITORY, env=self.variables, stdout=log, stderr=log, start_new_session=True
            )

    def ready(self) -> None:
        """Wait until it answers and has the keys."""
        until("the server is ready", self._answers)

    def kill(self) -> None:
        """SIGKILL to the server and its worker."""
        self.tell(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM to the server alone, as `docker stop` and systemd do it; what it does then is waited for."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def tell(self, number: int) -> None:
        """A signal to the server and its worker, if they are there."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Alive and silent for the length of a block: connections are taken, nothing is answered."""
        self.tell(signal.SIGSTOP)
        try:
            yield
        finally:
            self.tell(signal.SIGCONT)

    def said(self, text: str) -> int:
        """How often the server's log has this text."""
        return self.log.read_text(errors="replace").count(text)

    def consume(self) -> None:
        """What happens after the commit, by the product's own consumer, until nothing is pending."""
        words = [demo.PYTHON, "manage.py", "consume", "--once"]
        subprocess.run(words, cwd=REPOSITORY, env=self.variables, check=True, capture_output=True)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            with DIRECT.open(f"{self.url}/readyz", timeout=2.0):
                return True
        except OSError:
            return False


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """Started for a block; afterwards the database and Redis are as empty as before."""
    patient().flushdb()
    site = Site(folder)
    try:
        site.ready()
        yield site
    finally:
        site.kill()
        patient().flushdb()
        call_command("flush", verbosity=0, interactive=False)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE customers_event")
        # Playwright may start next, whose event loop makes Django open another connection and forget this one.
        connection.close()


def events_of(value: str) -> list[Event]:
    """What the log has of the identity with this value, in the order of happening."""
    return list(Event.objects.filter(identity__value=value).select_related("identity").order_by("timestamp", "id"))


def off_by(moment: datetime, other: datetime) -> float:
    """Seconds between the two, without sign."""
    return abs((moment - other).total_seconds())


def seconds_ago(moment: datetime) -> float:
    """Seconds since then; negative in the future."""
    return (datetime.now(UTC) - moment).total_seconds()


def until(what: str, done: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.05)


def _worker() -> int:
    """Which of the parallel test processes this is: each looks for its port elsewhere."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
