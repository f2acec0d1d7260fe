"""Chances counted in draws: the draws of a placement serve all its slots, whoever competes, and cost is bounded."""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.engine.counting import COUNTED, Counted, betas, rewards
from decisioning.engine.resolver import resolve
from decisioning.engine.types import RuleItem
from decisioning.engine.work import DIVERSITY, MOST_WORK, MOST_WORK_OF_MANY, WEIGHTS, work
from decisioning.flows.batch import BatchRequest
from decisioning.flows.contract import DecideRequest
from decisioning.learning.bandit import LinearBandit
from tests.examples import examples

from .builders import NOW, ask, content, customer, placement, prepared, rule

KEYS = tuple("abcdef")
BELIEFS = ((3.0, 9.0), (2.0, 9.0), (2.0, 9.0), (1.0, 30.0), (9.0, 9.0), (2.0, 2.0))
subsets = st.lists(st.sampled_from(KEYS), min_size=1, unique=True).map(sorted)


def by_hand(worth: np.ndarray, keys: list[str], penalties: list[float], keep: float) -> list[float]:
    """What is counted, without anything kept from slot to slot."""
    many = keep * worth[:, [KEYS.index(key) for key in keys]] - np.array(penalties)
    wins = np.bincount(many.argmax(axis=1), minlength=len(keys))
    return ((wins + 1 / len(keys)) / (COUNTED + 1)).tolist()


@examples(60)
@given(
    st.sampled_from([betas, rewards]),
    st.lists(st.tuples(subsets, st.booleans(), st.sampled_from([1.0, 0.3, 0.0])), min_size=1, max_size=5),
)
def test_whoever_competes_in_whatever_order_it_is_what_a_count_by_hand_gives(count, slots):
    factors = (1.0, 2.0, 1.0, 0.0, 0.5, 1.0)
    counted = Counted(count, KEYS, BELIEFS, factors, 1.0)
    worth = count(KEYS, BELIEFS, factors, 1.0)
    for keys, different, keep in slots:
        penalties = [0.1 * number if different else 0.0 for number in range(len(keys))]
        assert list(counted.chances(keys, penalties, keep)) == by_hand(worth, keys, penalties, keep)


def site_of(policy: str, contents: int, *rules: RuleItem, **dials):
    learned = LinearBandit(["age"]).fit([{"age": 3}], ["c0"], [1.0]).to_bytes()
    items = tuple(content(f"c{number}") for number in range(contents))
    where = placement(policy=policy, **dials)
    return prepared(
        *rules, contents=items, placements=(where,), posteriors={"hero": {"c0": (1, 9)}}, bandits={"hero": learned}
    )


@pytest.mark.parametrize("name", ["thompson", "linear-thompson"])
@pytest.mark.parametrize("first", ["remembered", "alone"])
def test_draws_that_are_first_needed_in_a_later_slot_are_those_of_all(name, first):
    """The first slot needs none: what it counts was counted before, or a rule leaves one content for it."""
    show = (rule("r", 'IF NOT vip = TRUE THEN SHOW "c3"'),) if first == "alone" else ()
    site = site_of(name, 6, *show, count=4)
    questions = [ask(customer({"age": 4}), request_id=f"{name} {first} {number}") for number in range(30)]
    found = [resolve(site, question, NOW) for question in questions]
    assert {len(one.items) for one in found} == {4}
    for one in found:
        kept, chances = [item.content.key for item in one.items], [item.propensity for item in one.items]
        assert len(set(kept)) == 4
        assert all(0 < chance <= 1 for chance in chances)
    assert [resolve(site, question, NOW) for question in questions] == found


@pytest.mark.parametrize("name", ["thompson", "linear-thompson"])
def test_the_draws_are_made_once_for_all_slots_of_a_placement(name):
    site, made = site_of(name, 150), []
    slot = site.slots["hero"]
    policy = replace(slot.policy, counts=lambda *terms: made.append(terms) or slot.policy.counts(*terms))
    site = replace(site, slots={"hero": replace(slot, policy=policy)})
    found = resolve(site, ask(customer({"age": 3}), count=50), NOW)
    assert (len(found.items), len(made)) == (50, 1)


def test_work_is_contents_times_slots_times_the_weight_of_the_policy():
    assert work(site_of("epsilon", 40), [("hero", 10)]) == 40 * 10
    assert work(site_of("epsilon", 40), [("hero", None), ("nowhere", 5), ("hero", 50)]) == 40 * 2 + 40 * 40
    assert work(site_of("thompson", 40), [("hero", 3)], own=500) == 500 * 3 * WEIGHTS["thompson"]
    assert work(site_of("epsilon", 40, diversity_weight=0.2), [("hero", 2)]) == 40 * 2 * (1 + DIVERSITY)


def test_the_bounds_and_weights_stand_in_the_docs_and_in_the_schema():
    page = (Path(__file__).parents[2] / "docs" / "decisions.md").read_text()
    assert f"At most {MOST_WORK:,} in one call, {MOST_WORK_OF_MANY:,} in a batch" in page
    for shape, most in ((DecideRequest, MOST_WORK), (BatchRequest, MOST_WORK_OF_MANY)):
        described = msgspec.json.schema(shape)["$defs"][shape.__name__]["description"]
        assert f"at most {most:,}." in " ".join(described.split())
    rows = dict(re.findall(r"^\| (\d+(?: more)?) \| (.*) \|$", page, re.M))
    told = {"linucb": "LinUCB", "thompson": "Thompson sampling", "linear-thompson": "linear Thompson sampling"}
    assert all(told[name] in rows[str(weight)] for name, weight in WEIGHTS.items())
    assert "different" in rows[f"{DIVERSITY} more"]
