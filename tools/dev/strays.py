"""A profile's folder goes in; processes that a killed run of it left behind are found and ended.

Every process the supervisor starts inherits a mark in its environment, so a stray is known for certain even
when its parent, its pid file and its terminal are gone.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from tools.dev.environment import MARK
from tools.devstack import processes
from tools.devstack.places import Profile
from tools.devstack.processes import Process

GENTLE_SECONDS, HARD_SECONDS = 4.0, 4.0


def find(place: Profile) -> list[Process]:
    """Marked processes of this profile, besides ourselves. Without /proc: those that were written down."""
    if not processes.PROC.joinpath("self").exists():
        records = place.folder.glob("children/*.json")
        return [found for record in records if (found := processes.recall(record))]
    mark = f"{MARK}={place.folder}".encode()
    return [found for found in processes.running() if found.pid != os.getpid() and _carries(found, mark)]


def end(place: Profile) -> int:
    """Ask the strays to stop, then make them; returns how many there were."""
    found = find(place)
    for number, seconds in ((signal.SIGTERM, GENTLE_SECONDS), (signal.SIGKILL, HARD_SECONDS)):
        for stray in filter(processes.is_running, found):
            with suppress(ProcessLookupError):
                os.kill(stray.pid, number)
        _wait(found, seconds)
    return len(found)


def _wait(found: list[Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(processes.is_running, found)) and time.monotonic() < deadline:
        time.sleep(processes.POLL_SECONDS)


def _carries(process: Process, mark: bytes) -> bool:
    try:
        return mark in processes.PROC.joinpath(str(process.pid), "environ").read_bytes().split(b"\0")
    except OSError:
        return False
