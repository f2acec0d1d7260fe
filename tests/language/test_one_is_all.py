"""One customer in Python and all customers in Polars: the same answer, whatever the condition."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import RuleIndex, explain, matches, matching_frame, parse
from rules.language.frames import matching_frames
from rules.language.nodes import Condition
from tests.examples import examples
from tests.language.people import conditions_and_frames, facts_for
from tests.language.strategies import NOW, everything


@examples(400)
@given(conditions_and_frames())
def test_it_answers_a_frame_as_it_answers_each_customer(both: tuple[Condition, pl.DataFrame]) -> None:
    condition, frame = both
    alone = [matches(condition, row, NOW) for row in frame.iter_rows(named=True)]
    together = matching_frame(condition, frame, NOW)
    assert together.dtype == pl.Boolean
    assert together.to_list() == alone


@examples(50)
@given(conditions_and_frames(), everything)
def test_it_answers_many_conditions_at_once_as_one_by_one(
    both: tuple[Condition, pl.DataFrame], other: Condition
) -> None:
    condition, frame = both
    together = matching_frames({"one": condition, "two": other}, frame, NOW)
    assert together["one"].to_list() == matching_frame(condition, frame, NOW).to_list()
    assert together["two"].to_list() == matching_frame(other, frame, NOW).to_list()


@examples(300)
@given(st.data(), everything)
def test_it_never_raises_and_explains_its_answer(data: st.DataObject, condition: Condition) -> None:
    facts: dict[str, Any] = data.draw(facts_for([condition]))
    answer = matches(condition, facts, NOW)
    told = explain(condition, facts, NOW)
    assert told["result"] is answer
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_it_gives_an_answer_for_every_row_even_without_columns() -> None:
    frame = pl.DataFrame({"x": [1, 2, 3]})
    assert matching_frame(parse("y IS MISSING"), frame, NOW).to_list() == [True, True, True]
    assert matching_frame(parse("y = 1"), frame, NOW).to_list() == [False, False, False]
    assert matching_frame(parse("x = 1"), frame.clear(), NOW).to_list() == []


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        (np.int64(5), "x = 5"),
        (np.float32(0.5), "x = 0.5"),
        (np.bool_(True), "x = TRUE"),
        (np.str_("a"), 'x = "a"'),
        (np.float64("nan"), "x IS MISSING"),
        (Decimal("1.5"), "x = 1.5"),
        (date(2024, 1, 1), "x = 2024-01-01"),
        (("a", "b"), 'x = "b"'),
        ({"a"}, 'x CONTAINS "a"'),
        ({"deep": 1}, "x IS PRESENT AND NOT x = 1"),
    ],
)
def test_values_of_other_libraries_are_taken_for_what_they_are(value: object, condition: str) -> None:
    assert matches(parse(condition), {"x": value}, NOW) is True
    assert RuleIndex([("rule", parse(condition))]).matching({"x": value}, NOW) == ["rule"]
