"""What holds for every snapshot and every question, whatever rules, policies and customers meet."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.engine.batch import resolve_many
from decisioning.engine.eligibility import ELSEWHERE
from decisioning.engine.policies import POLICIES
from decisioning.engine.prepare import Prepared, prepare
from decisioning.engine.resolver import propensities, resolve
from decisioning.engine.types import Ask, ContentItem, Resolution, ScorerItem
from decisioning.learning.family import Scorer
from decisioning.learning.features import learn_schema, paired_matrix
from decisioning.learning.scorer import Prior, Trees
from tests.examples import examples

from .builders import NOW, ask, content, customer, placement, prepared, rule
from .snapshots import KEYS, asks, sites, wrongs


def trained(kind: type[Scorer]) -> bytes:
    """A scorer of age, vip and price, from made-up showings."""
    dice = np.random.default_rng(5)
    pool = [content(key, attributes={"price": place}) for place, key in enumerate(KEYS)]
    facts = [{"age": int(age), "vip": bool(age % 2)} for age in dice.integers(10, 30, 400)]
    which = dice.integers(0, len(pool), 400)
    schema = learn_schema({"age": "number", "vip": "number"}, facts, pool, {})
    rows = paired_matrix(schema, facts, pool, which)
    outcomes = (dice.random(400) < 0.1 + 0.05 * which).astype(np.int8)
    return kind(schema).fit(rows, outcomes, [pool[place].key for place in which]).to_artefact()


TREES, BEST = trained(Trees), trained(Prior)
anything = st.one_of(sites(), sites(TREES), sites(BEST))


def offered(site: Prepared, question: Ask) -> dict[str, ContentItem]:
    slot = site.slots["hero"]
    pool = slot.pool if question.candidates is None else question.candidates
    return {c.key: c for c in pool if not c.placements or "hero" in c.placements}


@examples(150)
@given(anything, asks)
def test_nothing_ineligible_is_shown_nothing_twice_and_nothing_from_elsewhere(site: Prepared, question: Ask):
    found = resolve(site, question, NOW)
    consents = question.customer.facts.get("consents") if question.customer else None
    assert [wrong for item in found.items for wrong in wrongs(item.content, question, consents)] == []
    keys = [item.content.key for item in found.items]
    assert len(set(keys)) == len(keys) <= (question.count or site.slots["hero"].item.count)
    allowed = offered(site, question).keys() if found.rung != "default" else set(site.slots["hero"].item.defaults)
    assert set(keys) <= allowed
    # Everything offered was shown or dropped for a reason, and never both.
    assert found.dropped.keys().isdisjoint(keys) or found.rung == "default"
    assert offered(site, question).keys() <= found.dropped.keys() | set(keys)


@examples(100)
@given(anything, asks)
def test_propensities_of_every_slot_sum_to_one_and_replays_are_equal_to_the_bit(site: Prepared, question: Ask):
    found, slots = resolve(site, question, NOW), propensities(site, question, NOW)
    assert [sum(chances.values()) for chances in slots] == pytest.approx([1.0] * len(found.items))
    for item, chances in zip(found.items, slots, strict=True):
        assert chances[item.content.key] == item.propensity
    assert msgspec.msgpack.encode(resolve(site, question, NOW)) == msgspec.msgpack.encode(found)


def told(found: Resolution) -> tuple[Any, ...]:
    """What a replay compares; contents of other placements are only listed where `explain` was asked."""
    dropped = {key: why for key, why in found.dropped.items() if why != ELSEWHERE}
    acted = [(rule.key, rule.effects, rule.overruled) for rule in found.rules if rule.matched or rule.effects]
    return found.items, found.rung, found.reason, found.campaigns, found.scores, dropped, acted


@examples(400)
@given(anything, asks, st.lists(st.sampled_from(KEYS), unique=True, max_size=5).map(tuple))
def test_asking_for_an_explanation_changes_no_reason(site: Prepared, question: Ask, defaults: tuple[str, ...]):
    item = msgspec.structs.replace(site.data.placements[0], defaults=defaults)
    site = prepare(7, NOW, msgspec.structs.replace(site.data, placements=(item,)))
    plain, full = (resolve(site, msgspec.structs.replace(question, explain=explain), NOW) for explain in (False, True))
    assert told(plain) == told(full)
    if plain.rung == "default":
        assert set(defaults) & site.contents.keys() <= full.dropped.keys() | {i.content.key for i in full.items} or (
            len(full.items) == (question.count or item.count)
        )


@examples(80)
@given(st.one_of(sites(TREES), sites(TREES), sites(BEST)), st.lists(asks, min_size=2, max_size=5))
def test_many_at_once_are_equal_to_one_by_one(site: Prepared, questions: list[Ask]):
    assert resolve_many(site, questions, NOW) == [resolve(site, question, NOW) for question in questions]


@examples(100)
@given(
    st.permutations(['HIDE "apple"', 'ONLY TAGGED "a"', 'PIN "avocado" AT 2', 'BOOST "apple" BY 9', 'SHOW "cherry"']),
    st.sampled_from(["greedy", "epsilon", "softmax"]),
    st.text(max_size=4),
)
def test_only_hide_and_pin_are_obeyed_in_every_order_of_rules(actions: list[str], policy: str, request: str):
    rules = [rule(f"r{n}", f"IF NOT vip = TRUE THEN {text}", 9 - n) for n, text in enumerate(actions)]
    names = ("apple", "avocado", "apricot", "banana", "cherry")
    site = prepared(
        *rules,
        contents=tuple(content(name, (name[0],)) for name in names),
        placements=(placement(policy=policy, exploration=0.5, count=5),),
    )
    found = resolve(site, ask(customer(), request_id=request), NOW)
    assert [item.content.key for item in found.items] == ["apricot", "avocado"]
    assert found.items[1].propensity == 1.0
    assert found.dropped["apple"].startswith(("hidden by rule", "not in ONLY"))


names = st.sampled_from(("apple", "avocado", "apricot", "banana", "cherry"))
claims = st.one_of(
    st.tuples(st.just("PIN"), names, st.integers(1, 2)),
    st.tuples(st.sampled_from(["SHOW", "HIDE"]), names, st.just(0)),
)


@examples(150)
@given(st.lists(claims, min_size=1, max_size=8), st.sampled_from(["greedy", "softmax"]), st.text(max_size=4))
def test_a_claim_on_what_another_rule_hides_holds_no_place(
    actions: list[tuple[str, str, int]], policy: str, request: str
):
    told = [f'{verb} "{name}"' + (f" AT {place}" if place else "") for verb, name, place in actions]
    rules = [rule(f"r{n}", f"IF NOT vip = TRUE THEN {text}", 9 - n) for n, text in enumerate(told)]
    contents = tuple(content(name) for name in ("apple", "avocado", "apricot", "banana", "cherry"))
    site = prepared(*rules, contents=contents, placements=(placement(policy=policy, exploration=0.5, count=5),))
    found = [item.content.key for item in resolve(site, ask(customer(), request_id=request), NOW).items]
    hidden = {name for verb, name, _ in actions if verb == "HIDE"}
    pins: dict[int, str] = {}
    for verb, name, place in actions:
        if verb == "PIN" and name not in hidden | set(pins.values()):
            pins.setdefault(place, name)
    assert hidden.isdisjoint(found)
    assert {place: found[place - 1] for place in pins if place <= len(found)} == {
        place: name for place, name in pins.items() if place <= len(found)
    }
    shown = next((name for verb, name, _ in actions if verb == "SHOW" and name not in hidden), None)
    if shown and shown not in pins.values():
        assert next(name for name in found if name not in pins.values()) == shown


@examples(100)
@given(
    st.sampled_from(sorted(POLICIES)),
    st.lists(st.sampled_from([0.0, 1.0, 1e15, 1.7e308]), min_size=3, max_size=3),
    st.integers(0, 120),
    st.sampled_from([0.0, 1e-9, 1.0]),
    st.sampled_from([0.05, 5.0]),
)
def test_scores_and_propensities_are_finite_whatever_is_multiplied(
    policy: str, values: list[float], boosts: int, diversity: float, temperature: float
):
    rules = [
        rule(f"r{n}", f'IF NOT vip = TRUE THEN BOOST TAGGED "{"all" if n % 2 else "a"}" BY 1000') for n in range(boosts)
    ]
    pool = [content(f"c{n}", ("all", "a" if n else "b"), value=value, boost=100.0) for n, value in enumerate(values)]
    site = prepared(
        *rules,
        contents=tuple(pool),
        placements=(
            placement(
                objective="value",
                policy=policy,
                exploration=0.1,
                temperature=temperature,
                count=3,
                diversity_weight=diversity,
                diversity_attribute="brand" if diversity else "",
            ),
        ),
        priors={one.key: 0.5 for one in pool},
    )
    found = resolve(site, ask(customer()), NOW)
    assert len(found.items) == 3
    told = [number for item in found.items for number in (item.score, item.propensity)]
    assert all(math.isfinite(number) for number in (*told, *found.scores.values()))
    assert [sum(chances.values()) for chances in propensities(site, ask(customer()), NOW)] == pytest.approx([1.0] * 3)


def test_a_batch_asks_the_scorer_once_for_a_placement(monkeypatch: pytest.MonkeyPatch):
    contents = tuple(content(key, attributes={"price": place}) for place, key in enumerate(KEYS))
    site = prepared(contents=contents, scorer=ScorerItem(3, TREES))
    calls = []
    score = Trees.score
    monkeypatch.setattr(Trees, "score", lambda self, rows, *more: calls.append(len(rows)) or score(self, rows, *more))
    questions = [ask(customer({"age": age, "vip": True}), person=str(age)) for age in range(10, 30)]
    found = resolve_many(site, questions, NOW)
    assert calls == [20 * len(KEYS)]
    assert {each.rung for each in found} == {"full"}
    assert found == [resolve(site, question, NOW) for question in questions]


def test_a_score_that_is_no_number_is_the_rung_below(monkeypatch: pytest.MonkeyPatch):
    site = prepared(scorer=ScorerItem(3, TREES))
    monkeypatch.setattr(Trees, "score", lambda self, rows, *more: np.full(len(rows), np.nan))
    question = ask(customer({"age": 20}))
    found = resolve(site, question, NOW)
    assert (found.rung, found.degraded) == ("rules+prior", ("scorer: a score is not a finite number",))
    assert resolve_many(site, [question], NOW) == [found]
