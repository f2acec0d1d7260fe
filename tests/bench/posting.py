"""Comes in: bodies prepared beforehand, an address. Goes out: how fast they were answered; plain sockets, few threads.

The client must not be what is measured: a body of 100 events costs it a `sendall` and a look at the answer's head.
"""

import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Posted:
    """Events accepted (in bodies answered 200), events added by them, seconds, other statuses, ms of each answer."""

    accepted: int = 0
    added: int = 0
    seconds: float = 0.0
    others: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds


class Wire:
    """One keep-alive connection."""

    def __init__(self, port: int, key: str) -> None:
        self.line = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.last_head = b""
        self.head = f"Host: bench\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self.line.sendall(f"POST {path} HTTP/1.1\r\n{self.head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._more()
        head, rest = answer[:end].lower(), answer[end + 4 :]
        self.last_head = head
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(rest) < length:
            rest += self._more()
        return int(head[9:12]), rest

    def close(self) -> None:
        """Hang up."""
        self.line.close()

    def _more(self) -> bytes:
        found = self.line.recv(65536)
        if not found:
            raise ConnectionError("The server hung up in the middle of an answer.")
        return found


def post_all(
    port: int,
    key: str,
    bodies: Sequence[bytes],
    size: int,
    senders: int,
    *,
    rate: float = 0.0,
    stop: threading.Event | None = None,
) -> Posted:
    """Post bodies of `size` events each by so many connections; `rate` events a second at most, 0 as fast as it goes.

    `stop` ends it before the last body.
    """
    total = Posted()
    lock = threading.Lock()
    wires = [Wire(port, key) for _ in range(senders)]
    left = iter(enumerate(bodies))
    started = time.perf_counter()

    def run(wire: Wire) -> None:
        while True:
            with lock:
                number, body = next(left, (0, b""))
            if not body or (stop is not None and stop.is_set()):
                return
            if rate:
                time.sleep(max(0.0, started + number * size / rate - time.perf_counter()))
            at = time.perf_counter()
            status, text = wire.post("/v1/batch", body)
            with lock:
                total.waits.append((time.perf_counter() - at) * 1000)
                if status == 200:
                    total.accepted += size
                    total.added += json.loads(text)["added"]
                else:
                    total.others.append(status)

    threads = [threading.Thread(target=run, args=(wire,), daemon=True) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total.seconds = time.perf_counter() - started
    for wire in wires:
        wire.close()
    return total
