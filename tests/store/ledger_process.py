"""A process that keeps decisions, or counts them, until it is killed; what it has done by then on its standard output.

python -m tests.store.ledger_process keep     "made <number>" of each decision, "written <how many>" after each flush
python -m tests.store.ledger_process count    "counted <how many>" after each round
"""

import itertools
import sys
import time
from datetime import UTC, datetime

import django

django.setup()

from uuid_utils.compat import uuid7  # noqa: E402

from decisioning.models import Decision  # noqa: E402
from decisioning.store import ledger as ledgers  # noqa: E402
from decisioning.store.counting import count_new  # noqa: E402

MOMENT = datetime(2018, 1, 1, 12, tzinfo=UTC)


def made(number: int) -> Decision:
    """A decision that chose `a`."""
    return Decision(
        id=uuid7(),
        at=MOMENT,
        request_id=str(number),
        placement="hero",
        rung="full",
        reason="RANKED",
        policy="greedy",
        items=[{"key": "a", "rank": 1}],
        explanation={"segments": ["eco"]},
    )


def say(line: str) -> None:
    """One line, whole: threads of this process speak at the same time."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Telling(ledgers.Ledger):
    """The ledger, saying what it has written."""

    def flush(self, seconds: float = ledgers.PATIENCE_SECONDS) -> int:
        """As the ledger's."""
        written = super().flush(seconds)
        say(f"written {written}")
        return written


def keep() -> None:
    """Append for ever, by the ledger's own thread."""
    ledger = Telling()
    for number in itertools.count():
        ledger.append(made(number))
        say(f"made {number}")
        time.sleep(0.001)


def count() -> None:
    """Count for ever."""
    while True:
        say(f"counted {count_new()}")


if __name__ == "__main__":
    {"keep": keep, "count": count}[sys.argv[1]]()
