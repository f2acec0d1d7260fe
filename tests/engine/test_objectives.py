"""What a scorer learned is what its scores are said to be, and money is not multiplied by money."""

import re

import numpy as np
import pytest

from decisioning.engine.resolver import resolve
from decisioning.engine.types import Resolution, ScorerItem
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Prior, Scorer, TLearner, Trees, Worth

from .builders import NOW, ask, content, customer, placement, prepared

CLICKS = "no scorer of clicks: {} stand in"
CONVERSIONS = "no scorer of conversions: {} stand in"
CONTENTS = (content("x", value=20.0, margin=0.4), content("y", value=20.0, margin=0.4))
GIVES = {"click": r"a [\d.]+% chance of click", "conversion": r"a [\d.]+% chance of conversion"}
GIVES["value"] = r"an expected value of [\d.]+"


def taught(kind: type[Scorer], amount: float = 1.0) -> bytes:
    """A scorer of people of 20 and 60, of whom the old succeed more often."""
    dice = np.random.default_rng(4)
    age = dice.choice([20.0, 60.0], 2000)
    y = (dice.random(2000) < age / 100) * amount
    schema = FeatureSchema([Column("age", "fact", "age")])
    contents = dice.choice(["x", "y"], 2000).tolist()
    return kind(schema).fit(age[:, None].astype(np.float32), y, contents).to_artefact()


@pytest.fixture(scope="module")
def bodies() -> dict[str, bytes]:
    """By what they learned."""
    return {"click": taught(Trees), "conversion": taught(Trees), "value": taught(Worth, 12.5), "gain": taught(TLearner)}


def decided(wanted: str, learned: str, body: bytes, known: bool = True) -> Resolution:
    """Of somebody of 60, or of nobody known, in a placement with this objective."""
    scorer = ScorerItem(3, body, objective=learned)
    rates = {"x": 0.2, "y": 0.1}
    site = prepared(contents=CONTENTS, placements=(placement(objective=wanted),), scorer=scorer, priors=rates)
    return resolve(site, ask(customer({"age": 60}) if known else None), NOW)


def stand_ins(found: Resolution) -> list[str]:
    return [told for told in found.degraded if "stand in" in told]


@pytest.mark.parametrize(
    ("wanted", "learned", "missing"),
    [
        ("click", "click", []),
        ("conversion", "conversion", []),
        ("value", "value", []),
        ("value", "conversion", []),
        ("click", "conversion", [CLICKS.format("chances of conversion")]),
        ("conversion", "click", [CONVERSIONS.format("chances of a click")]),
        ("value", "click", [CONVERSIONS.format("chances of a click")]),
        ("click", "value", [CLICKS.format("expected values")]),
        ("conversion", "value", [CONVERSIONS.format("expected values")]),
    ],
)
def test_a_score_is_called_what_was_learned_and_what_stands_in_is_named(bodies, wanted, learned, missing):
    found = decided(wanted, learned, bodies[learned])
    assert stand_ins(found) == missing
    for item in found.items:
        assert any(re.fullmatch(f"scorer gives {GIVES[learned]}", reason) for reason in item.reasons)


@pytest.mark.parametrize(
    ("wanted", "learned", "missing"),
    [
        ("click", "click", []),
        ("value", "value", []),
        ("conversion", "value", []),
        ("click", "value", [CLICKS.format("chances of conversion")]),
        ("conversion", "click", [CONVERSIONS.format("chances of a click")]),
    ],
)
def test_the_rates_of_a_scorer_are_of_what_it_learned(bodies, wanted, learned, missing):
    found = decided(wanted, learned, bodies[learned], known=False)
    assert stand_ins(found) == missing
    of = "click" if learned == "click" else "conversion"
    assert f"prior rate gives a 20.0% chance of {of}" in found.items[0].reasons
    assert ("20.00 value" in found.items[0].formula) == (wanted == "value"), "a rate is no money yet"


def test_money_is_not_multiplied_by_the_value_of_the_content(bodies):
    money = float(re.findall(r"expected value of ([\d.]+)", str(decided("value", "value", bodies["value"]).items))[0])
    assert 6 < money < 9, "six in ten of the old spend 12.50"
    item = decided("value", "value", bodies["value"]).items[0]
    assert item.score == pytest.approx(money * 0.4, abs=0.01)
    assert "0.4 margin" in item.formula
    chance = decided("value", "conversion", bodies["conversion"]).items[0]
    assert "20.00 value × 0.4 margin" in chance.formula


def test_a_constant_in_place_of_money_is_a_chance_that_is_multiplied_by_the_value():
    found = decided("value", "value", taught(Prior))
    assert stand_ins(found) == []
    assert any(re.fullmatch(f"scorer gives {GIVES['conversion']}", reason) for reason in found.items[0].reasons)
    assert "20.00 value × 0.4 margin" in found.items[0].formula


def test_a_gain_is_no_chance(bodies):
    found = decided("click", "click", bodies["gain"])
    gains = [reason for item in found.items for reason in item.reasons if "gain" in reason]
    assert len(gains) == 2
    assert all(re.fullmatch(r"scorer gives a gain of [+-][\d.]+% in the chance of click", told) for told in gains)


def test_snapshots_of_before_hold_scorers_of_conversions(bodies):
    assert ScorerItem(3, bodies["click"]).objective == "conversion"
