"""What a customer may be told: their own behaviour by the tables, and nothing of segments, traits, scores or ills."""

import re
from datetime import UTC, datetime

import pytest

from decisioning.console.card import labels_of
from decisioning.flows.explain import _label
from decisioning.flows.wording import because, plainly
from decisioning.learning.associations import LABELS
from decisioning.learning.contributions import Factor
from decisioning.learning.recall import PEOPLE
from decisioning.learning.schema import SOURCES, Column, FeatureSchema
from rules.language.facts import Fact

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KNOWN = {"share_garden": Fact("share_garden", "number", label="Share of GARDEN")}
FACTS = {
    "recent_purchase_in_category": ["trail shoes", "socks"],
    "favourite_department": "GARDEN",
    "recent_searches": ["tents"],
    "orders_30d": 3,
    "basket_products": 1,
    "share_garden": 0.6,
    "age": 44,
    "spend_365d": 900.0,
    "segments": ["rich"],
    "customer_segment": ["rich", "Rich people"],
    "favourite_categories": ["Pregnancy tests"],
}


def told(condition: str, **more) -> str:
    return because(f'IF {condition} THEN SHOW "a"', {**FACTS, **more}, NOW, KNOWN)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ('recent_purchase_in_category = "trail shoes"', "because you bought trail shoes"),
        ('recent_purchase_in_category IN ("hats", "socks")', "because you bought socks"),
        ('favourite_department = "GARDEN"', "because you often buy garden"),
        ("share_garden >= 0.5", "because you often buy garden"),
        ('recent_searches CONTAINS "tents"', "because of what you searched for"),
        ("orders_30d >= 2", "because you bought from us before"),
        ("basket_products > 0", "because you have something in your basket"),
        ('age > 18 AND recent_purchase_in_category = "socks"', "because you bought socks"),
        ('orders_30d >= 2 AND recent_purchase_in_category = "socks"', "because you bought socks"),
        ('age > 99 OR recent_purchase_in_category = "socks"', "because you bought socks"),
    ],
)
def test_behaviour_is_told_by_the_test_that_held(condition, words):
    assert told(condition) == words


@pytest.mark.parametrize(
    ("condition", "name", "words"),
    [
        ('COUNT(purchase WHERE category = "trail shoes") IN LAST 30 DAYS >= 1', "", "because you bought trail shoes"),
        ('COUNT("Product Viewed" WHERE brand = "Acme") >= 2', "", "because you looked at Acme"),
        ('COUNT("Order Completed") IN LAST 30 DAYS > 0', "", "because you bought from us before"),
    ],
)
def test_events_are_told_by_what_the_rule_counts(condition, name, words):
    text = condition.split(" >")[0]
    assert told(condition, **{text: 5}) == words


@pytest.mark.parametrize(
    "condition",
    [
        "age > 18",
        'IN SEGMENT "rich"',
        'customer_segment = "Rich people"',
        "spend_365d > 500",
        "CHANCE 100%",
        'favourite_categories CONTAINS "Pregnancy tests"',
        'NOT recent_purchase_in_category = "hats"',
        'recent_purchase_in_category != "hats"',
        "orders_30d < 9",
        "orders_30d >= 0",
        'device = "kiosk" OR age > 18',
    ],
)
def test_nothing_else_is_told(condition):
    assert told(condition) == ""


CAREFUL = """
Beer|Craft Beer|Antidepressants|Anti-depressants|Homosexual literature|Vodka & Gin|Casino games|Abortion care
Rotwein|Weißbier|Wodka|Schwangerschaftstests|Verhütung|Nahrung für Diabetiker|Glücksspiel|Zigaretten|Rauchen
Kirchenbedarf|Préservatifs|Vins rouges|Bière|Médicaments|Santé sexuelle|Casinos|Église
Perte de poids et obésité|Cerveza|Vino tinto|Embarazo|Medicamentos|Tabaco|Salud|Iglesia|Deudas|Gravidanza
Birra|Farmaci|Preservativi|Sigarette|Chiesa|Zwangerschap|Wijn|Geneesmiddelen|Medicijnen|Tabak|Gokken|Kerk
Leningen|SEX_TOYS|LGBTQ books|Halal meat|Loans
"""


