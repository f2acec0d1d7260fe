"""What a person sees of an import."""

import io
import re

import pytest
from rich.console import Console

from decisioning.sources import progress
from decisioning.sources.progress import Watch


def test_without_a_terminal_a_line_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with Watch("a.csv", said.append, said.append) as watch:
        watch.advance(2000, 10, 100)
        assert said == []
        monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
        watch.advance(2000, 25, 100)
    assert re.fullmatch(r"  a\.csv: 4,000 rows, [\d,]+ a second, 25%, \d+ s left", said[0])


def test_on_a_terminal_there_is_a_bar() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, width=150)
    with Watch("a[1].csv", pytest.fail, pytest.fail, console) as watch:
        watch.advance(4000, 50, 100)
        watch.failed("line 7", "no [name]")
    shown = screen.getvalue()
    assert "a[1].csv" in shown and "4,000 rows" in shown and "50%" in shown
    assert "a[1].csv, line 7: no [name]" in shown


def test_a_file_cannot_write_to_the_terminal() -> None:
    complained: list[str] = []
    Watch("a.csv", pytest.fail, complained.append).failed("line 2", "is '\x1b[31mred\x07'")
    assert complained == ["a.csv, line 2: is '\\x1b[31mred\\x07'"]


def test_in_a_ci_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert progress.terminal() is None
