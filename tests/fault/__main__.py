"""Comes in: names of faults (none: all) and options. Goes out: a table for people, then one JSON object a line.

    python -m tests.fault [intake] [bombs] [stopped] [--events 1000000] [--seed 20260302]

The exit code is 1 when an invariant does not hold.
"""

import argparse
import sys
from collections.abc import Callable

from tests.fault import bombs, intake, stopped
from tests.fault.figure import Figure, table

FAULTS: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "intake": lambda options: intake.run(intake.Plan(events=options.events, seed=options.seed)),
    "bombs": lambda options: bombs.run(options.seed),
    "stopped": lambda options: stopped.run(options.seed),
}


def main() -> int:
    """Run what is asked for; nothing but results goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault")
    parser.add_argument("names", nargs="*", choices=[[], *FAULTS], metavar="NAME", help=" | ".join(FAULTS))
    parser.add_argument("--events", type=int, default=1_000_000, help="items sent to the intake (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=20260302)
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.names or FAULTS:
        print(f"… {name}", file=sys.stderr, flush=True)
        figures += FAULTS[name](options)
    print(table(figures))
    for one in figures:
        print(one.line())
    return 0 if all(one.holds for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
