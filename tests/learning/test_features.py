"""Features: one customer's row equals everybody's, and nothing that is stored can make encoding fail."""

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.learning.features import ContentBlock, design_matrix, learn_schema, paired_matrix
from decisioning.learning.schema import Column, FeatureSchema, ordered_levels
from tests.examples import examples

from .shop import AGES, CROSSES, KINDS, OFFERS, Offer, showings

SCHEMA = learn_schema(KINDS, showings(200), OFFERS, CROSSES)
FACTS = {
    "orders_30d": 3,
    "spend_90d": 12.5,
    "member": True,
    "age": "25-34",
    "share_dairy": 0.2,
    "share_meat": 0.8,
}


def test_columns_come_in_the_order_facts_contents_crosses() -> None:
    assert SCHEMA.names == (*KINDS, "content_kind", "content_price", "share_in_departments")
    assert SCHEMA.columns[4].levels == AGES


def test_a_row_holds_facts_attributes_and_the_share_in_what_the_content_is_about() -> None:
    rows = design_matrix(SCHEMA, FACTS, OFFERS)
    assert rows.dtype == np.float32
    expected = [3, 12.5, math.nan, 1, 1, 1, 1, 0.25 * 0.2 + 0.75 * 0.8]
    np.testing.assert_array_equal(rows[1], np.array(expected, np.float32))


def test_one_customer_equals_the_frame_and_the_pairs() -> None:
    people = showings(50)
    block = ContentBlock(SCHEMA, OFFERS)
    everybody = design_matrix(SCHEMA, people, block)
    singles = [design_matrix(SCHEMA, row, OFFERS) for row in people.iter_rows(named=True)]
    np.testing.assert_array_equal(np.vstack(singles), everybody)
    which = [position % len(OFFERS) for position in range(50)]
    pairs = paired_matrix(SCHEMA, people, OFFERS, which)
    picked = [position * len(OFFERS) + content for position, content in enumerate(which)]
    np.testing.assert_array_equal(pairs, everybody[picked])
    np.testing.assert_array_equal(paired_matrix(SCHEMA, people.to_dicts(), OFFERS, which), pairs)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(AGES),
    st.lists(st.integers(), max_size=2),
    st.just(10**400),
)


@examples(80)
@given(
    st.dictionaries(st.sampled_from([*KINDS, "share_dairy", "share_meat"]), VALUES),
    st.dictionaries(
        st.sampled_from(["price", "kind", "departments"]),
        st.one_of(VALUES, st.dictionaries(st.sampled_from(["Dairy", "Meat", "x"]), VALUES)),
    ),
)
def test_whatever_is_stored_becomes_a_number_or_missing(facts: dict, attributes: dict) -> None:
    rows = design_matrix(SCHEMA, facts, [Offer("any", attributes)])
    assert rows.shape == (1, len(SCHEMA.columns))
    assert not np.isinf(rows).any()


def test_a_frame_may_lack_columns_and_hold_columns_of_another_type() -> None:
    frame = pl.DataFrame({"orders_30d": ["many"], "spend_90d": [math.inf], "age": [7]})
    rows = design_matrix(SCHEMA, frame, OFFERS[:1])
    assert np.isnan(rows[0, : len(KINDS)]).all()
    assert np.isnan(rows[0, -1])


def test_a_cross_without_any_known_share_is_missing_but_a_partly_known_one_is_not() -> None:
    none = design_matrix(SCHEMA, {"share_dairy": None}, OFFERS[4:5])
    part = design_matrix(SCHEMA, {"share_dairy": 0.5}, OFFERS[4:5])
    assert np.isnan(none[0, -1])
    assert part[0, -1] == 0.5


def test_no_contents_and_no_customers_give_empty_matrices() -> None:
    assert design_matrix(SCHEMA, FACTS, []).shape == (0, len(SCHEMA.columns))
    assert design_matrix(SCHEMA, showings(5)[:0], OFFERS).shape == (0, len(SCHEMA.columns))


def test_texts_that_name_a_single_content_are_not_learnt_by_heart() -> None:
    offers = [Offer(str(n), {"title": f"Offer {n}", "kind": "ab"[n % 2]}) for n in range(6)]
    assert [column.key for column in learn_schema({}, [], offers, {}).columns] == ["kind"]


def test_bands_keep_their_order() -> None:
    ages = ordered_levels(["65+", None, "19-24", "Under 15K", "100-124K", 5, "unknown"])
    assert ages == ("unknown", "Under 15K", "19-24", "65+", "100-124K")


def test_only_frequent_levels_are_kept() -> None:
    kept = ordered_levels([f"level {n}" for n in range(80)] + ["level 79"])
    assert len(kept) == 50
    assert "level 79" in kept


def test_the_hash_changes_with_order_level_and_kind_and_survives_storage() -> None:
    columns = SCHEMA.columns
    others = [
        FeatureSchema((columns[1], columns[0], *columns[2:])),
        FeatureSchema((Column("orders_30d", "fact", "orders_90d"), *columns[1:])),
        FeatureSchema((*columns[:4], Column("age", "fact", "age", "category", AGES[::-1]), *columns[5:])),
    ]
    assert len({SCHEMA.hash, *(other.hash for other in others)}) == 4
    stored = FeatureSchema.from_dict(json.loads(json.dumps(SCHEMA.to_dict())))
    assert (stored, stored.hash) == (SCHEMA, SCHEMA.hash)


def test_a_schema_refuses_repeated_names_and_another_order() -> None:
    fact, content = Column("a", "fact", "a"), Column("b", "content", "b")
    with pytest.raises(ValueError, match="same name"):
        FeatureSchema([fact, fact])
    with pytest.raises(ValueError, match="Order the features"):
        FeatureSchema([content, fact])


def test_encoded_contents_are_kept_until_their_attributes_are_replaced() -> None:
    kept: dict = {}
    first = ContentBlock(SCHEMA, OFFERS, kept)
    assert len(kept) == len(first) == len(OFFERS)
    changed = Offer(OFFERS[0].key, {"price": 99.0})
    again = ContentBlock(SCHEMA, [changed, *OFFERS[1:]], kept)
    assert again.values[0, 1] == 99
    np.testing.assert_array_equal(again.values[1:], first.values[1:])
