"""Custom facts: one customer's value is everybody's, a name stays with them, and what they read is told to others."""

import random
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.customers.facts import custom
from decisioning.customers.facts.custom import Custom, Customs
from decisioning.customers.facts.deriving import derive
from decisioning.customers.facts.folding import fold, merge, prune
from decisioning.customers.facts.state import FoldedEvent, State
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language.columns import from_frame
from rules.language.formulas import Calculation, Formula, Number, formula_facts, formula_histories, parse_formula
from rules.language.nodes import Named
from tests.customers.happenings import NOW, as_stored, crowds, expected, moments, streams, vocabularies
from tests.examples import examples
from tests.language.strategies import histories

NAMES = ("orders_30d", "spend", "recency_days", "children", "city", "spend", "first", "second", "nobody")
TYPES = ("number", "text", "boolean", "date")
signs = st.sampled_from("+-*/")
picks = st.builds(
    lambda one, how: replace(one, aggregate=how, attribute=one.attribute or "a"),
    histories,
    st.sampled_from(("FIRST", "LAST")),
)
numbers = histories.map(lambda one: replace(one, aggregate="MAX") if one.aggregate in ("FIRST", "LAST") else one)


def calculations(names: tuple[str, ...]) -> st.SearchStrategy[Formula]:
    leaves = st.one_of(st.builds(Named, st.sampled_from(names)), histories, st.builds(Number, st.integers(-3, 100)))
    parts = st.recursive(leaves, lambda part: st.builds(Calculation, signs, part, part), max_leaves=4)
    return st.builds(Calculation, signs, parts, parts)


@st.composite
def defined(draw: st.DrawFn) -> Customs:
    """A few facts of every type; some read others, one has a trait's name, some histories are asked for elsewhere."""
    found = {
        "first": Custom("first", "number", draw(numbers)),
        "second": Custom("second", "number", draw(calculations(tuple({*NAMES} - {"second"})))),
        "children": Custom("children", "number", draw(calculations(("first", "second", "orders")))),
        "picked": Custom("picked", draw(st.sampled_from(TYPES)), draw(picks)),
        "last": Custom("last", draw(st.sampled_from(TYPES)), draw(picks)),
    }
    facts = custom.in_order(found)
    read = sorted({text for one in facts for text in formula_histories(one.formula)})
    return Customs(facts, frozenset(draw(st.sets(st.sampled_from(read))) if read else ()))


@examples(25)
@given(crowds, vocabularies, defined(), st.just(NOW) | moments, st.randoms(use_true_random=False))
def test_one_customer_and_everybody_have_the_same_custom_facts(
    crowd: list[list[FoldedEvent]], words: Vocabulary, customs: Customs, now: datetime, dice: random.Random
) -> None:
    for stream, facts in zip(crowd, expected(crowd, now, words, customs.histories, customs), strict=True):
        mixed = dice.sample(stream, len(stream))
        state = merge([folded(mixed[::2], customs, now), folded(mixed[1::2], customs, now)])
        found = as_stored(derive(state, now, words, customs.histories, customs=customs))
        assert found == facts
        for name in ("second", "picked", "orders"):
            asked = derive(state, now, words, customs.histories, frozenset({name}), customs)
            assert as_stored(asked) == {key: value for key, value in facts.items() if key == name}


@examples(25)
@given(streams, streams, vocabularies, defined(), moments)
def test_late_events_after_pruning_correct_custom_facts(
    stream: list[FoldedEvent], late: list[FoldedEvent], words: Vocabulary, customs: Customs, now: datetime
) -> None:
    pruned = prune(folded(stream, customs, now), now, customs.histories)
    late = [replace_id(event) for event in late]
    found = derive(folded(late, customs, now, pruned), now, words, customs.histories, customs=customs)
    assert [as_stored(found)] == expected([stream + late], now, words, customs.histories, customs)


def folded(events: list[FoldedEvent], customs: Customs, now: datetime, state: State | None = None) -> State:
    return fold(state, events, customs.histories, now)


def replace_id(event: FoldedEvent) -> FoldedEvent:
    return msgspec.structs.replace(event, message_id=f"late {event.message_id}")


# -- names, order, types


def made(text: str, type_: str = "number", name: str = "mine") -> Custom:
    return Custom(name, type_, parse_formula(text))


def derived(*facts: Custom, **given: Any) -> dict[str, Any]:
    found = dict(given)
    custom.add(found, Customs(custom.in_order({one.name: one for one in facts})))
    return found


def test_a_trait_that_later_has_the_same_name_never_takes_its_place() -> None:
    fact = made("orders / visits")
    assert derived(fact, mine="a trait", orders=1, visits=4)["mine"] == 0.25
    assert "mine" not in derived(fact, mine="a trait", orders=1, visits=0)
    frame = custom.with_customs(pl.DataFrame({"mine": ["a trait"], "orders": [1], "visits": [0]}), Customs((fact,)))
    assert frame["mine"].to_list() == [None]


