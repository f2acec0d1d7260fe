"""Messages over SMTP come in; each becomes an `.eml` file and one printed line. Nothing is sent on."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import signal
import sys
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

BYTES_ALLOWED = 25 * 1024 * 1024


class Sink:
    """Stores what aiosmtpd receives; a message is answered 250 only when its file is complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        try:
            path = self.store(content)
        except OSError as error:
            return f"452 Could not be stored: {error.strerror}"
        print(describe(envelope.rcpt_tos, content, path), flush=True)
        return f"250 Stored as {path.name}"

    def store(self, content: bytes) -> Path:
        """Write the message under a new name (temp file, rename) and return its path."""
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        path = self.folder / f"{stamp}-{next(self.numbers):06d}.eml"
        draft = path.with_suffix(".new")
        draft.write_bytes(content)
        draft.replace(path)
        return path


def describe(recipients: list[str], content: bytes, path: Path) -> str:
    """One line: to whom, the subject, the file."""
    subject = message_from_bytes(content, policy=policy.default).get("Subject", "(no subject)")
    # The sender wrote the subject: no control characters in the terminal.
    return re.sub(r"[\x00-\x1f\x7f]+", " ", f"to {', '.join(recipients)} · {subject} · {path.name}")


async def serve(host: str, port: int, folder: Path) -> None:
    """Listen until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    controller = UnthreadedController(
        Sink(folder), hostname=host, port=port, loop=loop, data_size_limit=BYTES_ALLOWED, enable_SMTPUTF8=True
    )
    server = await loop.create_server(controller.factory, host=host, port=port)
    print(f"SMTP on {host}:{port}, messages in {folder}", flush=True)
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    await done.wait()
    server.close()


def main() -> int:
    """Read the address and the folder from the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo.smtp_sink", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1025)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.host, options.port, options.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
