"""The gate's checks as the artefact's page draws them: failed ones first, the bound where it stands."""

import pytest

from decisioning.console.gate import drawn

CHECKS = [
    {"name": "outcomes", "passed": True, "words": "1,550 outcomes", "figure": 1550, "bound": 30},
    {"name": "AUC", "passed": False, "words": "no gain", "figure": 0.1, "bound": 0.0, "low": -0.1, "high": 0.3},
    {"name": "something", "passed": True, "words": "all well"},
]


def test_failed_checks_come_first_and_intervals_stand_beside_their_bound():
    said = drawn({"promoted": False, "words": "keep it: no gain", "checks": CHECKS}, "", False)
    assert said is not None
    assert (said.words, said.passed, said.override) == ("keep it", 2, "")
    assert [line.name for line in said.checks] == ["AUC", "outcomes", "something"]
    line = said.checks[0]
    assert line.low is not None and line.low < line.limit < line.value < line.low + line.span
    assert line.value == pytest.approx(50)
    assert (said.checks[1].figure, said.checks[1].bound, said.checks[1].low) == ("1,550", "30", None)
    assert said.checks[2].figure == ""


def test_an_override_is_told_with_its_note_and_never_of_what_was_promoted():
    told = {"promoted": False, "words": "keep it", "checks": CHECKS}
    found = [drawn(told, "spring", True), drawn(told, "", True), drawn({**told, "promoted": True}, "spring", True)]
    assert [one.override for one in found if one] == ["spring", "nobody said why", ""]
    assert drawn(None, "", True) is None


def test_an_interval_of_no_width_at_its_bound_is_drawn():
    same = {"name": "AUC", "passed": False, "words": "", "figure": 0.0, "bound": 0.0, "low": 0.0, "high": 0.0}
    said = drawn({"promoted": False, "words": "keep it", "checks": [same]}, "", False)
    assert said is not None and said.checks[0].value == said.checks[0].limit == 50
