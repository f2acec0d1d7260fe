"""Comes in: names of benches (none: all). Goes out: a table for people, then one JSON object a line.

    python -m tests.bench [NAME ...]      also by ONLY=NAME in the environment

A module of this folder that has a dictionary `BENCHES` (name → function without arguments that yields results) takes
part; a name matches when it is the same, or stands before an underscore of the bench's name.
"""

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.bench.measure import Result

Bench = Callable[[], Iterable[Result]]


def registry() -> dict[str, Bench]:
    """Every bench there is, by name."""
    found: dict[str, Bench] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name != "__main__":
            found |= getattr(importlib.import_module(f"tests.bench.{module.name}"), "BENCHES", {})
    return found


def chosen(names: list[str]) -> Iterator[tuple[str, Bench]]:
    """The benches that are asked for; exits with the known names when one is unknown."""
    known = registry()
    for name in names:
        if not any(_meant(name, one) for one in known):
            sys.exit(f"There is no bench {name}. Known: {', '.join(sorted(known))}.")
    for name, bench in sorted(known.items()):
        if not names or any(_meant(one, name) for one in names):
            yield name, bench


def _meant(word: str, name: str) -> bool:
    return name == word or name.startswith(f"{word}_")


def table(results: list[Result]) -> str:
    """The results in columns."""
    rows = [("bench", "value", "unit", "peer", "its value", "ratio")]
    for one in results:
        peer_value = "" if one.peer_value is None else f"{one.peer_value:,.1f}"
        ratio = "" if one.ratio is None else f"{one.ratio:,.1f}"
        rows.append((one.bench, f"{one.value:,.3g}", one.unit, one.peer or "", peer_value, ratio))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> None:
    """Runs the benches; nothing but results goes to standard output."""
    asked = sys.argv[1:] or [word for word in os.environ.get("ONLY", "").split(",") if word]
    results: list[Result] = []
    for name, bench in chosen(asked):
        print(f"… {name}", file=sys.stderr, flush=True)
        results.extend(bench())
    print(table(results))
    for one in results:
        print(one.line())


if __name__ == "__main__":
    main()
