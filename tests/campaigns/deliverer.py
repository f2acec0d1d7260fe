"""A process that delivers until nothing is due, for tests to kill: `python -m tests.campaigns.deliverer`.

The parent prepares everything and forks the one who works. On SIGUSR1 it kills that one with SIGKILL; when one
was killed it starts another, as a supervisor does. It prints each worker's pid.
"""

import argparse
import os
import signal
import sys
from datetime import UTC, datetime

import django

django.setup()

from campaigns.models import Message  # noqa: E402 - models need the setup
from decisioning.flows.deliver import ChosenContents, deliver  # noqa: E402

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


def main() -> int:
    options = read_options()
    at_work: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: [os.kill(pid, signal.SIGKILL) for pid in at_work])
    while True:
        pid = os.fork()
        if pid == 0:
            work(options)
        at_work.append(pid)
        print(pid, flush=True)
        status = os.waitpid(pid, 0)[1]
        at_work.clear()
        if options.once or os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            return max(0, os.waitstatus_to_exitcode(status))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--crash-at", default="", help="the step at which to die …")
    parser.add_argument("--crash-on", type=int, default=0, help="… with this message in hand")
    parser.add_argument("--once", action="store_true", help="do not start another worker after a kill")
    parser.add_argument("--lease", type=float, default=60)
    parser.add_argument("--limit", type=int, default=100)
    return parser.parse_args()


def work(options: argparse.Namespace) -> None:
    """Deliver until a batch is empty; never returns."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def crash(step: str, message: Message) -> None:
        if step == options.crash_at and message.pk == options.crash_on:
            os.kill(os.getpid(), signal.SIGKILL)

    def nothing(customer_key: str, placement_key: str, now: datetime) -> ChosenContents:
        return ChosenContents(None, [])

    try:
        while deliver(NOW, nothing, options.limit, options.lease, crash).claimed:
            pass
    except BaseException as error:
        print(f"deliverer: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
