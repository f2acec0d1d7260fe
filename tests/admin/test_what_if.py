"""What if a customer were otherwise: the scorer is asked twice, nothing is stored, nonsense is refused."""

import pytest
from django.test import Client

from campaigns.models import Content
from decisioning.customers.models import Customer
from decisioning.flows import otherwise
from decisioning.learning.dataset import label, schema_for
from decisioning.learning.scorer import Scorer, Trees, Worth
from decisioning.models import Artefact, Score
from decisioning.store import artefacts
from tests.learning.shop import CROSSES, KINDS, OFFERS, showings

from .crowd import NOW, a_customer

pytestmark = pytest.mark.django_db
FACTS = {"orders_30d": 1, "spend_90d": 30.0, "age": "25-34", "share_dairy": 0.9, "share_meat": 0.1}


@pytest.fixture
def anna() -> Customer:
    customer = a_customer("u-1", ("user_id", "u-1"))
    Customer.objects.filter(pk=customer.pk).update(facts=FACTS)
    customer.refresh_from_db()
    return customer


@pytest.fixture
def scorer() -> Artefact:
    """An active scorer of the shop, whose contents can be shown."""
    return active(Trees)


def active(kind: type[Scorer], worth: float = 1.0) -> Artefact:
    """Each conversion is `worth` so much."""
    for offer in OFFERS:
        Content.objects.create(key=offer.key, name=offer.key.title(), attributes=offer.attributes)
    frame = showings()
    schema = schema_for(frame, OFFERS, KINDS, CROSSES)
    rows = label(schema, frame, OFFERS)
    fitted = kind(schema).fit(rows.X, rows.y * worth, rows.contents, rows.at)
    metrics = {"card": {"importance": [{"name": "spend_90d"}], "rows": 0}}
    artefact = artefacts.keep(Artefact.Kind.SCORER, fitted.to_artefact(), schema.hash, metrics, NOW)
    Artefact.objects.filter(pk=artefact.pk).update(active=True)
    return artefact


def page(customer: Customer) -> str:
    return f"/admin/customers/customer/{customer.pk}/what-if/"


def test_more_spent_is_a_higher_chance_and_the_page_says_by_how_much(
    browser: Client, anna: Customer, scorer: Artefact
) -> None:
    as_it_is = browser.get(page(anna))
    assert {row["change"] for row in as_it_is.context["rows"]} == {""}
    answer = browser.get(page(anna), {"fact.spend_90d": "600"})
    assert [field.name for field in answer.context["changed"]] == ["spend_90d"]
    assert all(row["change"].startswith("+") for row in answer.context["rows"])
    found = otherwise.suppose(scorer.pk, anna.facts, {"spend_90d": 600.0})
    assert [row["then"] for row in answer.context["rows"]] == [f"{one.then:.2%}" for one in found.chances]
    assert b"Spend in 90 days 600 in place of 30" in answer.content


def test_money_is_written_as_money_and_not_in_percent(browser: Client, anna: Customer) -> None:
    active(Worth, 12.5)
    answer = browser.get(page(anna), {"fact.spend_90d": "600"})
    assert all(0.1 < float(row["then"]) < 12.5 for row in answer.context["rows"])
    told = answer.content.decode()
    assert "Expected value" in told
    assert "in the natural logarithm of the value (SHAP)" in told
    assert "chance" not in told.partition("What it would say")[2]


def test_what_the_card_says_matters_most_is_asked_first(browser: Client, anna: Customer, scorer: Artefact) -> None:
    assert browser.get(page(anna)).context["asked"][0].name == "spend_90d"


def test_nothing_is_stored(browser: Client, anna: Customer, scorer: Artefact) -> None:
    browser.get(page(anna), {"fact.spend_90d": "600", "fact.age": "65+"})
    anna.refresh_from_db()
    assert anna.facts == FACTS
    assert not Score.objects.exists()


@pytest.mark.parametrize("typed", ["much", "nan", "1e999", "<b>"])
def test_what_is_no_number_is_refused_beside_its_field(
    browser: Client, anna: Customer, scorer: Artefact, typed: str
) -> None:
    answer = browser.get(page(anna), {"fact.spend_90d": typed})
    (wrong,) = answer.context["wrong"]
    assert (wrong.name, wrong.typed) == ("spend_90d", typed)
    assert {row["change"] for row in answer.context["rows"]} == {""}
    assert b"<b>" not in answer.content


def test_an_empty_field_takes_the_fact_away(browser: Client, anna: Customer, scorer: Artefact) -> None:
    answer = browser.get(page(anna), {"fact.spend_90d": ""})
    found = otherwise.suppose(scorer.pk, {k: v for k, v in FACTS.items() if k != "spend_90d"}, {})
    assert [row["then"] for row in answer.context["rows"]] == [f"{one.now:.2%}" for one in found.chances]


def test_without_a_scorer_the_page_says_how_to_get_one(browser: Client, anna: Customer) -> None:
    assert b"manage.py learn train" in browser.get(page(anna)).content


def test_who_may_not_look_at_customers_may_not_ask(client: Client, anna: Customer) -> None:
    assert client.get(page(anna)).status_code == 302
