"""A verb of `manage.py learn` in; it runs in a process of its own until it ends, out.

LightGBM's and OpenMP's threads do not survive a fork, and what a training takes of memory goes with its process.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from django.conf import settings

log = logging.getLogger(__name__)

TELL_SECONDS, LAST_WORDS = 10, 1500
TRAINING_LIMIT: Final = timedelta(minutes=30)
OCCUPIED: Final = 75  # how a command exits that would be the second of its kind (EX_TEMPFAIL of sysexits.h)


def in_own_process(verb: str, words: Mapping[str, str], alive: Callable[[], None] = lambda: None) -> None:
    """Run `manage.py learn <verb>` and wait, saying every few seconds that it lives; raises with its last words."""
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "learn", verb, *options]
    end = time.monotonic() + TRAINING_LIMIT.total_seconds()
    # Our own command; the words are ours.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:  # noqa: S603
        while True:
            try:
                told, problem = child.communicate(timeout=TELL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                alive()
            except BaseException:
                child.kill()
                raise
            if time.monotonic() > end:
                child.kill()
                raise RuntimeError(f"learn {verb} took longer than {TRAINING_LIMIT} and was ended.")
    if child.returncode == OCCUPIED:
        log.info("%s", problem.strip()[-LAST_WORDS:])
        return
    if child.returncode != 0:
        raise RuntimeError(f"learn {verb} failed: {problem.strip()[-LAST_WORDS:]}")
    log.info("%s", told.strip())