def test_facts_are_computed_behind_those_they_read() -> None:
    facts = [made("b * 2", name="a"), made("c * 2", name="b"), made("orders + 1", name="c")]
    assert derived(*facts, orders=1) == {"orders": 1, "c": 2.0, "b": 4.0, "a": 8.0}


def test_facts_that_read_themselves_are_left_out_and_with_them_those_who_read_them() -> None:
    facts = [made("b * 2", name="a"), made("a * 2", name="b"), made("b + 1", name="c"), made("orders + 1", name="d")]
    assert derived(*facts, orders=1) == {"orders": 1, "d": 2.0}


@pytest.mark.parametrize(
    ("type_", "value", "kept"),
    [
        ("number", 5.0, 5.0),
        ("number", "5", None),
        ("number", True, None),
        ("text", "x", "x"),
        ("text", 5.0, None),
        ("boolean", False, False),
        ("boolean", 0.0, None),
        ("date", "2026-03-29T03:30:00+02:00", "2026-03-29T01:30:00Z"),
        ("date", "2026-03-28", "2026-03-28T00:00:00Z"),
        ("date", "soon", None),
        ("date", "0001-01-01T00:00:00+02:00", None),
        ("date", "9999-12-31T23:59:59-02:00", None),
        ("date", 5.0, None),
    ],
)
def test_a_value_of_another_type_is_missing_in_both_shapes(type_: str, value: Any, kept: Any) -> None:
    fact = made("LAST(purchase.what)", type_)
    text = next(iter(formula_histories(fact.formula)))
    assert derived(fact, **{text: value}).get("mine") == kept
    column = custom.with_customs(pl.DataFrame({text: [value]}), Customs((fact,)))["mine"]
    assert as_stored({"mine": from_frame(column[0])}) == as_stored({"mine": kept})


def test_a_count_stays_a_whole_number() -> None:
    fact = made("COUNT(purchase)")
    frame = custom.with_customs(pl.DataFrame({"COUNT(purchase)": [3]}), Customs((fact,)))
    assert (repr(derived(fact, **{"COUNT(purchase)": 3})["mine"]), frame["mine"].dtype) == ("3", pl.Int64)


def test_histories_that_only_custom_facts_ask_for_are_no_facts_of_their_own() -> None:
    fact = made("SUM(purchase.price) / COUNT(purchase)")
    both = Customs((fact,), frozenset({"SUM(purchase.price)"}))
    found = {"SUM(purchase.price)": 8.0, "COUNT(purchase)": 2}
    custom.add(found, both)
    assert found == {"mine": 4.0, "COUNT(purchase)": 2}


# -- what others ask


def test_whoever_watches_a_custom_fact_watches_what_it_reads() -> None:
    counted = made('COUNT(purchase WHERE category = "Eco") IN LAST 30 DAYS', name="eco")
    share = made("eco / orders_30d", name="share")
    whole = Customs(custom.in_order({"share": share, "eco": counted}))
    text = next(iter(counted_histories := formula_histories(counted.formula)))
    assert len(counted_histories) == 1
    assert custom.watched({"eco": (1.0, 3.0), "spend": (5.0,)}, whole) == {text: (1.0, 3.0), "spend": (5.0,)}
    assert custom.watched({"share": (0.5,), "orders_30d": (2.0,)}, whole) == {text: (), "orders_30d": ()}
    assert custom.watched({"eco": (1.0,), text: (2.0,)}, whole) == {text: (1.0, 2.0)}
    assert custom.watched({"eco": ()}, whole) == {text: ()}


@pytest.mark.parametrize(
    ("text", "type_", "learnt"),
    [
        ("COUNT(purchase) IN LAST 30 DAYS", "number", True),
        ("COUNT(purchase)", "number", False),
        ("SUM(purchase.price) + 1", "number", False),
        ("SUM(purchase.price) / COUNT(purchase)", "number", True),
        ("orders * 2", "number", False),
        ("DAYS SINCE purchase", "number", True),
        ("LAST(purchase.gift)", "boolean", True),
        ("LAST(purchase.category)", "text", False),
    ],
)
def test_scorers_learn_from_what_does_not_only_grow(text: str, type_: str, learnt: bool) -> None:
    fact = made(text, type_)
    assert custom.learnt(Customs((fact,))) == ({"mine": "number"} if learnt else {})
    assert (custom.learnt(Customs((fact, made("mine * 1", name="other")))).get("other") is not None) is (
        learnt or type_ == "text"
    )


def test_the_mark_tells_one_meaning_from_another() -> None:
    fact = made("orders/visits")
    assert fact.mark == "mine = orders / visits"
    assert replace(fact, label="Another label").mark == fact.mark
    assert Customs((fact,)).marks == {fact.mark}
    assert formula_facts(fact.formula) == {"orders", "visits"}
