"""A key and a number of events in; how many seconds to wait before sending more, out. One bucket a key and process."""

import math
import threading
import time
from collections.abc import Callable


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
    """Every key's bucket. Only keys that exist get one, so their number is bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def wait(self, key: str, events: int, rate: int) -> int:
        """Seconds that the holder of `key` must wait; 0 lets `events` of them pass. `rate` 0 is no limit."""
        if rate <= 0:
            return 0
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(key, Bucket(rate, now))
            return bucket.spend(events, rate, now)


limiter = Limiter()
