"""Comes in: a running web process. Goes out: what it answers while PostgreSQL is stopped in its tracks (SIGSTOP).

Events must be refused with 503 and Retry-After within a second, however many send at once, never with a 2xx; decisions
go on with 200. Once PostgreSQL runs again events are taken without anybody's doing.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.posting import Wire
from tests.bench.system import Running, System, children, system
from tests.fault.figure import Figure

SENDERS = 16
STOPPED_SECONDS = 5.0
MOST_SECONDS = 1.0
PAUSE = 0.1


class Log:
    """What was answered, by whom and how fast."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.longest = 0.0
        self.without_advice = 0
        self.ids: set[str] = set()
        self._lock = threading.Lock()

    def note(self, status: int, seconds: float, head: bytes, message_id: str = "") -> None:
        """One answer; `message_id` of the event that it was about."""
        with self._lock:
            self.statuses[status] += 1
            self.longest = max(self.longest, seconds)
            if status == 503 and b"retry-after:" not in head:
                self.without_advice += 1
            if status == 200 and message_id:
                self.ids.add(message_id)


def run(seed: int, folder: Path | None = None) -> list[Figure]:
    """Stop PostgreSQL under load for some seconds."""
    with system("fault-stopped", folder) as servers:
        variables = servers.variables(servers.database("stopped"))
        key = servers.inside("tests.fault.inside", "prepare", variables=variables)["key"]
        web = servers.web(variables)
        events, decisions, back = Log(), Log(), 0.0
        _together(web, key, Log(), Log(), 1.0)
        with _frozen(servers):
            _together(web, key, events, decisions, STOPPED_SECONDS)
        started = time.monotonic()
        while _event(Wire(int(web.variables["PORT"]), key), Log(), f"back-{time.monotonic()}") != 200:
            back = time.monotonic() - started
            if back > 10:
                break
        return list(_figures(seed, events, decisions, back))


def _figures(seed: int, events: Log, decisions: Log, back: float) -> Iterator[Figure]:
    def figure(invariant: str, value: float, holds: bool) -> Figure:
        return Figure("stopped", seed, invariant, value, holds)

    accepted = sum(number for status, number in events.statuses.items() if status < 300)
    others = sum(number for status, number in events.statuses.items() if status != 503)
    yield figure("events answered 503", events.statuses[503], events.statuses[503] >= SENDERS)
    yield figure("events answered 2xx", accepted, accepted == 0)
    yield figure("events answered otherwise", others - accepted, others == accepted)
    yield figure("503 without Retry-After", events.without_advice, events.without_advice == 0)
    yield figure("longest wait for a 503, s", round(events.longest, 3), events.longest <= MOST_SECONDS)
    failed = sum(decisions.statuses.values()) - decisions.statuses[200]
    yield figure("decisions answered 200", decisions.statuses[200], decisions.statuses[200] > 0)
    yield figure("decisions answered otherwise", failed, failed == 0)
    yield figure("longest wait for a decision, s", round(decisions.longest, 3), decisions.longest <= MOST_SECONDS)
    yield figure("seconds until events are taken again", round(back, 2), back <= 2.0)


@contextmanager
def _frozen(servers: System) -> Iterator[None]:
    """PostgreSQL with all its children, stopped: connections stay open and nothing answers."""
    pid = servers.server("postgres").pid
    held = [pid, *children(pid)]
    try:
        for one in held:
            os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in held:
            os.kill(one, signal.SIGCONT)


def _together(web: Running, key: str, events: Log, decisions: Log, seconds: float) -> None:
    """Many senders and one who asks for decisions, for so long."""
    end = time.monotonic() + seconds

    def again(do: Callable[[Wire, int], object]) -> None:
        wire, number = Wire(int(web.variables["PORT"]), key), 0
        while time.monotonic() < end:
            do(wire, number)
            number += 1
            time.sleep(PAUSE)
        wire.close()

    def sender(place: int) -> Callable[[Wire, int], object]:
        return lambda wire, number: _event(wire, events, f"{place}-{number}-{end}")

    work = [sender(place) for place in range(SENDERS)] + [lambda wire, number: _decision(wire, decisions, number)]
    threads = [threading.Thread(target=again, args=(do,)) for do in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _event(wire: Wire, log: Log, message_id: str) -> int:
    body = json.dumps({"messageId": message_id, "userId": f"u-{message_id}", "event": "e"}).encode()
    started = time.monotonic()
    status, _ = wire.post("/v1/track", body)
    log.note(status, time.monotonic() - started, wire.last_head, message_id)
    return status


def _decision(wire: Wire, log: Log, number: int) -> None:
    body = json.dumps({"anonymous_id": f"a-{number}", "placements": ["seen"]}).encode()
    started = time.monotonic()
    status, _ = wire.post("/v1/decide", body)
    log.note(status, time.monotonic() - started, wire.last_head)
