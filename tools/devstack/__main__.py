"""Command-line words go in; servers are started, stopped, shown or talked to.

python -m tools.devstack start --profile test --env     # prints export lines, servers stay
python -m tools.devstack stop | status | env | psql -- [ARG …] | redis -- [COMMAND …]
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys

from tools.devstack import postgres
from tools.devstack.places import Profile, StackError, known_profiles, profile
from tools.devstack.stack import environment, start, status, stop


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 only when it did what was asked."""
    words = sys.argv[1:] if arguments is None else arguments
    ours, rest = _split(words)
    options = _parser().parse_args(ours)
    try:
        return _run(options, profile(options.profile), rest)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those behind `--` that psql or redis get."""
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.devstack", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=["start", "stop", "status", "env", "psql", "redis"])
    parser.add_argument("--profile", default="demo", help="demo (durable), test (fast), or a name of yours")
    parser.add_argument("--env", action="store_true", help="print export lines for a shell")
    return parser


def _run(options: argparse.Namespace, place: Profile, rest: list[str]) -> int:
    if options.command == "start":
        return _start(place, options.env)
    if options.command == "stop":
        return 0 if stop(place) else 1
    if options.command == "status":
        print("\n".join(line for known in known_profiles() for line in status(known)) or "nothing was started")
        return 0
    if options.command == "env":
        return _print_exports(environment(place))
    return _psql(place, rest) if options.command == "psql" else _redis(place, rest)


def _start(place: Profile, exports: bool) -> int:
    variables = start(place, keep=True)
    if exports:
        return _print_exports(variables)
    print("\n".join(status(place)))
    return 0


def _print_exports(variables: dict[str, str]) -> int:
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _psql(place: Profile, words: list[str]) -> int:
    programs, sockets = postgres.programs_and_socket(place)
    command = ["psql", "-h", str(sockets), "-U", postgres.ROLE, "-d", postgres.DATABASE, *words]
    os.execv(programs / "psql", command)  # noqa: S606 - psql takes over the terminal


def _redis(place: Profile, words: list[str]) -> int:
    address = environment(place)["REDIS_URL"]
    client = shutil.which("valkey-cli") or shutil.which("redis-cli")
    if client and address.startswith("unix://"):
        path = address.removeprefix("unix://").partition("?")[0]
        os.execv(client, [client, "-s", path, *words])  # noqa: S606 - it takes over the terminal
    os.execv(sys.executable, [sys.executable, "-m", "tools.devstack.console", address, *words])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
