"""Words for pytest or a bench go in; they run on servers of their own, and the exit code comes out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.dev.environment import product_environment
from tools.dev.node import node_environment
from tools.devstack.places import REPOSITORY, StackError, profile
from tools.devstack.stack import stack

NOTHING_COLLECTED = 5  # pytest's exit code when no test was selected
BROWSER_MARK = "pytest.mark.e2e"
CHROMIUM = (Path("/usr/bin/chromium"), Path("/usr/bin/chromium-browser"), Path("/usr/bin/google-chrome"))


def test(words: list[str]) -> int:
    """Every test but those that need a browser. Seven at once on two cores: many of them wait.

    Whole files are given out in their order, those that take long first, so that servers are started once a file.
    """
    code = _pytest(["-n", "7", "--dist", "loadfile", "--no-loadscope-reorder", "-m", "not e2e", *words])
    left_out = browser_tests()
    if left_out:
        print(f"── Left out: browser tests in {', '.join(left_out)}. Run them with `make e2e`.")
    else:
        print("── Left out: browser tests (`make e2e`); there are none yet.")
    return code


def e2e(words: list[str]) -> int:
    """The tests that need Chromium or Node, two browsers at once."""
    browser = chromium()
    together = ["-n", "2", "--dist", "loadfile"]
    code = _pytest([*together, "-m", "e2e", *words], {"CHROMIUM": str(browser), **node_environment()})
    if code == NOTHING_COLLECTED:
        print("── There are no browser tests yet: nothing was run.")
        return 0
    return code


def measure(package: str, words: list[str]) -> int:
    """Run `python -m tests.<package>`, with `ONLY` as its word when it is set."""
    if not REPOSITORY.joinpath("tests", package, "__main__.py").exists():
        raise StackError(f"There is no tests/{package}/__main__.py in this tree, so nothing can be measured.")
    only = [os.environ["ONLY"]] if os.environ.get("ONLY") else []
    return _on_servers(package, [sys.executable, "-m", f"tests.{package}", *only, *words])


def chromium() -> Path:
    """The machine's Chromium; StackError says how to get one."""
    found = next((path for path in CHROMIUM if path.exists()), None)
    if found is None:
        raise StackError("Browser tests need Chromium. On Debian: apt install chromium")
    return found


def browser_tests() -> list[str]:
    """The test files that hold browser tests."""
    files = sorted(REPOSITORY.joinpath("tests").rglob("test_*.py"))
    return [str(path.relative_to(REPOSITORY)) for path in files if BROWSER_MARK in path.read_text()]


def _pytest(words: list[str], variables: dict[str, str] | None = None) -> int:
    return _on_servers("test", [sys.executable, "-m", "pytest", *words], variables)


def _on_servers(name: str, command: list[str], variables: dict[str, str] | None = None) -> int:
    place = profile(name)
    with stack(name) as servers:
        together = os.environ | product_environment(place, servers) | (variables or {})
        try:
            return subprocess.run(command, cwd=REPOSITORY, env=together, check=False).returncode
        except KeyboardInterrupt:
            return 130
