"""The examples of docs/learning.md and docs/scoring.md do what the pages say."""

import doctest
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["learning.md", "scoring.md"])
def test_the_examples_on_the_page_run(page: str) -> None:
    result = doctest.testfile(str(PAGES / page), module_relative=False)
    assert result.attempted > 5
    assert result.failed == 0
