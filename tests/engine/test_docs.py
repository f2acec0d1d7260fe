"""docs/policies.md is run, and its tables name what there is."""

import doctest
from pathlib import Path

from decisioning.engine import limits
from decisioning.engine.policies import COUNTED, POLICIES
from decisioning.engine.resolver import LADDER
from decisioning.store.counts import DAYS, DECISIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"


def test_the_examples_give_what_the_page_says():
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 20
    assert found.failed == 0


def test_the_tables_name_every_policy_rung_and_limit():
    text = PAGE.read_text()
    assert [name for name in (*POLICIES, *LADDER) if f"`{name}`" not in text] == []
    most = [value for name, value in vars(limits).items() if name.isupper() and isinstance(value, int)]
    assert len(most) == 9
    assert [value for value in most if f"| {value:,} |" not in text] == []
    assert all(
        f"{figure:,} {what}" in text for figure, what in ((COUNTED, "draws"), (DAYS, "days"), (DECISIONS, "dec"))
    )
