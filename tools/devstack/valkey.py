"""A profile goes in; a running Valkey server on a unix socket, and its URLs, come out."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

from tools.devstack import accounts, binaries, processes
from tools.devstack.places import Profile, StackError
from tools.devstack.processes import Process

SERVICE = "valkey"
SOCKET_NAME = "valkey.sock"
START_SECONDS = 60.0
STOP_STEPS = [(signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)]
# The cache and the broker live in two databases of one server, so that emptying one spares the other.
CACHE, BROKER = 0, 1


def redis_url(sockets: Path) -> str:
    """The cache's address, in redis-py's form."""
    return f"unix://{sockets / SOCKET_NAME}?db={CACHE}"


def broker_url(sockets: Path) -> str:
    """The broker's address, in kombu's form."""
    return f"redis+socket://{sockets / SOCKET_NAME}?virtual_host={BROKER}"


def start(profile: Profile, sockets: Path, leash: bool = False) -> Process:
    """Start the server, or adopt the one an earlier run left; returns when it answers PING."""
    path = sockets / SOCKET_NAME
    if (server := find(profile)) and _adopted(profile, path, server):
        return server
    profile.data(SERVICE).mkdir(parents=True, exist_ok=True)
    tether = accounts.leash("TERM") if leash else []
    with profile.log(SERVICE).open("wb") as log:
        child = subprocess.Popen(
            [*tether, binaries.valkey_server(), *_options(profile, path)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if answers(path) and (server := processes.look(child.pid)):
            processes.remember(profile.record(SERVICE), server)
            return server
        time.sleep(0.02)
    child.kill()
    tail = profile.log(SERVICE).read_text(errors="replace").splitlines()[-12:]
    raise StackError("Valkey did not start. Its last words:\n  " + "\n  ".join(tail))


def stop(profile: Profile) -> bool:
    """Stop the profile's server if it runs; True when nothing of it is left."""
    server = find(profile)
    gone = server is None or processes.stop(server, STOP_STEPS)
    if gone:
        profile.record(SERVICE).unlink(missing_ok=True)
    return gone


def find(profile: Profile) -> Process | None:
    """Our own running server: the one written down, else the one that works in our data folder."""
    if server := processes.recall(profile.record(SERVICE)):
        return server
    # A server shows its socket in its title ("valkey-server unixsocket:/tmp/…").
    servers = (found for found in processes.running() if "unixsocket:" in found.command)
    return next((found for found in servers if processes.works_in(found, profile.data(SERVICE))), None)


def answers(path: Path) -> bool:
    """Whether a server behind the socket answers PING (one that still loads its data does not)."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1.0)
            line.connect(str(path))
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _adopted(profile: Profile, path: Path, server: Process) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while path.exists() and processes.is_running(server) and time.monotonic() < deadline:
        if answers(path):
            processes.remember(profile.record(SERVICE), server)
            return True
        time.sleep(0.1)
    stop(profile)
    return False


def _options(profile: Profile, path: Path) -> list[str]:
    """Append-only file flushed every second, nothing evicted: a queue must not lose what it was given."""
    settings = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(profile.data(SERVICE)),
        "save": "",
        "appendonly": "yes" if profile.durable else "no",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "databases": "16",
        "daemonize": "no",
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]
