"""A PostgreSQL of a test's own that can be frozen: postmaster and backends get SIGSTOP, and SIGCONT later."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.devstack import postgres, processes, profile


class Server:
    """The running server, its address, and how to freeze it."""

    def __init__(self, run: Path) -> None:
        self.place = profile("test", run)
        self.pid = postgres.start(self.place).pid
        self.url = postgres.url(self.place)

    def tell(self, number: int) -> None:
        """A signal for the postmaster and all its children, the postmaster first: it forks no more then."""
        os.kill(self.pid, number)
        for found in processes.running():
            if found.pid != self.pid and parent_of(found.pid) == self.pid:
                os.kill(found.pid, number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Alive and silent for the length of a block."""
        self.tell(signal.SIGSTOP)
        try:
            yield
        finally:
            self.tell(signal.SIGCONT)


def parent_of(pid: int) -> int:
    """0 when the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@contextmanager
def server() -> Iterator[Server]:
    """Started for a block; always woken and stopped at its end."""
    run = Path(tempfile.mkdtemp(prefix="frozen-test-"))
    run.chmod(0o755)
    made = Server(run)
    try:
        yield made
    finally:
        made.tell(signal.SIGCONT)
        postgres.stop(made.place)
        link = made.place.data("postgres")
        if link.is_symlink():
            shutil.rmtree(link.resolve().parent, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)
