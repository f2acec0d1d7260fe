"""The source tree goes in; one line for each check comes out, and every check runs even when one fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.dev.environment import product_environment
from tools.devstack.places import REPOSITORY, profile
from tools.devstack.stack import stack

PACKAGES = ("decisioning", "rules", "campaigns", "tools")
RUFF, BRIEFLY = (sys.executable, "-m", "ruff"), ("--quiet", "--output-format=concise")
MANAGE = (sys.executable, "manage.py")
# What a production start needs; the values only have to be well formed, nothing is connected to.
PRODUCTION = {
    "DECISIONING_ENV": "production",
    "SECRET_KEY": "a-long-value-of-which-only-the-length-and-the-variety-matter-0123456789",
    "ALLOWED_HOSTS": "decisioning.example",
    "CSRF_TRUSTED_ORIGINS": "https://decisioning.example",
    "PUBLIC_URL": "https://decisioning.example",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One command that must exit with 0; `variables` are added to its environment."""

    name: str
    words: Sequence[str]
    variables: dict[str, str] = field(default_factory=dict)


CHECKS = (
    Check("ruff check", (*RUFF, "check", *BRIEFLY, ".")),
    Check("ruff format", (*RUFF, "format", "--check", *BRIEFLY, ".")),
    Check("mypy", (sys.executable, "-m", "mypy", *PACKAGES)),
    Check("import-linter", (str(Path(sys.executable).with_name("lint-imports")), "--no-logo")),
    Check("migrations", (*MANAGE, "makemigrations", "--check", "--dry-run")),
    Check("deployment", (*MANAGE, "check", "--deploy", "--fail-level", "WARNING"), PRODUCTION),
)


def check() -> int:
    """Run every check; 0 only when all passed."""
    with stack("test") as servers:
        variables = os.environ | product_environment(profile("test"), servers)
        results = [_passes(one, variables) for one in CHECKS]
    print(f"── {sum(results)} of {len(results)} checks passed.")
    return 0 if all(results) else 1


def _passes(one: Check, variables: dict[str, str]) -> bool:
    began = time.monotonic()
    done = subprocess.run(
        one.words, cwd=REPOSITORY, env=variables | one.variables, capture_output=True, text=True, check=False
    )
    passed = done.returncode == 0
    print(f"{'ok    ' if passed else 'FAILED'} {one.name:<14} {time.monotonic() - began:5.1f} s", flush=True)
    if not passed:
        print(_indented(done.stdout + done.stderr), flush=True)
    return passed


def _indented(text: str) -> str:
    return "\n".join(f"       {line}" for line in text.strip().splitlines())
