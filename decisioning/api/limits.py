"""A key and a number of requests or events in; how long to wait before more, as seconds and as headers, out.

One bucket a key, kind and process, filled at the key's rate and as large as one second of it.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ..flows.contract import Refused

log = logging.getLogger(__name__)

Headers = list[tuple[str, str]]


class Standing(NamedTuple):
    """Where a key stands: 0 seconds to wait when what it sent may pass, what is left now, seconds until all is."""

    wait: int
    left: int
    full: int


class Wait(Refused):
    """Too much: come back after `seconds`. `headers` are those of the answer."""

    def __init__(self, seconds: int, kind: str = "events", rate: int = 0) -> None:
        super().__init__(
            429,
            "too_many",
            f"This key sends more {kind} than it may ({rate} a second); send the same again in {seconds} s. "
            "The limit is set at the key in the admin.",
        )
        self.seconds = seconds
        self.headers = [("Retry-After", str(seconds)), *described(kind, rate, Standing(seconds, 0, seconds))]


class Bucket:
    """A token bucket that may go into debt: a batch is taken whole, and what it overdrew is waited for afterwards."""

    def __init__(self, rate: float, now: float) -> None:
        self.tokens, self.at = rate, now

    def spend(self, events: int, rate: float, now: float) -> int:
        """0 when the events may pass, else whole seconds until some may (at least 1)."""
        self.tokens = min(rate, self.tokens + (now - self.at) * rate)
        self.at = now
        if self.tokens <= 0:
            return max(1, math.ceil(-self.tokens / rate))
        self.tokens -= events
        return 0


class Limiter:
    """Every key's buckets. Only keys that exist get one, so their number is bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def wait(self, key: str, events: int, rate: int) -> int:
        """Seconds that the holder of `key` must wait; 0 lets `events` of them pass. `rate` 0 is no limit."""
        return self.spend(key, events, rate).wait if rate > 0 else 0

    def spend(self, key: str, number: int, rate: int) -> Standing:
        """Take `number` at `rate` (above 0) a second, and say where the key stands then."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(key, Bucket(rate, now))
            wait = bucket.spend(number, rate, now)
            tokens = bucket.tokens
        return standing(wait, tokens, rate)

    def charge(self, key: str, number: int, rate: int) -> Standing:
        """Take `number` more for what was let pass already, whatever is left."""
        with self._lock:
            bucket = self._buckets.setdefault(key, Bucket(rate, self._clock()))
            bucket.tokens -= number
            tokens = bucket.tokens
        return standing(0, tokens, rate)


def standing(wait: int, tokens: float, rate: int) -> Standing:
    """Where a bucket with so many tokens leaves a key."""
    return Standing(wait, max(0, math.ceil(tokens)), math.ceil((rate - tokens) / rate))


def charged(kind: str, prefix: str, rate: int | None, number: int, by: Limiter) -> Headers:
    """Count `number` more against the key's limit, if it has one, for a call that `spent` let pass: its headers."""
    if not rate:
        return []
    try:
        return described(kind, rate, by.charge(f"{prefix} {kind}", number, rate))
    except Exception:
        log.exception("the limiter failed; %s of %s pass", kind, prefix)
        return []


def spent(kind: str, prefix: str, rate: int | None, by: Limiter) -> Headers:
    """Count one request against the key's limit, if it has one: the headers of its answer. Raises Wait.

    A limiter that fails limits nobody: better too many answers than none.
    """
    if not rate:
        return []
    try:
        standing = by.spend(f"{prefix} {kind}", 1, rate)
    except Exception:
        log.exception("the limiter failed; %s of %s pass", kind, prefix)
        return []
    if standing.wait:
        raise Wait(standing.wait, kind, rate)
    return described(kind, rate, standing)


def spend_events(prefix: str, rate: int, by: Limiter, events: int) -> None:
    """Count events that come with a decision in the bucket of those that come by themselves. Raises Wait.

    A limiter that fails limits nobody: the decision must be answered.
    """
    try:
        seconds = by.wait(prefix, events, rate)
    except Exception:
        log.exception("the limiter failed; events of %s pass", prefix)
        return
    if seconds:
        raise Wait(seconds, "events", rate)


def described(kind: str, rate: int, standing: Standing) -> Headers:
    """The quota and what is left of it.

    Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (version 11).
    """
    return [
        ("RateLimit-Policy", f'"{kind}";q={rate};w=1'),
        ("RateLimit", f'"{kind}";r={standing.left};t={standing.full}'),
    ]


limiter = Limiter()
