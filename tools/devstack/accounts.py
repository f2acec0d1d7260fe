"""Who we are goes in; the account that may run PostgreSQL, and how to become it, come out.

PostgreSQL refuses uid 0. An ordinary user runs it as is. Root first tries a user namespace (no account is
touched, files stay root's), then an unprivileged account of the machine; the first that works is taken.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools.devstack.places import StackError

NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
UNPRIVILEGED = ("postgres", "nobody")
ROOT_CURE = (
    "PostgreSQL does not run as root, and this machine allows neither a user namespace "
    "(unshare --user) nor another account to run it. Run the command as an ordinary user, "
    "or point DATABASE_URL at a PostgreSQL server of yours."
)


@dataclass(frozen=True, slots=True)
class Account:
    """How to run a PostgreSQL program: words put before it, and the uid and gid to take first (or None)."""

    prefix: tuple[str, ...] = ()
    ids: tuple[int, int] | None = None

    def popen(self, arguments: Sequence[str | Path], log: IO[bytes], leash: bool = False) -> subprocess.Popen[bytes]:
        """Start a server in its own session; on a leash the kernel stops it when its parent dies.

        The leash is put on inside the namespace: entering one would take it off again.
        """
        tether = _leash("INT") if leash else []
        return subprocess.Popen(
            [*self.prefix, *tether, *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            user=self.ids[0] if self.ids else None,
            group=self.ids[1] if self.ids else None,
            extra_groups=[] if self.ids else None,
        )  # fmt: skip

    def run(self, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with what it printed."""
        return subprocess.run(
            [*self.prefix, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/",
            user=self.ids[0] if self.ids else None,
            group=self.ids[1] if self.ids else None,
            extra_groups=[] if self.ids else None,
        )  # fmt: skip


def _leash(signal_name: str) -> list[str]:
    return ["setpriv", f"--pdeathsig={signal_name}"] if shutil.which("setpriv") else []


def leash(signal_name: str = "TERM") -> list[str]:
    """Words before a command that make the kernel send it `signal_name` when its parent dies (Linux)."""
    return _leash(signal_name)


def choose(programs: Path, data: Path) -> tuple[Account, Path, Path]:
    """The account, its programs' folder and its data folder, for the data that is (or will be) at `data`.

    Data that exists decides: whoever owns it runs the server.
    """
    if os.geteuid() != 0:
        return Account(), programs, data
    owner = (data.stat().st_uid, data.stat().st_gid) if data.exists() else None
    if owner is None or owner[0] == 0:
        namespace = Account(prefix=NAMESPACE)
        if shutil.which(NAMESPACE[0]) and _works(namespace, programs):
            return namespace, programs, data
        if owner:
            raise StackError(f"{ROOT_CURE} (The data in {data} was made in a user namespace.)")
    return _other_account(programs, data, [owner] if owner else _unprivileged())


def _other_account(programs: Path, data: Path, ids: list[tuple[int, int]]) -> tuple[Account, Path, Path]:
    for account in (Account(ids=pair) for pair in ids):
        folder = programs if _works(account, programs) else _relocated(programs)
        if _works(account, folder):
            return account, folder, _reachable(data, account)
    raise StackError(ROOT_CURE)


def _unprivileged() -> list[tuple[int, int]]:
    by_name = {entry.pw_name: (entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    return [by_name[name] for name in UNPRIVILEGED if name in by_name]


def _works(account: Account, programs: Path) -> bool:
    try:
        return account.run([programs / "initdb", "--version"]).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _relocated(programs: Path) -> Path:
    """A copy of the wheel's programs where every account can read them (the repository may be private)."""
    package = programs.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.is_dir():
        return programs
    # A newer wheel in the same place gets a copy of its own.
    made = programs.joinpath("postgres").stat().st_mtime_ns
    target = _shared_folder(f"{package} {made}") / package.name
    if not target.exists():
        shutil.copytree(libraries, target.with_name(libraries.name), dirs_exist_ok=True, symlinks=True)
        draft = target.with_name(f"{target.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(package, draft, symlinks=True)
        draft.rename(target)
    return target / programs.relative_to(package)


def _reachable(data: Path, account: Account) -> Path:
    """`data` itself if the account can get there, else a folder of its own with `data` as a link to it."""
    data.parent.mkdir(parents=True, exist_ok=True)
    if account.run(["test", "-x", data.parent]).returncode == 0:
        return data
    home = _shared_folder(str(data))
    if account.ids:
        os.chown(home, *account.ids)
    if not data.is_symlink():
        data.symlink_to(home / "data")
    return home / "data"


def _shared_folder(of: str) -> Path:
    """A folder below /var/tmp for `of`; one that an ordinary user planted there is refused."""
    digest = hashlib.sha256(of.encode()).hexdigest()[:12]
    folder = Path("/var/tmp") / f"decisioning-{digest}"  # noqa: S108 - survives a reboot, open to all
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in {0, *(uid for uid, _ in _unprivileged())}:
        raise StackError(f"{folder} belongs to somebody else. Remove it, then try again.")
    return folder
