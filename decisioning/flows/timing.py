"""Moments in, the `Server-Timing` header out: what each stage of an answer took.

Source: https://www.w3.org/TR/server-timing/
"""

import time
from collections.abc import Callable


class Stages:
    """The stages of one request, each from the mark before it to its own; nanoseconds until they are shown."""

    __slots__ = ("_at", "_clock", "_marks")

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._clock = clock
        self._marks: list[tuple[str, int]] = []
        self._at = clock()

    def mark(self, name: str) -> None:
        """The stage `name` ends now. `name` is a token of HTTP; marked again, its times add up."""
        now = self._clock()
        self._marks.append((name, now - self._at))
        self._at = now

    def header(self) -> str:
        """The value of `Server-Timing`, milliseconds in the order of first marks; "" without a mark."""
        took: dict[str, int] = {}
        for name, nanoseconds in self._marks:
            took[name] = took.get(name, 0) + nanoseconds
        return ", ".join([f"{name};dur={nanoseconds / 1e6:.3f}" for name, nanoseconds in took.items()])
