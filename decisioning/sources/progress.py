"""How far an import is in; a bar with rows a second and the time left on a terminal, lines elsewhere, out."""

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_EVERY_SECONDS: Final = 10.0

Say = Callable[[str], object]


class Watch:
    """Tells how an import goes (`say`) and which rows failed (`complain`); with a `console`, as a bar in it.

    Use it in a `with` block.
    """

    def __init__(self, label: str, say: Say, complain: Say, console: Console | None = None) -> None:
        self.label, self.say, self.complain = label, say, complain
        self._started = self._told = time.monotonic()
        self._rows = 0
        self._bar = Progress(*COLUMNS, console=console) if console else None
        self._task = self._bar.add_task(escape(label), total=None, rate="") if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, rows: int, done: int, total: int) -> None:
        """So many rows more; `done` of `total` (bytes or rows) of the file were read."""
        self._rows += rows
        now = time.monotonic()
        rate = self._rows / max(now - self._started, 1e-3)
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, rate=f"{self._rows:,} rows, {rate:,.0f}/s")
        elif now - self._told >= LINE_EVERY_SECONDS:
            self._told = now
            left = (total - done) / done * (now - self._started) if done else 0
            share = f"{done / max(total, 1):.0%}, {left:.0f} s left"
            self.say(f"  {self.label}: {self._rows:,} rows, {rate:,.0f} a second, {share}")

    def failed(self, place: str, reason: str) -> None:
        """A row failed. Control characters of the file do not reach the terminal."""
        text = f"{self.label}, {place}: {reason}"
        clean = "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)
        if self._bar:
            self._bar.console.print(escape(clean), soft_wrap=True)
        else:
            self.complain(clean)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started


COLUMNS: Final = (
    TextColumn("  {task.description}"),
    BarColumn(),
    TaskProgressColumn(),
    TextColumn("{task.fields[rate]}"),
    TimeRemainingColumn(),
)


def terminal() -> Console | None:
    """The terminal that a person looks at, if there is one; a bar in the log of a CI would only be noise."""
    console = Console(highlight=False)
    return console if console.is_terminal and not os.environ.get("CI") else None
