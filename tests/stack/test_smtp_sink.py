"""The demo's mail server: what is sent to it is on disk when it says so."""

import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tools.devstack.places import REPOSITORY


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "tools.demo.smtp_sink",
        "--port",
        str(port),
        "--folder",
        str(tmp_path / "mail"),
    ]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert "SMTP on" in server.stdout.readline()
        yield port, server
        server.terminate()
        assert server.wait(5) == 0


def message(subject: str) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTPUTF8)
    mail["From"], mail["To"], mail["Subject"] = "shop@localhost", "customer@localhost", subject
    mail.set_content("Grüße\n.\nfrom a line that begins with a dot")
    return mail


def test_a_message_is_stored_whole_and_listed(sink: tuple[int, subprocess.Popen[str]], tmp_path: Path) -> None:
    port, server = sink
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.send_message(message("Ten % off – today"))
        client.send_message(message("Second"))
    stored = sorted((tmp_path / "mail").glob("*.eml"))
    assert len(stored) == 2
    first = message_from_bytes(stored[0].read_bytes(), policy=policy.default)
    assert first["Subject"] == "Ten % off – today"
    body = first.get_body()
    assert body is not None
    assert body.get_content().split("\r\n") == ["Grüße", ".", "from a line that begins with a dot", ""]
    assert server.stdout is not None
    assert "customer@localhost · Ten % off – today" in server.stdout.readline()


def test_a_subject_cannot_write_to_the_terminal(sink: tuple[int, subprocess.Popen[str]]) -> None:
    port, server = sink
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.sendmail("a@localhost", ["b@localhost"], b"Subject: red \x1b[31m alarm\r\n\r\nbody")
    assert server.stdout is not None
    assert "\x1b" not in server.stdout.readline()
