"""Steps of long work in; a progress bar on a terminal, one line a step elsewhere, out."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

POLL_SECONDS = 0.2


class NotFinished(RuntimeError):
    """Background work did not come to an end in time; the message names the step."""


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar over `total` things; call what it yields with how many more are done."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        started = time.monotonic()
        yield lambda more: None
        print(f"  {label}: {total:,} in {time.monotonic() - started:.1f} s", flush=True)
        return
    columns = (TextColumn("  {task.description:<42}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(label, total=total)
        yield lambda more: progress.advance(task, more)


def wait(label: str, total: int, done: Callable[[], int], again: Callable[[], object], limit: float = 300) -> None:
    """Watch background work until `done()` reaches `total`; ask `again` every 30 s in case its task was lost."""
    started = asked = time.monotonic()
    seen = 0
    with bar(label, total) as advance:
        while (now_done := done()) < total:
            advance(now_done - seen)
            seen = now_done
            if time.monotonic() - asked > 30:
                asked = time.monotonic()
                again()
            if time.monotonic() - started > limit:
                raise NotFinished(f"{label}: {now_done} of {total} after {limit:.0f} s; is the worker running?")
            time.sleep(POLL_SECONDS)
        advance(total - seen)
