"""docs/recall.md is run, and names every list and every figure as they are."""

import doctest
from pathlib import Path

from decisioning.engine import candidates
from decisioning.flows import recall as flow
from decisioning.learning import popularity, recall, recalling, together, touches, upsell
from decisioning.learning.nearest import NEAREST

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recall.md"


def test_the_examples_give_what_the_page_says() -> None:
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 20
    assert found.failed == 0


def test_the_page_has_every_list_and_the_figures_of_the_code() -> None:
    text = PAGE.read_text()
    assert [name for name in recall.LISTS if f"| `{name}` |" not in text] == []
    weights = zip(touches.KINDS, touches.WEIGHTS, strict=True)
    assert [
        kind for kind, weight in weights if f"| {weight:g} |" not in text.split(f"| {kind} |")[1].split("\n")[0]
    ] == []
    told = (
        f"At most {recall.MOST} contents",
        f"the {candidates.MOST_FRESH} newest",
        f"at least {candidates.FEWEST} compete",
        f"up to {candidates.LOOKED_THROUGH:,} others",
        f"more than {candidates.MOST_NAMED} the most popular",
        f"last {flow.REMEMBERED.days} days",
        f"the newest {flow.MOST:,} from decisions",
        f"touches of the last {flow.GROUPED.days} days",
        f"{touches.MOST_CONTENTS} contents touched last, and at most {touches.MOST_WEIGHT:g} for",
        f"another {popularity.STRENGTH:g} touches",
        f"less than {popularity.FEWEST} touches",
        f"n / (n + {together.DOUBT:g})",
        f"(n + {together.EXPECTED:g}) / (e + {together.EXPECTED:g})",
        f"from {together.SUPPORT} orders on",
        f"alike by {upsell.LEAST_ALIKE:g}",
        f"1 / ({recall.RANK_CONSTANT:g} + rank)",
        f"{recall.LATER:g} of the one before",
        f"up to {NEAREST} nearest",
        f"up to {recalling.MOST_TRIED:,} customers",
        f"every {flow.DAILY // flow.HOURLY} hours",
        f"more than {candidates.MOST_FRESH} contents came",
        f"the {flow.KEPT} former ones",
        candidates.NO_LISTS,
    )
    assert [words for words in told if words not in text] == []
