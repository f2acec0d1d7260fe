"""The examples of docs/custom-facts.md do what the page says, and the texts on it are formulas."""

import doctest
import re
from pathlib import Path

from rules.language.formulas import parse_formula

PAGE = Path(__file__).parents[2] / "docs" / "custom-facts.md"


def test_the_examples_on_the_page_run() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 15
    assert result.failed == 0


def test_every_formula_in_the_first_table_parses() -> None:
    table = PAGE.read_text().split("## A formula")[1].split("```python")[0]
    texts = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    assert len(texts) >= 6
    assert all(parse_formula(text) for text in texts)
