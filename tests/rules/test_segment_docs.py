"""The examples of docs/segments.md run, and its tables and figures are those of the code."""

import doctest
from pathlib import Path

from rules import crossings, curves
from rules.admin.computing import STATES
from rules.admin.overlap import READABLE
from rules.models import How
from rules.recomputes import SILENT

PAGE = Path(__file__).resolve().parents[2] / "docs" / "segments.md"
TEXT = PAGE.read_text()


def test_the_examples_on_the_page_run() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 8
    assert result.failed == 0


def test_the_page_names_every_reason_and_every_state() -> None:
    assert [how for how in How.values if f"| `{how}` |" not in TEXT] == []
    assert [words for words, _ in STATES.values() if f"| {words} |" not in TEXT] == []


def test_the_page_names_every_limit() -> None:
    limits = (crossings.OVERLAP_CUSTOMERS, crossings.MIGRATION_CUSTOMERS, crossings.STAYS, curves.COUNTED)
    assert [limit for limit in limits if f"{limit:,}" not in TEXT] == []
    assert f"more than {READABLE} segments" in TEXT
    assert f"nothing for {SILENT} seconds" in TEXT
    assert [reach.words for reach in curves.REACHES.values() if reach.words not in TEXT] == []
