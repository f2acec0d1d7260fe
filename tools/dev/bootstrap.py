"""Names of requirement files go in; a virtual environment that holds exactly them comes out.

Runs on a bare Python. A stamp in `.venv` remembers the digest of every file that is installed, so that the
second run costs one comparison; files of earlier runs stay installed beside the new ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from tools.devstack.places import REPOSITORY, StackError

VENV = REPOSITORY / ".venv"
STAMP = VENV / "requirements.stamp.json"
REQUIREMENTS = REPOSITORY / "requirements"
# Installs uv itself; everything after it is uv's work.
FIRST = "bootstrap"
VENV_CURE = (
    "This Python cannot make virtual environments: the module ensurepip is missing. "
    "On Debian and Ubuntu: apt install python3-venv"
)


def python() -> Path:
    """The Python of the repository's own environment."""
    return VENV / "bin" / "python"


def inside() -> bool:
    """Whether this process already runs on the environment's Python."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def ensure(names: Iterable[str]) -> None:
    """Install the named requirement files (`base` is requirements/base.txt) if anything changed.

    Raises StackError with the cure when the environment cannot be made.
    """
    installed = _read_stamp()
    wanted = _digests([FIRST, *names])
    if installed and wanted.items() <= installed.items():
        return
    print("── Python packages: installing what changed", file=sys.stderr, flush=True)
    _prepare(moved=STAMP.exists() and not installed)
    together = _digests([*wanted, *(name for name in installed if _file(name).exists())])
    _install(list(together), exactly=bool(installed))
    STAMP.write_text(json.dumps({"place": str(VENV), "files": together}, indent=1))


def _read_stamp() -> dict[str, str]:
    """Digest by file name; empty when there is no environment, or one that was moved or half made."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp["files"] if stamp.get("place") == str(VENV) and python().exists() else {}


def _digests(names: Iterable[str]) -> dict[str, str]:
    return {name: hashlib.sha256(_file(name).read_bytes()).hexdigest() for name in names}


def _file(name: str) -> Path:
    return REQUIREMENTS / f"{name}.txt"


def _prepare(moved: bool) -> None:
    """Make the environment unless a working one is there, and put uv into it (pinned by hash)."""
    if moved or not _succeeds("import sys; sys.exit(sys.version_info < (3, 11))"):
        if find_spec("ensurepip") is None:
            raise StackError(VENV_CURE)
        if VENV.is_symlink():
            # What it leads to belongs to another copy of the sources, which goes on using it.
            VENV.unlink()
        _run([sys.executable, "-m", "venv", "--clear", VENV], "The virtual environment could not be made.")
    if VENV.joinpath("bin", "uv").exists():
        return
    if not _succeeds("import pip"):
        _run([python(), "-m", "ensurepip"], VENV_CURE)
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--require-hashes"]
    _run(
        [python(), "-m", "pip", "install", *options, "-r", _file(FIRST)],
        "uv could not be installed: is the package index reachable? (PIP_INDEX_URL names another.)",
    )


def _succeeds(statement: str) -> bool:
    if not python().exists():
        return False
    return subprocess.run([python(), "-c", statement], capture_output=True, check=False).returncode == 0


def _install(names: list[str], exactly: bool) -> None:
    """`exactly` takes out what no file lists; not in an environment somebody else has made and filled."""
    quiet = ["--quiet"] if os.environ.get("CI") or not sys.stderr.isatty() else []
    files = [word for name in names for word in ("-r", _file(name))]
    words = ["sync", *map(_file, names)] if exactly else ["install", *files]
    _run(
        [_uv(), "pip", *words, *quiet, "--require-hashes", "--python", python()],
        "The packages could not be installed: is the package index reachable? (UV_DEFAULT_INDEX: another.)",
    )


def _uv() -> Path:
    own = VENV / "bin" / "uv"
    found = shutil.which("uv")
    if not own.exists() and found:
        return Path(found)
    return own


def uv(arguments: list[str | Path], failure: str) -> None:
    """Run uv in the repository; StackError with `failure` when it does not succeed."""
    _run([_uv(), *arguments], failure)


def _run(command: list[str | Path], failure: str) -> None:
    # uv would otherwise fetch a whole Python when none fits; the one that runs this is the one wanted.
    variables = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, check=False)
    if done.returncode != 0:
        raise StackError(f"{failure} (exit code {done.returncode} of: {' '.join(map(str, command[:5]))} …)")
