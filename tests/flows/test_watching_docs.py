"""The page about watching: its examples give what it says."""

import doctest
from datetime import timedelta
from pathlib import Path

from decisioning.flows import renew, watch
from decisioning.learning import renewing
from decisioning.learning.drifting import DRIFTING, ENOUGH, REFIT
from decisioning.learning.slicing import FEWEST_CONVERSIONS
from decisioning.learning.watching import OFF

PAGE = Path(__file__).parents[2] / "docs" / "watching.md"


def test_the_examples_give_what_the_page_says():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert (found.failed, found.attempted) == (0, 13)


def test_the_page_says_the_bounds_that_are_kept_to():
    text = " ".join(PAGE.read_text().split())
    assert f"{watch.DECISIONS:,} decisions that the scorer learned from" in text
    assert f"the last {watch.RECENT.days} days" in text
    assert f"PSI {REFIT} ({DRIFTING} is" in text
    assert f"fewer than {ENOUGH} showings" in text
    assert (
        f"| {FEWEST_CONVERSIONS} outcomes whose windows have closed, in a log at least two and a half windows long |"
        in text
    )
    assert renew.WINDOWS == 2.5
    assert (OFF, renewing.MORE, renewing.SOME) == (0.1, 0.25, 0.05)
    assert (timedelta(hours=1), timedelta(hours=6)) == (renewing.PAUSE, renewing.PATIENCE)
