"""A profile with running servers goes in; the environment variables of the product's processes come out."""

from __future__ import annotations

import json
import os
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path

from tools.devstack import processes
from tools.devstack.places import Profile, StackError

# Every process we start carries its profile's folder under this name: that is how strays are recognised.
MARK = "DECISIONING_STACK"
# The demo's data ends with 2017; its "now" starts here and then moves with the real time.
DEMO_STARTS = datetime(2018, 1, 1, 5, tzinfo=UTC)
WEB_PORT, MAIL_PORT = 8000, 1025
PORTS_TRIED = 50
RUNNING = "environment.json"


def product_environment(place: Profile, servers: dict[str, str]) -> dict[str, str]:
    """The variables shared by every process of the product in this profile."""
    return {
        **servers,
        MARK: str(place.folder),
        "DJANGO_SETTINGS_MODULE": "decisioning.config.settings",
        "DECISIONING_ENV": "demo" if place.durable else "test",
        "SECRET_KEY": secret(place.run),
        "DECISIONING_STATE_DIR": str(_folder(place, "state")),
        # Forked children hang in LightGBM and KMeans when the parent used more OpenMP threads.
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def demo_environment(place: Profile, servers: dict[str, str], web_port: int, mail_port: int) -> dict[str, str]:
    """The same with what a whole running system has: a mail server, an address and the data's clock."""
    return product_environment(place, servers) | {
        "DECISIONING_CLOCK_OFFSET": str(clock_offset(place)),
        "FACTS_TIME_ZONE": "America/New_York",
        "DEMO_SHOP": "1",
        "DECISIONING_MAIL_DIR": str(_folder(place, "mail")),
        # The timetable ticks several times a second: at INFO its lines would bury everything else.
        "LOG_LEVEL": os.environ.get("LOG_LEVEL") or "WARNING",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(mail_port),
        "PUBLIC_URL": f"http://127.0.0.1:{web_port}",
        "PORT": str(web_port),
    }


def publish(place: Profile, variables: dict[str, str]) -> None:
    """Write the running system's variables where `make env` finds them, readable by their owner only."""
    path = place.folder / RUNNING
    path.touch(mode=0o600)
    path.write_text(json.dumps(variables))


def published(place: Profile) -> dict[str, str]:
    """The variables of the whole system that runs in this profile; empty when none runs."""
    path = place.folder / RUNNING
    if processes.recall(place.record("supervisor")) is None or not path.exists():
        return {}
    return {str(name): str(value) for name, value in json.loads(path.read_text()).items()}


def secret(run: Path) -> str:
    """The development secret, made once and readable by its owner only."""
    path = run / "secret"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as handle:
        handle.write(secrets.token_urlsafe(48))
    return path.read_text()


def clock_offset(place: Profile) -> int:
    """Seconds to add to the real time (negative); fixed at the profile's first start."""
    path = place.folder / "clock"
    if not path.exists():
        path.write_text(str(int((DEMO_STARTS - datetime.now(UTC)).total_seconds())))
    return int(path.read_text())


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """The wanted port, or the next one above it that nobody listens on."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
        if _is_free(host, port):
            return port
    raise StackError(f"No free port from {wanted} on. Choose another: PORT=9000 make demo")


def wanted_port() -> int:
    """`PORT` from the environment, else 8000."""
    text = os.environ.get("PORT") or str(WEB_PORT)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that connections still closing after a restart do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _folder(place: Profile, name: str) -> Path:
    folder = place.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
