"""A command's name goes in; its packages are installed, then it runs on the repository's own Python.

python3 -m tools.dev demo | smoke | test | e2e | check | bench | learn-report | fault | fuzz
                     up | env | down | reset | doctor | lock
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tools.dev import bootstrap, checks, demo, doctor, suite, upkeep
from tools.devstack.openmp import library_environment
from tools.devstack.places import REPOSITORY, StackError, run_folder

SERVERS = ("base", "embedded")
DEMO = (*SERVERS, "demo")
TESTS = (*DEMO, "dev")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: the requirement files it needs first (None: runs on any Python), and what it does."""

    help: str
    needs: tuple[str, ...] | None
    run: Callable[[list[str]], int]


COMMANDS = {
    "demo": Command("import real data and serve the whole product", DEMO, lambda words: demo.demo()),
    "smoke": Command("run the loop once and exit", DEMO, lambda words: demo.smoke()),
    "test": Command("every test but those in a browser", TESTS, suite.test),
    "e2e": Command("the tests in a browser", (*TESTS, "e2e"), suite.e2e),
    "check": Command("style, types, import floors, migrations, deployment", TESTS, lambda words: checks.check()),
    "bench": Command("speed, next to peers", (*TESTS, "bench"), lambda words: suite.measure("bench", words)),
    "learn-report": Command("quality of what is learned", TESTS, lambda words: suite.measure("learn", words)),
    "fuzz": Command("calls made of the served schema", TESTS, lambda words: suite.measure("fuzz", words)),
    "fault": Command("break things and count", TESTS, lambda words: suite.measure("fault", words)),
    "env": Command("print export lines for a shell (ARGS=test: that profile)", SERVERS, upkeep.env),
    "up": Command("PostgreSQL and Valkey only", SERVERS, lambda words: upkeep.up()),
    "down": Command("stop whatever runs", None, lambda words: upkeep.down()),
    "reset": Command("stop and delete all data", None, lambda words: upkeep.reset()),
    "doctor": Command("look at the machine", None, lambda words: doctor.doctor()),
    "lock": Command("compile the requirements", (), lambda words: upkeep.lock()),
}


def main(words: list[str]) -> int:
    """Run the command; StackErrors become one message and exit code 1."""
    command = COMMANDS.get(words[0]) if words else None
    if command is None:
        return _usage(words)
    try:
        return _run(command, words)
    except StackError as error:
        print(f"── {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(command: Command, words: list[str]) -> int:
    # Many Python processes start from here: without bytecode each would compile the libraries anew, for 5 s.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if command.needs is not None:
        bootstrap.ensure(name for name in command.needs if (bootstrap.REQUIREMENTS / f"{name}.txt").exists())
        if not bootstrap.inside():
            _continue_inside(words)
        os.environ.update(library_environment(run_folder()))
    elif words[0] == "doctor" and bootstrap.python().exists() and not bootstrap.inside():
        _continue_inside(words)  # the wheels are seen from there only
    return command.run(words[1:])


def _continue_inside(words: list[str]) -> None:
    """Become the environment's own Python; does not return."""
    os.chdir(REPOSITORY)
    sys.stdout.flush()
    os.execv(bootstrap.python(), [str(bootstrap.python()), "-m", "tools.dev", *words])  # noqa: S606


def _usage(words: list[str]) -> int:
    if words and words[0] not in ("help", "-h", "--help"):
        print(f"There is no command {words[0]!r}.", file=sys.stderr)
    for name, command in COMMANDS.items():
        print(f"  make {name:<13} {command.help}")
    return 0 if words and words[0] in ("help", "-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
