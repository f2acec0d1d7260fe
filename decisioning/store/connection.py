"""One Redis client a process, with a breaker: a dead server costs a short wait a second, not one a request."""

import time
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

PAUSE_SECONDS = 1.0


@cache
def hot() -> redis.Redis:
    """The client for requests: one try of 30 ms, if nothing else is set; redis-py's own would take seconds."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_DEADLINE_SECONDS,
        socket_connect_timeout=settings.REDIS_DEADLINE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


@cache
def bulk() -> redis.Redis:
    """The client for requests about many customers, whose callers wait anyway: one try of two seconds, if not set."""
    deadline = settings.REDIS_BATCH_DEADLINE_SECONDS
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=deadline, socket_connect_timeout=deadline, retry=Retry(NoBackoff(), 0)
    )


@cache
def patient() -> redis.Redis:
    """The client for workers and background threads: two seconds, no retry."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
    )


def once_a_minute(what: str) -> bool:
    """True for the first who asks within a minute, in any process."""
    return bool(patient().set(f"once:{what}", 1, nx=True, ex=60))


class Breaker:
    """Open for a second after a failure, so that waiting requests do not queue behind a dead server.

    A lenient one lets a single failure after an answer pass: with a deadline of 30 ms that is mostly an answer that
    came late on a busy machine, which shall cost the request that waited for it, and not everybody for a second.
    """

    def __init__(self, pause: float = PAUSE_SECONDS, *, lenient: bool = False) -> None:
        self.pause = pause
        self._until = 0.0
        self._failed = not lenient
        self._lenient = lenient

    def closed(self) -> bool:
        """Whether a try is worth it now."""
        return time.monotonic() >= self._until

    def trip(self) -> None:
        """Note a failure."""
        if self._failed:
            self._until = time.monotonic() + self.pause
        self._failed = True

    def well(self) -> None:
        """Note an answer."""
        self._failed = not self._lenient
