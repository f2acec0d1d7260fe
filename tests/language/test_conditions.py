"""The language as data: every row of conditions.csv, for one customer, in a frame, in an index and after printing."""

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from rules.language import RuleIndex, explain, format, matches, matching_frame, parse
from rules.language.properties import typed_frame

ROWS = Path(__file__).parent.parent / "data" / "conditions.csv"


class Row(NamedTuple):
    """One line of the file."""

    condition: str
    facts: str
    now: str
    expected: str


def rows() -> list[Row]:
    with ROWS.open(encoding="utf-8", newline="") as file:
        return [Row(*line) for line in csv.reader(file, delimiter=";")][1:]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.condition} / {row.facts}"[:90])
def test_it_means_what_the_table_says(row: Row) -> None:
    node, facts, now = parse(row.condition), json.loads(row.facts), datetime.fromisoformat(row.now)
    expected = row.expected == "true"
    assert matches(node, facts, now) is expected
    assert matches(parse(format(node)), facts, now) is expected
    assert explain(node, facts, now)["result"] is expected
    assert (RuleIndex([("rule", node)]).matching(facts, now) == ["rule"]) is expected
    if "events" not in facts:
        assert matching_frame(node, typed_frame([facts]), now).to_list() == [expected]


def test_there_are_enough_of_them() -> None:
    assert len(rows()) >= 400
    assert {row.expected for row in rows()} == {"true", "false"}
