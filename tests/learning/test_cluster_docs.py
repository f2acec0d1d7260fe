"""The examples of docs/clustering.md do what the page says, and its limits are those of the code."""

import doctest
from pathlib import Path

from decisioning.learning.algorithms import FEW, MANY
from decisioning.learning.drifting import DRIFTING, ENOUGH, REFIT
from decisioning.learning.judging import LIMITS
from decisioning.learning.online import MEMORY

PAGE = Path(__file__).parents[2] / "docs" / "clustering.md"


def test_the_examples_on_the_page_run() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 15
    assert result.failed == 0


def test_the_page_names_the_limits_of_the_code() -> None:
    text = PAGE.read_text()
    assert f"{LIMITS.smallest:.0%} of the customers".replace("%", " %", 1) in text
    for words in (f"| {LIMITS.biggest:.0%}".replace("%", " %"), f"| {LIMITS.stability}", f"| {LIMITS.most} |"):
        assert words in text
    for number in (MANY, FEW, int(MEMORY), ENOUGH):
        assert f"{number:,}" in text
    assert f"| {DRIFTING} | {REFIT} |" in text
