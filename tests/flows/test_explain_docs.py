"""The examples of docs/explaining.md are what the product answers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Content, Placement
from decisioning.flows.explain import explain_row
from decisioning.flows.path import STEPS
from decisioning.flows.rerun import replayed
from decisioning.flows.wording import because
from rules.language.facts import Fact
from rules.models import Rule

from .explaining import decided, knows, train, write

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "explaining.md").read_text()
FACTS = {
    "recent_purchase_in_category": ["trail shoes"],
    "favourite_department": "GARDEN",
    "favourite_viewed_category": "tents",
    "recent_searches": ["tents"],
    'COUNT(purchase WHERE category = "trail shoes") IN LAST 30 DAYS': 1,
    'COUNT("Product Viewed" WHERE brand = "Acme")': 2,
    "orders_30d": 2,
    "basket_products": 1,
}
ROWS = re.findall(r"^\| `([^|]+)` \| (because [^|]+) \|$", TEXT, re.M)


def example(name: str) -> Any:
    return json.loads(re.search(rf"```json {name}\n(.*?)```", TEXT, re.S)[1])


def holds(part: Any, whole: Any) -> bool:
    """Whether everything that the example shows is in the answer."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and holds(part[name], whole[name]) for name in part)
    if isinstance(part, list):
        return len(part) == len(whole) and all(holds(a, b) for a, b in zip(part, whole, strict=True))
    return part == whole


@pytest.fixture
def row(site):
    """The decision of the page."""
    Placement.objects.filter(key="hero").update(count=1)
    knows(site, age=30, recent_purchase_in_category=["trail shoes"])
    write(site, "shoes", 'IF recent_purchase_in_category = "trail shoes" THEN SHOW "banana", HIDE "apple"')
    write(site, "young", 'IF age < 18 THEN HIDE "banana"')
    return decided(site)


def test_the_explanation_is_the_one_on_the_page(site, row):
    wanted, told = example("explained"), explain_row(row)
    assert [name for name in wanted if not holds(wanted[name], told[name])] == []


def test_the_replay_is_the_one_on_the_page(site, row):
    Rule.objects.filter(key="shoes").update(active=False)
    Content.objects.filter(key="banana").update(value=2.0)
    site.publish()
    wanted, told = example("replayed"), replayed(row.pk, example("replay")["snapshot"])
    assert told["causes"] == wanted["causes"]
    assert holds(wanted["changes"]["dropped"], [one for one in told["changes"]["dropped"] if one["key"] == "apple"])
    assert holds(wanted["changes"]["items"], [one for one in told["changes"]["items"] if one["key"] == "apple"])
    assert (told["on"], told["identical"]) == ("current", False)


def test_a_factor_has_the_fields_on_the_page(site):
    train(site)
    knows(site, age=70, orders_30d=3)
    factors = explain_row(decided(site))["scores"]["factors"]
    assert set(example("factor")) == set(factors[0])
    assert example("factor")["words"].startswith("Age is 70: raises")


@pytest.mark.parametrize(("condition", "words"), ROWS)
def test_each_row_of_the_table_reads_as_it_says(site, condition, words):
    known = {name: Fact(name, "text") for name in FACTS}
    row = decided(site)
    assert because(f'IF {condition} THEN SHOW "a"', FACTS, row.at, known) == words


def test_the_table_is_read_and_the_steps_are_named():
    assert len(ROWS) == 8
    assert [one["step"] for one in example("explained")["path"]] == list(STEPS)
    told = {"because", "path", "candidates", "rules", "decided_again"}
    assert [field for field in told if f"`{field}`" not in TEXT] == []
