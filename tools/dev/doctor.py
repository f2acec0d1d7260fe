"""The machine goes in; one line for each thing we rely on comes out, with the cure where one is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tools.dev import bootstrap, environment, suite
from tools.devstack import accounts, binaries, openmp
from tools.devstack.places import REPOSITORY, StackError, known_profiles, run_folder
from tools.devstack.stack import status

DISK_NEEDED = 4 * 2**30
MEMORY_NEEDED = 3 * 2**30
# How a MaxMind DB file is known: these bytes stand before its last section, which has at most 128 KB.
MAXMIND, MAXMIND_TAIL = b"\xab\xcd\xefMaxMind.com", 128 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `cure` is empty when all is well; `needed` tells a fault from a remark."""

    name: str
    seen: str
    cure: str = ""
    needed: bool = True


def doctor() -> int:
    """Print every finding; 1 when something that is needed is missing."""
    findings = [look() for look in LOOKS]
    for finding in findings:
        mark = "ok  " if not finding.cure else "FAIL" if finding.needed else "note"
        print(f"{mark} {finding.name:<18} {finding.seen}")
        if finding.cure:
            print(f"     {'':<18} → {finding.cure}")
    for place in known_profiles():
        print("\n".join(status(place)))
    return 1 if any(finding.cure and finding.needed for finding in findings) else 0


def _python() -> Finding:
    return Finding("Python", f"{platform.python_version()} ({sys.executable})")


def _venv() -> Finding:
    missing = find_spec("ensurepip") is None and not bootstrap.python().exists()
    return Finding("venv module", "missing" if missing else "there", bootstrap.VENV_CURE if missing else "")


def _disk() -> Finding:
    free = shutil.disk_usage(REPOSITORY).free
    cure = "Packages and data need about 4 GB: free some." if free < DISK_NEEDED else ""
    return Finding("disk", f"{free / 2**30:.1f} GB free", cure)


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cure = "Importing and training want about 3 GB." if total < MEMORY_NEEDED else ""
    return Finding("memory", f"{total / 2**30:.1f} GB", cure, needed=False)


def _port() -> Finding:
    port = environment.wanted_port()
    free = environment.free_port(port)
    if free == port:
        return Finding("web port", f"{port} is free")
    return Finding("web port", f"{port} is taken", f"make demo will use {free}; PORT=… chooses", needed=False)


def _openmp() -> Finding:
    if openmp.system_has_it():
        return Finding("OpenMP", f"{openmp.NAME} of the system")
    if library := openmp.bundled():
        return Finding("OpenMP", f"{library.name} of scikit-learn's wheel will be linked")
    cure = "Comes with `make demo`; to run without our commands: apt install libgomp1"
    return Finding("OpenMP", f"{openmp.NAME} not found", cure, needed=False)


def _account() -> Finding:
    if os.geteuid() != 0:
        return Finding("account", "ordinary user: PostgreSQL runs as you")
    if os.environ.get("DATABASE_URL"):
        return Finding("account", "root, with a database of yours")
    namespaces = subprocess.run([*accounts.NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    if namespaces:
        return Finding("account", "root: PostgreSQL runs in a user namespace")
    return Finding("account", "root without user namespaces: PostgreSQL runs as an unprivileged account")


def _sockets() -> Finding:
    folder = Path(tempfile.gettempdir())
    good = os.access(folder, os.W_OK | os.X_OK)
    cure = "" if good else "Sockets go to the temporary folder: point TMPDIR at one that can be written to."
    return Finding("socket folder", str(folder), cure)


def _run_folder() -> Finding:
    folder = run_folder()
    foreign = folder.exists() and not os.access(folder, os.W_OK)
    cure = "Made by another user: run as that user, or `make reset` as that user." if foreign else ""
    return Finding("data folder", str(folder), cure)


def _postgres() -> Finding:
    try:
        folder = binaries.postgres_programs()
        return Finding("PostgreSQL", f"{binaries.major_version(folder)} in {folder}")
    except StackError as error:
        return Finding("PostgreSQL", "not found", str(error), needed=False)


def _valkey() -> Finding:
    try:
        return Finding("Valkey", str(binaries.valkey_server()))
    except StackError as error:
        return Finding("Valkey", "not found", str(error), needed=False)


def _places() -> Finding:
    path = os.environ.get("GEO_DATABASE", "")
    if not path:
        return Finding("places", "no GEO_DATABASE")
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - MAXMIND_TAIL))
            good = MAXMIND in file.read()
    except OSError as error:
        return Finding("places", path, f"It cannot be read ({error.strerror}): mend GEO_DATABASE or unset it.")
    return Finding("places", path, "" if good else "This is no MaxMind DB file (.mmdb): point GEO_DATABASE at one.")


def _chromium() -> Finding:
    try:
        return Finding("Chromium", str(suite.chromium()))
    except StackError as error:
        return Finding("Chromium", "not found", str(error), needed=False)


LOOKS: tuple[Callable[[], Finding], ...] = (
    _python, _venv, _disk, _memory, _port, _openmp,
    _account, _sockets, _run_folder, _postgres, _valkey, _places, _chromium,
)  # fmt: skip
