"""A profile name goes in; the folders, sockets and locks of that profile come out."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parents[2]
# A unix socket's path must fit 107 bytes with "/.s.PGSQL.5432" behind the folder.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")
PROFILE_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class StackError(Exception):
    """Something the person at the keyboard can cure; the message says how."""


def run_folder() -> Path:
    """Where everything that is made while running lives: `DECISIONING_RUN_DIR`, else `.run/`."""
    return Path(os.environ.get("DECISIONING_RUN_DIR") or REPOSITORY / ".run").absolute()


@dataclass(frozen=True, slots=True)
class Profile:
    """One set of servers with its own data. Profiles named `test…` trade durability for speed."""

    name: str
    run: Path

    @property
    def durable(self) -> bool:
        return not self.name.startswith("test")

    @property
    def folder(self) -> Path:
        return self.run / self.name

    def data(self, service: str) -> Path:
        return self.folder / service

    def record(self, service: str) -> Path:
        return self.folder / f"{service}.process.json"

    def log(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    @property
    def kept(self) -> Path:
        """Exists while the servers were started to stay, whoever else uses them meanwhile."""
        return self.folder / "kept"

    def prepare(self) -> None:
        """Make the folder; a folder of somebody else's is an error with its cure."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.folder.joinpath("lock").open("a"):
                pass
        except PermissionError as error:
            raise StackError(
                f"{error.filename} belongs to another user. Run the same command as that user, "
                "or remove the folder as that user with `make reset`."
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One starter or stopper at a time; the lock goes away with the process that holds it."""
        self.prepare()
        with self.folder.joinpath("lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def join(self) -> IO[str]:
        """Hold a shared lock as one user of the servers, until the handle is closed."""
        self.prepare()
        handle = self.folder.joinpath("users").open("a")
        fcntl.flock(handle, fcntl.LOCK_SH)
        return handle

    def has_users(self) -> bool:
        """Whether any process still holds the lock of `join`."""
        self.prepare()
        with self.folder.joinpath("users").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def socket_folder(self, owner: tuple[int, int] | None = None) -> Path:
        """The short, private temporary folder of the sockets, made once and then found again.

        `owner` is the uid and gid that must be able to write there when they are not ours.
        """
        note = self.folder / "sockets"
        uid = os.getuid() if owner is None else owner[0]
        if note.exists() and _private_to(Path(note.read_text()), uid):
            return Path(note.read_text())
        folder = Path(tempfile.mkdtemp(prefix="decisioning-", dir=_short_temporary_folder()))
        if owner is not None:
            os.chown(folder, *owner)
        note.write_text(str(folder))
        return folder

    def known_socket_folder(self) -> Path | None:
        """The folder `socket_folder` made earlier, if it is still there."""
        note = self.folder / "sockets"
        folder = Path(note.read_text()) if note.exists() else None
        return folder if folder and folder.is_dir() else None

    def remove_sockets(self) -> None:
        """Remove the temporary folder; the next start makes a new one."""
        if folder := self.known_socket_folder():
            shutil.rmtree(folder, ignore_errors=True)
        self.folder.joinpath("sockets").unlink(missing_ok=True)


def _short_temporary_folder() -> str:
    preferred = tempfile.gettempdir()
    return preferred if len(preferred.encode()) + 24 <= LONGEST_SOCKET_FOLDER else "/tmp"  # noqa: S108 - the sockets' limit


def _private_to(folder: Path, uid: int) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == uid and stat.S_IMODE(facts.st_mode) == 0o700


def profile(name: str, run: Path | None = None) -> Profile:
    """The profile called `name` (lower-case letters, digits, dashes) below `run`."""
    if not PROFILE_NAME.fullmatch(name):
        raise StackError(f"{name!r} is no profile name: use lower-case letters, digits and dashes.")
    return Profile(name, (run or run_folder()).absolute())


def known_profiles(run: Path | None = None) -> list[Profile]:
    """Every profile that has a folder below `run`, by name."""
    folder = (run or run_folder()).absolute()
    if not folder.is_dir():
        return []
    names = sorted(entry.parent.name for entry in folder.glob("*/lock"))
    return [Profile(name, folder) for name in names if PROFILE_NAME.fullmatch(name)]
