"""A scorer's bytes and golden rows in; how fast it answers, out, or why it must not be used.

It is read in a process of its own that has no database, no secrets and little time: whatever that process dies of,
the one that asked lives.
"""

import os
import signal
import subprocess
import sys
from typing import Any, Final

import msgspec
from django.conf import settings

from ..learning.verifying import Finding, Golden, Question

SECONDS: Final = 60.0
MILLISECONDS: Final = 10.0  # of the processor, for one decision among the contents of the golden rows
LAST_WORDS: Final = 300
# Everything else of our environment stays here.
HANDED_ON: Final = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
COMMAND: Final = (sys.executable, "-m", "decisioning.learning.verifying")


class Unfit(ValueError):
    """It cannot be read, scores wrongly, or takes too long."""


def tried(name: str, data: bytes, golden: dict[str, Any]) -> float:
    """Milliseconds a decision takes. Raises Unfit with the reason."""
    rows = msgspec.convert(golden, Golden) if golden else Golden()
    found = _ask(Question(data.decode(errors="replace"), rows, MILLISECONDS))
    if found.reason:
        raise Unfit(f"{name} is refused and what is in use stays: {found.reason}.")
    return found.milliseconds


def _ask(question: Question) -> Finding:
    environment = {name: os.environ[name] for name in HANDED_ON if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    try:
        # Our own command; what it reads is data.
        child = subprocess.run(  # noqa: S603
            COMMAND,
            input=msgspec.json.encode(question),
            capture_output=True,
            timeout=SECONDS,
            cwd=settings.BASE_DIR,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(f"it was not read and scored within {SECONDS:g} s")
    if child.returncode < 0:
        return Finding(f"it ended the process that read it ({signal.Signals(-child.returncode).name})")
    if child.returncode:
        return Finding(f"it cannot be read: {child.stderr.decode(errors='replace').strip()[-LAST_WORDS:]}")
    return msgspec.json.decode(child.stdout, type=Finding)