@pytest.mark.parametrize("value", re.split(r"[|\n]", CAREFUL.strip()))
def test_what_needs_care_is_told_in_no_language(value):
    assert told(f'recent_purchase_in_category = "{value}"', recent_purchase_in_category=[value]) == ""
    counted = f'COUNT(purchase WHERE category = "{value}")'
    assert told(f"{counted} >= 1", **{counted: 1}) == ""


PLAIN = (
    "trail shoes|tents|Himbeeren|Schweinefleisch|Twine|Baby clothes|Gardening|Kitchen|Ginger|Grocery|Toys|Books|Drums"
)


@pytest.mark.parametrize("value", PLAIN.split("|"))
def test_what_only_looks_like_it_is_told(value):
    words = told(f'recent_purchase_in_category = "{value}"', recent_purchase_in_category=[value])
    assert words == f"because you bought {value}"


def test_operators_forbid_words_of_their_own_and_all_values(settings):
    asked = 'recent_purchase_in_category = "trail shoes"'
    settings.CAREFUL_WORDS = ["Tráil"]
    assert told(asked) == ""
    assert told('recent_purchase_in_category = "socks"') == "because you bought socks"
    settings.CAREFUL_WORDS, settings.TELL_VALUES = [], False
    assert (told(asked), told("share_garden >= 0.5")) == ("", "")
    assert told("orders_30d >= 2") == "because you bought from us before"


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ('COUNT("Products Searched" WHERE query = "abortion clinic")', "because of what you searched for"),
        ('COUNT("Product Viewed" WHERE query = "abortion clinic")', ""),
        ('COUNT("Product Viewed" WHERE name = "Ovestin 1 mg")', ""),
        ('COUNT(purchase WHERE category IN ("trail shoes", "tents"))', "because you bought from us before"),
        ('COUNT(purchase WHERE category CONTAINS "trail")', "because you bought from us before"),
        ('COUNT(purchase WHERE category IN ("tents"))', "because you bought tents"),
    ],
)
def test_what_was_typed_or_cannot_be_known_is_not_named(test, words):
    assert told(f"{test} >= 1", **{test: 1}) == words


def test_a_search_is_never_quoted():
    asked = 'recent_searches CONTAINS "abortion clinic"'
    assert told(asked, recent_searches=["abortion clinic"]) == "because of what you searched for"


@pytest.mark.parametrize("asks", ["BETWEEN 0 AND 3", "> -1", ">= 0", "= 0", ">= -2", "BETWEEN -1 AND 5"])
@pytest.mark.parametrize("name", ['COUNT(purchase WHERE category = "baby clothes")', "orders_365d", "share_garden"])
def test_asking_for_little_or_none_says_nothing_was_done(name, asks):
    assert told(f"{name} {asks}", **{name: 0}) == ""


@pytest.mark.parametrize("asks", ["BETWEEN 1 AND 3", "> 0", ">= 1", "= 1"])
def test_asking_for_some_says_that_it_was_done(asks):
    assert told(f"orders_365d {asks}", orders_365d=1) == "because you bought from us before"


def test_one_visit_is_not_called_often():
    assert told("visits_30d >= 1", visits_30d=1) == "because you visited us before"


def test_a_rule_that_cannot_be_read_tells_nothing():
    assert because("IF IF", FACTS, NOW, KNOWN) == ""


def test_what_is_behind_a_test_that_failed_is_not_told():
    assert told('recent_purchase_in_category = "hats" OR age > 18') == ""


def test_a_factor_is_told_with_its_value_and_direction():
    assert plainly("Orders in 30 days", 5, 0.3) == "Orders in 30 days is 5: raises the chance"
    assert plainly("Age", None, -0.3) == "Age is not known: lowers the chance"
    assert plainly("Member", True, 0.1) == "Member is yes: raises the chance"


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_feature_has_words_on_both_pages(source):
    key = PEOPLE if source == "association" else "favourite_brand"
    name = f"click_rate_of_{key}" if source == "rate" else f"{source}_{key}"
    words = _label(Factor(name, source, key, 1.0, 0.5), {})
    drawn = labels_of(FeatureSchema([Column(name, source, key)]), {})[name]
    assert (words == drawn == LABELS[PEOPLE]) == (source == "association")
    assert "_" not in drawn
    assert "_" not in words or source in ("fact", "context"), "a fact that nobody declared has its name alone"
