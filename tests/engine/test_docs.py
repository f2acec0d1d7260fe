"""docs/policies.md is run, and its tables name what there is."""

import doctest
import re
from pathlib import Path

from decisioning.engine import limits
from decisioning.engine.context import BANDS, TELLING
from decisioning.engine.counting import COUNTED
from decisioning.engine.policies import POLICIES
from decisioning.engine.resolver import LADDER
from decisioning.learning.shrinking import MOST
from decisioning.store import moments
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
    assert len(most) == 10
    assert [value for value in most if f"| {value:,} |" not in text] == []
    assert all(
        f"{figure:,} {what}" in text for figure, what in ((COUNTED, "draws"), (DAYS, "days"), (DECISIONS, "dec"))
    )


def test_both_pages_have_a_row_for_each_rung_in_the_ladders_order_and_for_no_other():
    for page in ("decisions.md", "policies.md"):
        table = PAGE.with_name(page).read_text().split("| rung |")[1].split("\n\n")[0]
        assert tuple(dict.fromkeys(re.findall(r"^\| `([a-z+]+)` \|", table, re.MULTILINE))) == LADDER


def test_the_page_says_which_moments_are_counted():
    text = PAGE.read_text()
    assert [name for name in (*TELLING, BANDS[0], BANDS[-1]) if f"`{name}`" not in text] == []
    assert f"the newest {moments.RECENT:,} decisions" in text and f"w is {MOST:,.0f}" in text
    assert f"the {moments.VALUES}\ncommonest values, with {moments.TRIALS} showings" in text
