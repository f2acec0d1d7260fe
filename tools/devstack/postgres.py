"""A profile goes in; a running PostgreSQL server on a unix socket, and its `DATABASE_URL`, come out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tools.devstack import accounts, binaries, processes
from tools.devstack.accounts import Account
from tools.devstack.places import Profile, StackError
from tools.devstack.processes import Process

SERVICE = "postgres"
DATABASE = ROLE = "decisioning"
START_SECONDS = 60.0
# SIGINT is the fast stop: sessions are ended, data is flushed. SIGTERM would wait for every client.
STOP_STEPS = [(signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)]
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# Said while the last children of a killed server still end; the next try succeeds.
STILL_ENDING = ("pre-existing shared memory block", "is another postmaster", "is another postgres")


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs, the account that runs them and the data folder it may use."""

    account: Account
    programs: Path
    data: Path

    @classmethod
    def of(cls, profile: Profile) -> Installation:
        account, programs, data = accounts.choose(binaries.postgres_programs(), profile.data(SERVICE))
        return cls(account, programs, data)


def url(profile: Profile) -> str:
    """The connection string of a profile's server, as libpq, psycopg and the settings read it."""
    query = urlencode({"host": str(profile.known_socket_folder()), "user": ROLE}, safe="/")
    return f"postgresql:///{DATABASE}?{query}"


def start(profile: Profile, leash: bool = False) -> Process:
    """Start the server, or adopt the one an earlier run left; returns when it accepts connections."""
    place = Installation.of(profile)
    if (server := find(profile)) and _adopted(profile, place, server):
        return server
    _create_data(place)
    _check_version(place)
    sockets = profile.socket_folder(place.account.ids)
    _clear_leftovers(place.data, sockets)
    deadline = time.monotonic() + START_SECONDS
    while (server := _launch(profile, place, sockets, leash)) is None:
        if not _still_ending(profile) or time.monotonic() > deadline:
            raise StackError(_failure(profile))
        time.sleep(0.3)
    processes.remember(profile.record(SERVICE), server)
    _create_database(place, sockets)
    return server


def stop(profile: Profile) -> bool:
    """Stop the profile's server if it runs; True when nothing of it is left."""
    server = find(profile)
    gone = server is None or processes.stop(server, STOP_STEPS)
    if gone:
        profile.record(SERVICE).unlink(missing_ok=True)
    return gone


def find(profile: Profile) -> Process | None:
    """Our own running server: the one written down, else the one its data folder names."""
    if server := processes.recall(profile.record(SERVICE)):
        return server
    for data in {profile.data(SERVICE), profile.data(SERVICE).resolve()}:
        server = processes.look(_noted_pid(data))
        if server and str(data) in server.command.split():
            return server
    return None


def programs_and_socket(profile: Profile) -> tuple[Path, Path]:
    """Where psql is and which folder to give it as host; an error when the server does not run."""
    sockets = profile.known_socket_folder()
    if sockets is None or find(profile) is None:
        raise StackError(
            f"PostgreSQL of profile {profile.name} does not run. "
            f"Start it: python -m tools.devstack start --profile {profile.name}"
        )
    return Installation.of(profile).programs, sockets


def _adopted(profile: Profile, place: Installation, server: Process) -> bool:
    """Whether an earlier run's server answers; one that cannot be reached is stopped instead."""
    deadline = time.monotonic() + START_SECONDS
    while processes.is_running(server) and time.monotonic() < deadline:
        sockets = profile.known_socket_folder()
        if sockets is None:
            break
        if _accepts(place, sockets):
            processes.remember(profile.record(SERVICE), server)
            _create_database(place, sockets)
            return True
        time.sleep(0.1)
    stop(profile)
    return False


def _launch(profile: Profile, place: Installation, sockets: Path, leash: bool) -> Process | None:
    """One try to start; None when the server ended by itself."""
    settings = SETTINGS | ({} if profile.durable else FORGETFUL) | {"unix_socket_directories": str(sockets)}
    options = [f"--{name}={value}" for name, value in settings.items()]
    with profile.log(SERVICE).open("wb") as log:
        child = place.account.popen([place.programs / "postgres", "-D", place.data, *options], log, leash=leash)
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if _accepts(place, sockets) and (server := processes.look(child.pid)):
            return server
        time.sleep(0.05)
    if child.poll() is None:
        child.kill()
        raise StackError(_failure(profile))
    return None


def _accepts(place: Installation, sockets: Path) -> bool:
    probe = ["-q", "-h", str(sockets), "-U", ROLE, "-d", "postgres", "-t", "2"]
    return place.account.run([place.programs / "pg_isready", *probe]).returncode == 0


def _create_data(place: Installation) -> None:
    """Make a data folder beside its place and rename it, so that an interrupted start leaves no half."""
    if place.data.joinpath("PG_VERSION").exists():
        return
    draft = place.data.with_name(place.data.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    if place.account.ids:
        os.chown(draft, *place.account.ids)
    options = ["-U", ROLE, "--auth=trust", "--locale=C.UTF-8", "-E", "UTF8", "--no-sync", "--no-instructions"]
    made = place.account.run([place.programs / "initdb", "-D", draft, *options])
    if made.returncode != 0:
        raise StackError(f"initdb could not make {draft}:\n{made.stdout}{made.stderr}")
    draft.rename(place.data)


def _check_version(place: Installation) -> None:
    made_by = place.data.joinpath("PG_VERSION").read_text().strip()
    ours = binaries.major_version(place.programs)
    if made_by != ours:
        raise StackError(
            f"The data in {place.data} was made by PostgreSQL {made_by}, this is PostgreSQL {ours}, "
            "and the file formats differ. Run `make reset` to begin again (the data is deleted)."
        )


def _clear_leftovers(data: Path, sockets: Path) -> None:
    """Remove a killed server's pid file and sockets; `find` has shown that nobody runs on this data.

    PostgreSQL removes them itself unless another process got the same pid: then it would refuse to start.
    """
    for leftover in [data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")]:
        leftover.unlink(missing_ok=True)


def _noted_pid(data: Path) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(data.joinpath("postmaster.pid").read_text().splitlines()[0])
    return 0


def _still_ending(profile: Profile) -> bool:
    text = profile.log(SERVICE).read_text(errors="replace")
    return any(sign in text for sign in STILL_ENDING)


def _failure(profile: Profile) -> str:
    tail = profile.log(SERVICE).read_text(errors="replace").splitlines()[-12:]
    return "PostgreSQL did not start. Its last words:\n  " + "\n  ".join(tail)


def _create_database(place: Installation, sockets: Path) -> None:
    there = _sql(place, sockets, f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'")  # noqa: S608
    if there.stdout.strip() == "1":
        return
    made = _sql(place, sockets, f"CREATE DATABASE {DATABASE}")
    if made.returncode != 0:
        raise StackError(f"The database {DATABASE} could not be made: {made.stderr or there.stderr}")


def _sql(place: Installation, sockets: Path, statement: str) -> subprocess.CompletedProcess[str]:
    options = ["-X", "-q", "-A", "-t", "-h", str(sockets), "-U", ROLE, "-d", "postgres", "-c", statement]
    return place.account.run([place.programs / "psql", *options])
