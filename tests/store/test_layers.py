"""However rows are put on top of each other, merged or not, the newest row of each customer is what is seen."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.store import layers
from decisioning.store.files import Files
from decisioning.store.people import CUSTOMER, GONE, OWN
from tests.examples import examples

KINDS = {"a": "number", "b": "text", "c": "loose"}
customers = st.integers(0, 30)
values = st.fixed_dictionaries({}, optional={"a": st.integers(0, 9).map(float), "b": st.sampled_from(("x", "y"))})
changes = st.dictionaries(customers, st.one_of(st.none(), values), min_size=1, max_size=12)


def rows_of(change: dict[int, dict[str, Any] | None]) -> pl.DataFrame:
    """What is read of customers who changed; None is gone."""
    rows = [{CUSTOMER: pk, GONE: facts is None, **(facts or {})} for pk, facts in sorted(change.items())]
    held = {
        name: {"number": pl.Float64, "text": pl.String}[KINDS[name]] for row in rows for name in row if name in KINDS
    }
    return pl.DataFrame(rows, schema={**OWN, **held})


@examples(60)
@given(st.lists(changes, max_size=12), st.sampled_from((0, 5, 1000)), st.sampled_from((0, 5, 5000)))
def test_the_newest_row_of_everybody_is_seen(tmp_path_factory, steps, budget, small):
    files = Files(str(tmp_path_factory.mktemp("frame")), tmp_path_factory.mktemp("copies"))
    found: list[layers.Layer] = []
    known: dict[int, dict[str, Any]] = {}
    count = 0
    for step in steps:
        count += layers.change_of_count(files, found, rows_of(step))
        change, _ = layers.planned(3, found, rows_of(step), budget)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(layers, "SMALL", small)
            found = layers.put(files, change, KINDS)
        known = {pk: facts for pk, facts in {**known, **step}.items() if facts is not None}
        seen = layers.visible(files, found, [CUSTOMER, "a", "b"], KINDS).collect()
        assert seen.rows() == [(pk, facts.get("a"), facts.get("b")) for pk, facts in sorted(known.items())]
        assert count == len(known)


def test_a_bucket_has_few_files_and_rewrites_little(tmp_path):
    files = Files(str(tmp_path), tmp_path / "copies")
    found: list[layers.Layer] = []
    rewritten = 0
    for step in range(128):
        change, left = layers.planned(0, found, rows_of({step: {"a": 1.0}}), 10_000)
        rewritten += 10_000 - left
        found = layers.put(files, change, KINDS)
    assert len(found) <= 12
    assert rewritten <= 128 * 4


def test_without_a_budget_nothing_is_rewritten(tmp_path):
    files = Files(str(tmp_path), tmp_path / "copies")
    found = layers.put(files, layers.planned(0, [], rows_of({1: {"a": 1.0}}), 0)[0], KINDS)
    change, left = layers.planned(0, found, rows_of({1: {"a": 2.0}}), 0)
    assert (change.kept, change.merged, left) == (found, [], 0)


def test_an_empty_bucket_has_typed_columns(tmp_path):
    files = Files(str(tmp_path), tmp_path / "copies")
    seen = layers.visible(files, [], [CUSTOMER, "a", "segment:4"], KINDS).collect()
    assert dict(seen.schema) == {CUSTOMER: pl.Int64(), "a": pl.Float64(), "segment:4": pl.Boolean()}


@pytest.mark.parametrize("url", ["nonsense://x/y", "s4://bucket"])
def test_an_address_that_nobody_knows_is_refused_with_the_cure(url, tmp_path):
    with pytest.raises(Exception, match=r"requirements/s3\.txt"):
        Files(url, tmp_path)
