"""Who was seen in which version is told from the frame, whatever order and however often customers come."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from decisioning.store.people import CUSTOMER, VERSION
from decisioning.store.seen import Seen
from tests.examples import examples

versions = st.dictionaries(st.integers(1, 30), st.integers(0, 5), max_size=20)


def frame(held: dict[int, int]) -> pl.DataFrame:
    """One row a customer, not in order."""
    rows = sorted(held.items(), key=lambda pair: pair[0] * 7919 % 101)
    return pl.DataFrame(rows, schema={CUSTOMER: pl.Int64, VERSION: pl.Int64}, orient="row")


def held_by(seen: Seen) -> dict[int, int]:
    assert seen.customers.tolist() == sorted(set(seen.customers.tolist()))
    return dict(zip(seen.customers.tolist(), seen.versions.tolist(), strict=True))


@examples(60)
@given(versions, versions)
def test_it_keeps_the_newest_version_and_finds_who_is_newer(first, second):
    seen = Seen.of(frame(first))
    newer = seen.newer(frame(second))
    expected = {pk: version for pk, version in second.items() if version > first.get(pk, -1)}
    assert dict(newer.iter_rows()) == expected
    assert held_by(seen.and_then(newer)) == {**first, **expected}
    assert held_by(seen) == first


def test_nobody_is_new_twice():
    seen = Seen.of(frame({})).and_then(frame({3: 1, 1: 1}))
    assert seen.newer(frame({3: 1, 1: 1})).is_empty()
    assert dict(seen.newer(frame({3: 2, 2: 1})).iter_rows()) == {3: 2, 2: 1}
