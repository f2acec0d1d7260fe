"""A real SMTP server on a free port: keeps what it accepts, and treats some recipients as their names say."""

import asyncio
import threading
import time
from collections import Counter
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

RCPT_REPLIES = {"refused": "550 5.1.1 No such mailbox", "greylisted": "451 4.7.1 Come back later"}
DATA_REPLIES = {
    "spam": "554 5.7.1 Not wanted",
    "full": "452 4.2.2 Mailbox full",
    "closing": "421 4.3.2 Shutting down",
    "odd": "999 What?",
}


class Sink:
    """Starts on entry. `silent@…` is accepted but never answered, `hangup@…` is accepted and cut off."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.port = 0
        self.sessions = 0
        self.sender_reply = ""
        self.delay = 0.0
        self._loop = asyncio.new_event_loop()
        self._open: list[SMTP] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Sink":
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def received(self) -> Counter[int]:
        """How many mails came for each outbox row, by its id (the front of the Message-ID)."""
        return Counter(int(mail["Message-ID"].strip("<").partition(".")[0]) for mail in self.mails)

    def wait_for_more(self, number: int, seconds: float) -> None:
        """Until so many more mails have come, or nothing seems to come any more."""
        wanted, end = len(self.mails) + number, time.monotonic() + seconds
        while len(self.mails) < wanted and time.monotonic() < end:
            time.sleep(0.001)

    def drop_connections(self) -> None:
        """Cut every connection, as a server does that was idle or restarted."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(self._cut, done)
        assert done.wait(5)

    def _cut(self, done: threading.Event) -> None:
        for server in self._open:
            if server.transport:
                server.transport.abort()
        self._open.clear()
        done.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._loop.create_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()

    def _serve(self) -> SMTP:
        self.sessions += 1
        server = SMTP(self, hostname="sink", loop=self._loop)
        self._open.append(server)
        return server

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if self.sender_reply:
            return self.sender_reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        name = address.partition("@")[0]
        if name == "cutoff" and server.transport:
            server.transport.abort()
        if name in RCPT_REPLIES:
            return RCPT_REPLIES[name]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        name = envelope.rcpt_tos[0].partition("@")[0]
        if name in DATA_REPLIES:
            return DATA_REPLIES[name]
        await asyncio.sleep(self.delay)
        self.mails.append(message_from_bytes(envelope.original_content or b"", policy=policy.default))
        if name == "hangup" and server.transport:
            server.transport.abort()
        if name == "silent":
            await asyncio.sleep(60)
        return "250 OK"
