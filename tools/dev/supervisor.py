"""Commands go in; they run side by side, are restarted when they die, and all stop together.

One line a child goes to the terminal (with its name) and to its log file. The kernel asks the children to
stop when the supervisor itself is killed (Linux); what still survives is ended at the next start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tools.dev import strays
from tools.devstack import accounts, processes
from tools.devstack.places import REPOSITORY, Profile

# A child that lives so long counts as well: its next death is waited for only briefly again.
HEALTHY_SECONDS = 20.0
LONGEST_PAUSE = 15.0
COLOURS = ("36", "33", "32", "35", "34")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: a short name, the words, and how many seconds it may take to stop."""

    name: str
    words: Sequence[str]
    patience: float = 5.0


@dataclass(slots=True)
class Child:
    """One running command with its restarts."""

    command: Command
    process: subprocess.Popen[str]
    started: float
    deaths: int = 0
    next_try: float = field(default=0.0)

    @property
    def pause(self) -> float:
        return min(LONGEST_PAUSE, 0.5 * 2**self.deaths)


class Supervisor:
    """Starts commands of one profile with one environment, and keeps them running until `stop`."""

    def __init__(self, place: Profile, variables: Mapping[str, str], echo: bool = False) -> None:
        self.place = place
        self.variables = dict(variables)
        self.echo = echo
        self.children: list[Child] = []
        self._printing = threading.Lock()

    def start(self, command: Command) -> None:
        """Start one command. Call it from the main thread: the leash is tied to the starting thread."""
        self.children.append(Child(command, self._spawn(command), time.monotonic()))

    def watch(self) -> None:
        """Restart children that end by themselves, with a growing pause; one round."""
        for child in self.children:
            if child.process.poll() is None:
                continue
            if not child.next_try:
                self._note_death(child)
            elif time.monotonic() >= child.next_try:
                child.process, child.started = self._spawn(child.command), time.monotonic()
                child.next_try = 0.0

    def serve(self) -> None:
        """Watch until an exception (Ctrl-C) ends it."""
        while True:
            self.watch()
            time.sleep(0.2)

    def stop(self) -> None:
        """Ask each child in reverse order of starting, wait within its patience, then kill its group."""
        living = [child for child in reversed(self.children) if child.process.poll() is None]
        for child in living:
            child.process.terminate()
        deadlines = {id(child): time.monotonic() + child.command.patience for child in living}
        for child in living:
            self._wait_or_kill(child, deadlines[id(child)] - time.monotonic())
        self.children.clear()
        strays.end(self.place)

    def tail(self, name: str, lines: int = 25) -> str:
        """The last lines a command wrote."""
        path = self._log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def say(self, name: str, line: str) -> None:
        """Print one line under a child's name."""
        index = next((i for i, child in enumerate(self.children) if child.command.name == name), 0)
        label = f"{name:<7}│"
        if sys.stdout.isatty():
            label = f"\x1b[{COLOURS[index % len(COLOURS)]}m{label}\x1b[0m"
        with self._printing, suppress(OSError):
            print(label, line, flush=True)

    def _spawn(self, command: Command) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*accounts.leash("TERM"), *command.words],
            cwd=REPOSITORY, env=os.environ | self.variables, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", bufsize=1,
        )  # fmt: skip
        if found := processes.look(process.pid):
            processes.remember(self.place.folder / "children" / f"{command.name}.json", found)
        threading.Thread(target=self._copy_lines, args=(command.name, process), daemon=True).start()
        return process

    def _copy_lines(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        path = self._log(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as log, process.stdout:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if self.echo:
                    self.say(name, line.rstrip("\n"))

    def _note_death(self, child: Child) -> None:
        code = child.process.returncode
        if time.monotonic() - child.started > HEALTHY_SECONDS:
            child.deaths = 0
        self._kill_orphans(child)
        reason = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self.say(child.command.name, f"{reason}; starting again in {child.pause:g} s")
        child.next_try = time.monotonic() + child.pause
        child.deaths += 1

    def _wait_or_kill(self, child: Child, seconds: float) -> None:
        try:
            child.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()

    def _kill_orphans(self, child: Child) -> None:
        """End what a dead child forked: pool processes would go on working beside the new pool."""
        for orphan in strays.find(self.place):
            with suppress(ProcessLookupError):
                if os.getpgid(orphan.pid) == child.process.pid:
                    os.kill(orphan.pid, signal.SIGKILL)

    def _log(self, name: str) -> Path:
        return self.place.folder / "log" / f"{name}.log"
