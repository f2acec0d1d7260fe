"""The examples of docs/evaluation.md run, and what it says of bounds is what the gate keeps to."""

import doctest
from pathlib import Path

from decisioning.admin import evaluated
from decisioning.api import evaluation
from decisioning.flows import suppose
from decisioning.learning.enough import FEWEST_EFFECTIVE, FEWEST_REWARDS
from decisioning.learning.fairness import FEWEST, SHARE
from decisioning.learning.gate import BOUNDS
from decisioning.learning.offpolicy import WANTED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


def test_the_examples_give_what_the_page_says():
    done = doctest.testfile(str(PAGE), module_relative=False)
    assert (done.failed, done.attempted) == (0, 19)


def test_the_page_says_the_bounds_that_are_kept_to():
    text = " ".join(PAGE.read_text().split())
    assert f"{BOUNDS.outcomes} outcomes of the rarer kind" in text
    assert f"at least {BOUNDS.impact}, equal opportunity within {BOUNDS.opportunity}" in text
    assert f"at most {BOUNDS.milliseconds:g} ms a decision" in text
    assert f"fewer than {FEWEST_EFFECTIVE:g} effective rows or {FEWEST_REWARDS} that earned" in text
    assert f"fewer than {FEWEST} customers" in text
    assert evaluated.SAMPLE == evaluation.SAMPLE and f"sample of {evaluation.SAMPLE:,} decisions" in text
    assert f"the command takes {suppose.MOST:,}" in text
    assert (BOUNDS.calibration, WANTED, SHARE) == (1 / 3, 1 / 4, 1 / 5)
