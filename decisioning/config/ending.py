"""Something to do when this process is stopped in order in; done then, once, whatever kind of process it is, out."""

import atexit
import multiprocessing.util
import os
import threading
from collections.abc import Callable
from typing import Final

import billiard.util

# Before the pools and managers of a process are closed, which is at 0 and above in this order.
FIRST: Final = 100


def at_end(do: Callable[[], None]) -> None:
    """Call `do` once when this process ends, unless it is killed; a forked child has to say so for itself.

    The web server's workers are children of `multiprocessing` and Celery's are children of `billiard`: they leave by
    `os._exit`, which runs no `atexit`, and each runs what its own library was told. Other processes run `atexit`.
    """
    once = _Once(do)
    multiprocessing.util.Finalize(None, once, exitpriority=FIRST)
    billiard.util.Finalize(None, once, exitpriority=FIRST)
    atexit.register(once)


class _Once:
    def __init__(self, do: Callable[[], None]) -> None:
        self._do, self._process = do, os.getpid()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        # A child that was forked by hand inherits the list of `atexit`, but none of the threads.
        if os.getpid() == self._process and self._lock.acquire(blocking=False):
            self._do()
