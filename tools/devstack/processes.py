"""Process ids go in; the answer to "is this still the process we started?" and a clean stop come out.

A pid alone is not an identity: the kernel reuses it. Every process we start is written down with its
start time, and nothing is signalled unless pid *and* start time still agree.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """One running process: `started` is the kernel's start time (opaque text), `command` its arguments."""

    pid: int
    started: str
    command: str


def look(pid: int) -> Process | None:
    """The process behind `pid`, or None when there is none (a zombie counts as none)."""
    if pid <= 0:
        return None
    return _look_proc(pid) if PROC.joinpath("self").exists() else _look_ps(pid)


def _look_proc(pid: int) -> Process | None:
    try:
        stat = PROC.joinpath(str(pid), "stat").read_text()
        command = PROC.joinpath(str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    # The name (field 2) is in parentheses and may hold spaces; the state is the first field after it.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    # The start time counts from the boot, so the boot belongs to it.
    return Process(pid, f"{_boot()}:{fields[19]}", command.strip())


def _boot() -> str:
    try:
        return PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _look_ps(pid: int) -> Process | None:
    line = subprocess.run(
        ["ps", "-o", "state=,lstart=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=6)
    if len(line) < 7 or line[0].startswith("Z"):
        return None
    return Process(pid, " ".join(line[1:6]), line[6].strip())


def running() -> list[Process]:
    """Every process of the machine that can be looked at."""
    if PROC.joinpath("self").exists():
        pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    else:
        listing = subprocess.run(["ps", "-axo", "pid="], capture_output=True, text=True, check=False)
        pids = [int(word) for word in listing.stdout.split()]
    return [process for process in map(look, pids) if process]


def works_in(process: Process, folder: Path) -> bool:
    """Whether the process has `folder` as its working folder (False where that cannot be seen)."""
    try:
        return PROC.joinpath(str(process.pid), "cwd").readlink() == folder.resolve()
    except OSError:
        return False


def remember(path: Path, process: Process) -> None:
    """Write the process down (temp file, rename), so that a later run can recognise it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(asdict(process)))
    draft.replace(path)


def recall(path: Path) -> Process | None:
    """The process written down at `path` if that very process still runs, else None."""
    try:
        noted = Process(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    current = look(noted.pid) if isinstance(noted.pid, int) else None
    return current if current and current.started == noted.started else None


def wait_until_gone(process: Process, seconds: float) -> bool:
    """True as soon as the process has ended; False if it still runs after `seconds`."""
    deadline = time.monotonic() + seconds
    while is_running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_running(process: Process) -> bool:
    """Whether that very process (same pid, same start time) still runs."""
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    current = look(process.pid)
    return current is not None and current.started == process.started


def stop(process: Process, steps: list[tuple[signal.Signals, float]]) -> bool:
    """Send each signal in turn and wait its seconds; True when the process is gone."""
    for number, seconds in steps:
        if not is_running(process):
            return True
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        if wait_until_gone(process, seconds):
            return True
    return not is_running(process)
