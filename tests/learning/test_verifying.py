"""An artefact that scores its golden rows otherwise, gives no numbers or answers slowly is not to be used."""

import json
from typing import Any

import numpy as np
import pytest

from decisioning.learning.family import digest
from decisioning.learning.features import learn_schema
from decisioning.learning.scorer import Prior, Trees
from decisioning.learning.verifying import Golden, Question, Thing, find, golden

FACTS = [{"age": age, "orders": 9 - age, "email": "a@example.com"} for age in (1.0, 4.0, 8.0)]
SCHEMA = learn_schema({"age": "number", "orders": "number"}, [{"age": 1, "orders": 2}], [], {})


@pytest.fixture(scope="module")
def trees() -> Trees:
    """A few trees on two facts."""
    rows = np.random.default_rng(2).random((400, 2)).astype(np.float32) * 9
    return Trees(SCHEMA, trees=12, smallest_leaf=10).fit(rows, (rows[:, 0] > 4).astype(np.int8))


def asked(scorer: Trees, data: bytes | None = None, milliseconds: float = 1e6) -> Question:
    rows = golden(scorer, FACTS, [Thing("a"), Thing("b")])
    return Question((data or scorer.to_artefact()).decode(), rows, milliseconds)


def changed(scorer: Trees, **parts: Any) -> bytes:
    """An artefact with other parts, which nobody could tell by its digest."""
    body = json.loads(scorer.to_artefact()) | parts
    return json.dumps(body | {"digest": digest(body["learned"])}).encode()


def other_leaves(scorer: Trees, leaf: str) -> bytes:
    """Every leaf of every tree changed to one value; without the trees' lengths, which would not fit any more."""
    lines = [
        "leaf_value=" + " ".join([leaf] * len(line.split())) if line.startswith("leaf_value=") else line
        for line in scorer.text_.split("\n")
        if not line.startswith("tree_sizes=")
    ]
    return changed(scorer, learned={"trees": scorer.trees_, "text": "\n".join(lines)})


def test_a_sound_scorer_is_found_so_and_timed(trees: Trees) -> None:
    found = find(asked(trees))
    assert (found.reason, found.milliseconds > 0) == ("", True)


def test_other_leaves_give_other_scores_and_are_noticed(trees: Trees) -> None:
    assert "otherwise than when it was trained" in find(asked(trees, other_leaves(trees, "0.2"))).reason


def test_scores_that_are_no_numbers_are_noticed(trees: Trees) -> None:
    assert "no number" in find(asked(trees, other_leaves(trees, "nan"))).reason


def test_reordered_columns_are_noticed(trees: Trees) -> None:
    columns = SCHEMA.to_dict()["columns"]
    reordered = changed(trees, schema={"columns": columns[::-1]})
    assert "otherwise than when it was trained" in find(asked(trees, reordered)).reason


def test_what_cannot_be_read_is_told(trees: Trees) -> None:
    assert "damaged" in find(Question(trees.to_artefact().decode()[:-9], Golden(), 1.0)).reason


def test_a_chance_above_one_is_noticed() -> None:
    prior = Prior(SCHEMA).fit(np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1], np.int8))
    prior.rate_ = 1.5
    assert "outside of 0 to 1" in find(Question(prior.to_artefact().decode(), Golden(), 1e6)).reason


def test_a_slow_scorer_is_noticed(trees: Trees) -> None:
    found = find(asked(trees, milliseconds=0.0))
    assert "ms for 2 contents; 0 ms may be" in found.reason


def test_golden_rows_hold_what_is_read_and_nothing_else_of_a_customer(trees: Trees) -> None:
    rows = golden(trees, FACTS, [Thing("a")])
    assert rows.facts[0] == {"age": 1.0, "orders": 8.0}
    assert rows.facts[-1] == {}, "somebody nobody knows is among them"
    assert len(rows.scores) == 4
