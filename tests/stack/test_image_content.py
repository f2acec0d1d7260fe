"""What the Dockerfile puts into the image, laid out in a folder: production settings start, healthy."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stack.test_containers import REQUIRED, compose_services, program
from tools.devstack.places import REPOSITORY

pytestmark = pytest.mark.story


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The application folder as the COPY lines make it, with static files collected as at build time."""
    folder = tmp_path / "app"
    folder.mkdir()
    dockerfile = REPOSITORY.joinpath("Dockerfile").read_text()
    application = dockerfile[dockerfile.index("WORKDIR /app") :]
    for source, target in re.findall(r"^COPY (?!--from)(\S+) (\S+)$", application, re.MULTILINE):
        copy(REPOSITORY / source, folder / (source if target == "./" else target))
    collect = re.search(r"^RUN (SECRET_KEY=.*(?:\n .*)*)", application, re.MULTILINE)
    assert collect is not None
    command = collect.group(1).replace("\\\n", " ").replace("python ", f"{sys.executable} ")
    subprocess.run(["sh", "-c", command], cwd=folder, env=image_environment(), check=True, capture_output=True)
    return folder


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def image_environment() -> dict[str, str]:
    """Only what the image sets itself; nothing of this process leaks in."""
    dockerfile = REPOSITORY.joinpath("Dockerfile").read_text()
    own = dict(
        re.findall(
            r"([A-Z_]+)=([\w./]+)",
            dockerfile[dockerfile.rindex("ENV PATH") : dockerfile.index("WORKDIR /app")],
        )
    )
    return own | {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}


def test_the_web_service_starts_and_its_health_check_passes(image: Path, tmp_path: Path) -> None:
    web = compose_services()["web"]
    port = free_port()
    state = {"DECISIONING_STATE_DIR": str(tmp_path / "state")}
    given = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")}
    variables = image_environment() | web["environment"] | given | state
    words = [port if word == "8000" else word for word in web["command"]]
    check = [word.replace("8000", port) for word in web["healthcheck"]["test"][1:]]
    server = subprocess.Popen([program(words[0]), *words[1:]], cwd=image, env=variables, start_new_session=True)
    try:
        assert passes([sys.executable, *check[1:]], server)
        # Static files carry the digest of their content: they were collected.
        assert re.search(rb"/static/\S+\.[0-9a-f]{12}\.css", page(port, "/admin/login/"))
    finally:
        stop(server)


def stop(server: "subprocess.Popen[bytes]") -> None:
    """Ask it to stop; a server told so while its second worker still starts may wait for ever, and is killed."""
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def passes(check: list[str], server: "subprocess.Popen[bytes]", seconds: float = 60.0) -> bool:
    """Whether the health check's own command succeeds before the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.3)
    return False


def page(port: str, path: str) -> bytes:
    """A page as the proxy in front asks for it: by the service's name, over HTTPS."""
    request = f"GET {path} HTTP/1.0\r\nHost: {REQUIRED['ALLOWED_HOSTS']}\r\nX-Forwarded-Proto: https\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as line:
        line.sendall(request.encode())
        parts = []
        while part := line.recv(65536):
            parts.append(part)
    return b"".join(parts)
