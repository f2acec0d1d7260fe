"""A web server on loopback that is called by webhooks: it answers as its script says and keeps what it was sent."""

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass(frozen=True)
class Say:
    """An answer: `wait` seconds before it, and not before so many requests came to another path (`after`).

    `drip` are seconds between its bytes, in its head or in its text.
    """

    status: int = 200
    text: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0
    after: tuple[str, int] = ("", 0)
    drip_head: float = 0
    drip_text: float = 0
    hang_up: bool = False


@dataclass
class Receiver:
    """Answers `script` by path, one after the other and the last for ever; 200 where there is none."""

    certificate: Path | None = None
    script: dict[str, list[Say]] = field(default_factory=dict)
    got: list[Received] = field(default_factory=list)
    together: Counter[str] = field(default_factory=Counter)
    most_together: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self.lock = threading.Lock()
        self.server = _Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": self}))
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}{path}"

    def says(self, path: str, *answers: Say) -> None:
        self.script[path] = list(answers)

    def times(self) -> Counter[str]:
        """How often each id arrived."""
        with self.lock:
            return Counter(one.id for one in self.got)

    def wait_for(self, number: int, seconds: float = 20) -> None:
        """Until so many requests have arrived."""
        end = time.monotonic() + seconds
        while len(self.got) < number:
            assert time.monotonic() < end, f"{len(self.got)} of {number} requests came"
            time.sleep(0.005)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever calls may be killed at any moment: no traces on the terminal."""


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # whoever sent it died over it
        mine = self.receiver
        with mine.lock:
            mine.got.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answers = mine.script.get(self.path, [Say()])
            say = answers.pop(0) if len(answers) > 1 else answers[0]
            mine.together[self.path] += 1
            mine.most_together[self.path] = max(mine.most_together[self.path], mine.together[self.path])
        time.sleep(say.wait)
        end, (path, number) = time.monotonic() + 30, say.after
        while sum(one.path == path for one in tuple(mine.got)) < number and time.monotonic() < end:
            time.sleep(0.01)
        with mine.lock:
            mine.together[self.path] -= 1
        with suppress(OSError):
            self._answer(say)

    def _answer(self, say: Say) -> None:
        if say.hang_up:
            self.connection.close()
            self.close_connection = True
            return
        head = [f"HTTP/1.1 {say.status} X", f"content-length: {len(say.text)}"]
        head += [f"{name}: {value}" for name, value in say.headers.items()]
        for part in _parts(("\r\n".join(head) + "\r\n\r\n").encode(), say.drip_head):
            self.wfile.write(part)
        for part in _parts(say.text, say.drip_text):
            self.wfile.write(part)

    def log_message(self, *args: Any) -> None:
        """Nothing on the terminal."""


def _parts(data: bytes, drip: float) -> Iterator[bytes]:
    if not drip:
        yield data
        return
    for byte in data:
        yield bytes([byte])
        time.sleep(drip)
