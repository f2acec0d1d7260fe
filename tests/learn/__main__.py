"""Comes in: names of data sets (none: all) and where files are. Goes out: a table, then one JSON object a line.

    python -m tests.learn [coupons] [openbandit] [ranklens] [hillstrom] [--ranklens FILE] [--hillstrom FILE]

What is not given, or not installed, is skipped, and says so. The exit code is 1 when a figure is not as wanted.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.learn.bandit import openbandit
from tests.learn.commands import hillstrom, ranklens
from tests.learn.coupons import coupons
from tests.learn.figure import Figure, table

Report = Callable[[argparse.Namespace], Iterable[Figure]]


def given(word: str, report: Callable[[Path], Iterable[Figure]]) -> Report:
    """The report on a file, or the word that it is not there."""

    def on(options: argparse.Namespace) -> Iterable[Figure]:
        path = getattr(options, word)
        return report(path) if path else [Figure(word, words=f"give --{word} FILE to measure it")]

    return on


REPORTS: dict[str, Report] = {
    "coupons": lambda options: coupons(),
    "openbandit": lambda options: openbandit(),
    "ranklens": given("ranklens", ranklens),
    "hillstrom": given("hillstrom", hillstrom),
}


def main() -> int:
    """Run what is asked for; nothing but results goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tests.learn")
    parser.add_argument("names", nargs="*", choices=[[], *REPORTS], metavar="NAME", help=" | ".join(REPORTS))
    parser.add_argument("--ranklens", type=Path, help="rankings in Metarank's format (JSON Lines, gzip or not)")
    parser.add_argument("--hillstrom", type=Path, help="the e-mail challenge of 2008 (CSV, gzip or not)")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.names or REPORTS:
        print(f"… {name}", file=sys.stderr, flush=True)
        figures += REPORTS[name](options)
    print(table(figures))
    for one in figures:
        print(one.line())
    return 1 if any(one.holds is False for one in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
