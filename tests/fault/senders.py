"""Comes in: bodies and the web processes' ports. Goes out: every body answered, however often it had to be sent."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
ANSWER_SECONDS = 10.0


class Senders:
    """Some threads that share the bodies, each with a connection of its own; what is not answered is sent again."""

    def __init__(self, bodies: Sequence[bytes], ports: Sequence[int], key: str, seed: int, count: int = 4) -> None:
        self.bodies, self.ports, self.key = bodies, ports, key
        self.answered = self.added = self.duplicates = self.refused = 0
        self.retries: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self._next, self._allowed = 0, len(bodies)
        self._condition = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(number, random.Random(seed + number)), daemon=True)
            for number in range(count)
        ]

    def start(self, allowed: int) -> None:
        """Begin; the threads go no further than so many bodies until `allow` is called."""
        self._allowed = allowed
        for thread in self._threads:
            thread.start()

    def allow(self, bodies: int) -> None:
        """Let them go so far."""
        with self._condition:
            self._allowed = bodies
            self._condition.notify_all()

    @property
    def sending(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, number: int, dice: random.Random) -> None:
        line = Line(self.ports, number, self.key)
        while (body := self._take()) is not None:
            wait = FIRST_WAIT
            while (problem := self._told(line.send(body))) is not None:
                with self._condition:
                    self.retries[problem] += 1
                time.sleep(wait * dice.uniform(0.5, 1.5))
                wait = min(wait * 2, LONGEST_WAIT)
                line.turn()

    def _take(self) -> bytes | None:
        with self._condition:
            while self._next >= self._allowed and self._next < len(self.bodies):
                self._condition.wait(1.0)
            if self._next >= len(self.bodies):
                return None
            self._next += 1
            return self.bodies[self._next - 1]

    def _told(self, reply: tuple[int, bytes] | str) -> str | None:
        """None when the body is done with; otherwise why it must be sent again."""
        if isinstance(reply, str):
            return reply
        status, text = reply
        if status != 200:
            with self._condition:
                if status != 503:
                    self.unexpected.append(f"{status} {text[:200]!r}")
            return str(status)
        said = json.loads(text)
        with self._condition:
            self.answered += 1
            self.added += said["added"]
            self.duplicates += said["duplicates"]
            self.refused += len(said["errors"])
        return None


class Line:
    """One keep-alive connection to one of the web processes."""

    def __init__(self, ports: Sequence[int], number: int, key: str) -> None:
        self.ports, self.place = ports, number % len(ports)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._open: http.client.HTTPConnection | None = None

    def send(self, body: bytes) -> tuple[int, bytes] | str:
        """Status and answer; the name of the error where there is none."""
        try:
            if self._open is None:
                self._open = http.client.HTTPConnection("127.0.0.1", self.ports[self.place], timeout=ANSWER_SECONDS)
            self._open.request("POST", "/v1/batch", body, self.headers)
            with self._open.getresponse() as answer:
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return type(error).__name__

    def turn(self) -> None:
        """The other process next."""
        self.close()
        self.place = (self.place + 1) % len(self.ports)

    def close(self) -> None:
        """Drop the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None
