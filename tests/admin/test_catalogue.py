"""The fact catalogue: every fact with its figures and its users; custom facts from a draft to published and removed."""

import json
from base64 import b64decode
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
import redis
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign, Placement
from decisioning.console.fact_uses import named_in, uses_of_facts
from decisioning.customers.facts import defining, histories
from decisioning.customers.models import (
    Customer,
    CustomFact,
    Distribution,
    Event,
    FactVocabulary,
    PlannedEvent,
    QualityPolicy,
)
from decisioning.flows.describe import describe
from decisioning.store import artefacts, catalogue
from rules import rulebook
from rules.models import Recompute, Rule, Segment

from .shop import NOW, a_scorer

pytestmark = pytest.mark.django_db
Committing = Callable[[], AbstractContextManager[Any]]
LIST = "/admin/customers/customfact/"
ECO = 'COUNT("Order Completed" WHERE category = "Eco") IN LAST 30 DAYS'


@pytest.fixture
def words(shop: dict[str, Any]) -> FactVocabulary:
    data = {"event_names": ["Order Completed"], "traits": [["city", "text"], ["<b>odd</b> trait", "number"]]}
    return FactVocabulary.objects.create(data=data, learned_at=NOW)


@pytest.fixture
def counted(words: FactVocabulary) -> None:
    frame = {"customer_id": [1, 2, 3, 4], "orders_30d": [0, 3, 3, 9], "city": ["Rome", "Rome", "<i>Oslo</i>", None]}
    describe(pl.DataFrame(frame), NOW)


@pytest.fixture
def eco(words: FactVocabulary) -> CustomFact:
    """A published one that everybody's facts hold."""
    row = CustomFact.objects.create(name="eco_orders", label="Eco orders", description="How green.", text=ECO)
    known = catalogue.for_formulas()
    defining.publish(row, None, NOW, defining.find(ECO, row.name, known), "", [])
    FactVocabulary.objects.update(histories=[*histories.wanted(), *histories.customs().marks])
    row.refresh_from_db()
    return row


def page_of(row: CustomFact) -> str:
    return f"{LIST}{row.pk}/change/"


def fact_page(name: str) -> str:
    return reverse("admin:customers_customfact_fact", args=[name])


def text_of(browser: Client, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def form_of(**fields: str) -> dict[str, str]:
    return {"name": "eco_orders", "label": "Eco orders", "description": "", "unit": "orders", "text": ECO} | fields


# -- the catalogue


def test_the_catalogue_lists_facts_of_every_origin_with_their_figures(
    browser: Client, counted: None, eco: CustomFact
) -> None:
    Segment.objects.create(key="few", name="Few of them", condition='COUNT("Order Completed") IN LAST 7 DAYS = 1')
    told = text_of(browser, LIST)
    for name in ("Eco orders", "orders_30d", "city", "IN LAST 7 DAYS", "context device", "Kiosk users", "Few of them"):
        assert name in told
    assert "75.0 %" in told  # of four customers three have a city
    assert "<b>odd</b>" not in told
    assert "&lt;b&gt;odd&lt;/b&gt; trait" in told
    assert ECO not in told.replace("&quot;", '"')  # asked for by the custom fact alone


def test_it_searches_names_labels_and_descriptions(browser: Client, counted: None, eco: CustomFact) -> None:
    assert "Eco orders" in text_of(browser, f"{LIST}?q=GREEN how")
    assert "orders_30d" not in text_of(browser, f"{LIST}?q=green")
    assert "No fact fits that" in text_of(browser, f"{LIST}?q=nothing like it")
    assert "orders_30d" not in text_of(browser, f"{LIST}?type=yes+or+no")
    assert "orders_30d" in text_of(browser, f"{LIST}?type=number&only=unused")
    QualityPolicy.objects.create(fact="orders_30d")
    assert "orders_30d" not in text_of(browser, f"{LIST}?only=unused")
    assert "orders_30d" in text_of(browser, f"{LIST}?only=used")
    assert fact_page("city") not in text_of(browser, f"{LIST}?only=empty&type=text")


def test_every_fact_has_a_page(browser: Client, counted: None, eco: CustomFact) -> None:
    for name in ("orders_30d", "city", "<b>odd</b> trait", "context device", "segments", "spend_30d"):
        assert browser.get(fact_page(name)).status_code == 200
    assert browser.get(fact_page("no/such fact")).status_code == 404
    assert browser.get(fact_page("eco_orders"))["Location"] == page_of(eco)


def test_a_fact_s_page_tells_its_distribution_and_a_few_customers(browser: Client, counted: None) -> None:
    told = text_of(browser, fact_page("orders_30d"))
    assert "<strong>4</strong> of 4 customers have it" in told
    assert "3: 2 (50.0 %)" in told
    assert "the last 30 days" in told
    assert "hh-1" in told  # facts as stored: three orders
    cities = text_of(browser, fact_page("city"))
    assert "&lt;i&gt;Oslo&lt;/i&gt;" in cities
    assert "66.7 %" in cities
    Distribution.objects.all().delete()
    assert "Not counted yet" in text_of(browser, fact_page("orders_30d"))


def test_who_may_not_see_customers_sees_no_examples(words: FactVocabulary) -> None:
    person = User.objects.create(username="fay", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_customfact"))
    client = Client()
    client.force_login(person)
    told = text_of(client, fact_page("orders_30d"))
    assert "hh-1" not in told
    assert "Count again now" not in text_of(client, LIST)
    assert "Define a fact" not in text_of(client, LIST)
    assert client.get(f"{LIST}add/").status_code == 403
    for address in ("count/", "add/"):
        assert client.post(f"{LIST}{address}").status_code == 403


@pytest.mark.parametrize("address", ["", "fact/orders_30d/"])
def test_who_may_see_no_facts_is_refused(visitor: Client, words: FactVocabulary, address: str) -> None:
    assert visitor.get(f"{LIST}{address}").status_code == 403


@pytest.mark.parametrize("address", ["check/", "preview/", "count/"])
def test_who_may_see_no_facts_asks_nothing(visitor: Client, words: FactVocabulary, address: str) -> None:
    assert visitor.post(f"{LIST}{address}", {"text": ECO}).status_code == 403
    assert visitor.get(f"{LIST}{address}").status_code == 405


def tasks(broker: redis.Redis) -> list[tuple[str, list[Any]]]:
    """The tasks that wait, each with its arguments."""
    found = [json.loads(raw) for queue in ("now", "later") for raw in broker.lrange(queue, 0, -1)]
    return [
        (one["headers"]["task"].removeprefix("decisioning.tasks."), json.loads(b64decode(one["body"]))[0])
        for one in found
    ]


def test_counting_again_is_a_task(
    browser: Client, words: FactVocabulary, broker: redis.Redis, committing: Committing
) -> None:
    assert "Count again now" in text_of(browser, LIST)
    with committing():
        assert browser.post(f"{LIST}count/").status_code == 302
    assert tasks(broker) == [("describe_facts", [])]


# -- who uses a fact


def uses(name: str) -> list[tuple[str, str]]:
    return sorted((use.kind, use.said) for use in uses_of_facts([name]).get(name, []))


def test_uses_are_found_wherever_facts_are_read(shop: dict[str, Any], eco: CustomFact) -> None:
    assert uses("eco_orders") == []
    rule = Rule.objects.create(key="r", name="R", text='IF eco_orders > 1 THEN SHOW "eco-banner"')
    rulebook.publish(rule, None, catalogue.current())
    Rule.objects.filter(pk=rule.pk).update(text='IF orders_30d > eco_orders THEN SHOW "eco-banner"')
    Segment.objects.create(key="s", name="S", condition="NOT (eco_orders IS MISSING OR orders_30d = 1)")
    Placement.objects.filter(key="home").update(audience="eco_orders BETWEEN 1 AND 3")
    Campaign.objects.filter(key="welcome").update(
        audience="eco_orders IN (1, 2)", subject="{{ customer.eco_orders }}", body='{{ customer["eco_orders"] }}'
    )
    CustomFact.objects.create(name="share", label="Share", text="eco_orders / orders_30d")
    QualityPolicy.objects.create(fact="eco_orders")
    assert uses("eco_orders") == [
        ("Campaign", "the audience"),
        ("Campaign", "the message"),
        ("Campaign", "the subject"),
        ("Custom fact", "the draft"),
        ("Placement", "the audience"),
        ("Quality policy", "the policy"),
        ("Rule", "published revision 1"),
        ("Rule", "the draft"),
        ("Segment", "the condition"),
    ]


def test_what_was_learned_from_a_fact_uses_it(shop: dict[str, Any]) -> None:
    artefact = artefacts.keep("scorer", a_scorer(), "0" * 64, {}, NOW)
    assert uses("orders_30d") == []
    artefacts.activate(artefact)
    [use] = uses_of_facts(["orders_30d"])["orders_30d"]
    assert (use.row, use.learnt) == (artefact, True)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{{ customer.eco }}", {"eco"}),
        ('{% if customer["odd name"] > 1 %}{{ customer.a.b }}{% endif %}', {"odd name", "a"}),
        ("{% assign who = customer %}{{ who.eco }}", {"eco"}),
        ("{% for city in customer.cities %}{{ city.name }}{% endfor %}", {"cities"}),
        ("{{ contents[0].customer }} {{ eco }}", set()),
        ("{{ customer.eco ", set()),
        ("", set()),
    ],
)
def test_a_template_names_the_facts_it_reads(template: str, names: set[str]) -> None:
    assert named_in(template, html=True) == names


def test_names_that_are_quoted_in_texts_are_found(shop: dict[str, Any]) -> None:
    Segment.objects.create(key="s", name="S", condition='"odd name" = 5')
    assert uses("odd name") == [("Segment", "the condition")]


# -- defining


def test_a_draft_is_checked_saved_and_not_computed(browser: Client, words: FactVocabulary) -> None:
    answer = browser.post(f"{LIST}add/", form_of())
    row = CustomFact.objects.get()
    assert answer["Location"] == page_of(row)
    assert (row.text, row.published_text, row.unit) == (ECO, "", "orders")
    told = text_of(browser, page_of(row))
    assert "Nothing is computed from it" in told
    assert "It was never published" in told


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": "COUNT(Order)"}, "Line 1, column 1: There is no event &quot;Order&quot;"),
        ({"text": "orders_3d / 2"}, "Did you mean &quot;orders_30d&quot;?"),
        ({"text": "city * 2"}, "only numbers can be calculated with"),
        ({"text": "hour * 2"}, "in the moment of a request only"),
        ({"text": "eco_orders * 2"}, "cannot be calculated from itself"),
        ({"text": "SUM("}, "The text ends too early"),
        (
            {"name": "orders_30d"},
            "orders_30d is the name of a built-in fact; take another name, such as my_orders_30d.",
        ),
        ({"name": "city"}, "is the name of a"),
        ({"name": "Eco Orders"}, "Use lower-case letters"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(
    browser: Client, words: FactVocabulary, fields: dict[str, str], problem: str
) -> None:
    answer = browser.post(f"{LIST}add/", form_of(**fields))
    assert answer.status_code == 200
    assert problem in " ".join(answer.content.decode().split())
    assert not CustomFact.objects.exists()


def test_the_check_while_typing_points_and_tells_the_type(browser: Client, words: FactVocabulary) -> None:
    fine = browser.post(f"{LIST}check/", {"text": "orders_30d\r\n/ 2"}).json()
    assert fine == {"problems": [], "audience": "This fact is a number."}
    [wrong] = browser.post(f"{LIST}check/", {"text": "orders_30d\r\n/ spend_3d"}).json()["problems"]
    assert (wrong["line"], wrong["column"], wrong["hint"]) == (2, 3, 'Did you mean "spend_30d"?')
    assert wrong["pointed"] == "/ spend_3d\n  ^^^^^^^^"


def test_publishing_tells_who_when_and_asks_the_worker(
    browser: Client, words: FactVocabulary, broker: redis.Redis, committing: Committing
) -> None:
    with committing():
        browser.post(f"{LIST}add/", form_of(_publish="1"))
    row = CustomFact.objects.get()
    assert (row.published_text, row.type, str(row.published_by)) == (ECO, "number", "mia")
    assert tasks(broker) == [("compute_fact", [row.pk])]
    told = text_of(browser, page_of(row))
    assert "It will be computed for everybody within a minute" in told
    assert "Published: COUNT(" in told
    assert "by mia" in told


def test_progress_failure_and_completion_are_shown(browser: Client, eco: CustomFact) -> None:
    assert ">published</span>" in text_of(browser, page_of(eco))
    FactVocabulary.objects.update(histories=[])
    run = Recompute.objects.create(total=200, done=80)
    told = text_of(browser, page_of(eco))
    assert "It is being computed for everybody: 40 %." in told
    Recompute.objects.filter(pk=run.pk).update(state="failed", error="out of <disk>")
    assert "out of &lt;disk&gt;" in text_of(browser, page_of(eco))


def test_a_draft_that_differs_is_told_apart_from_what_is_computed(browser: Client, eco: CustomFact) -> None:
    browser.post(page_of(eco), form_of(text="orders_30d * 2"))
    eco.refresh_from_db()
    assert (eco.text, eco.published_text) == ("orders_30d * 2", ECO)
    assert "The draft below differs from what is computed" in text_of(browser, page_of(eco))
    assert "draft differs" in text_of(browser, LIST)


def test_a_published_fact_keeps_its_name(browser: Client, eco: CustomFact) -> None:
    answer = browser.post(page_of(eco), form_of(name="other"))
    assert "It is published under its name" in answer.content.decode()
    eco.refresh_from_db()
    assert eco.name == "eco_orders"


def test_another_type_is_refused_while_it_is_in_use(browser: Client, eco: CustomFact) -> None:
    Segment.objects.create(key="s", name="S", condition="eco_orders > 1")
    CustomFact.objects.filter(pk=eco.pk).update(type="text")
    answer = browser.post(page_of(eco), form_of(_publish="1"), follow=True)
    assert "It is used as text and would become number" in answer.content.decode()


def test_a_name_that_a_trait_has_meanwhile_is_told_of(browser: Client, eco: CustomFact) -> None:
    data = {"event_names": ["Order Completed"], "traits": [["eco_orders", "text"]]}
    FactVocabulary.objects.create(data=data, learned_at=NOW)
    for address in (LIST, page_of(eco)):
        assert "is also the name of a trait now" in text_of(browser, address).replace("</a>", "")


# -- trying


def test_a_preview_computes_for_one_customer_and_a_sample(
    browser: Client, shop: dict[str, Any], words: FactVocabulary
) -> None:
    Event.objects.update(timestamp=datetime(2020, 1, 1, tzinfo=UTC))
    answer = browser.post(f"{LIST}preview/", {"text": 'COUNT("Order Completed") * 2', "who": "hh-1@example.com"})
    told = " ".join(answer.content.decode().split())
    assert "<strong>2</strong>" in told
    assert "Over a sample of 1 customers" in told
    answer = browser.post(f"{LIST}preview/", {"text": ECO, "who": "<nobody>"}).content.decode()
    assert "No customer is known by “&lt;nobody&gt;”" in answer
    assert "Mend what is marked above" in browser.post(f"{LIST}preview/", {"text": "COUNT("}).content.decode()


def test_a_preview_before_anybody_has_facts_says_what_to_do(browser: Client, words: FactVocabulary) -> None:
    Customer.objects.update(facts_at=None)
    assert "send events first" in browser.post(f"{LIST}preview/", {"text": ECO}).content.decode()


# -- removing


def test_what_is_in_use_is_neither_withdrawn_nor_deleted(browser: Client, eco: CustomFact) -> None:
    segment = Segment.objects.create(key="s", name="Greens", condition="eco_orders > 1")
    assert "Withdraw" in text_of(browser, f"{LIST}{eco.pk}/withdraw/")
    answer = browser.post(f"{LIST}{eco.pk}/withdraw/", follow=True).content.decode()
    assert "eco_orders is in use by segment “Greens”; take it out there first." in answer
    for answer in (browser.get(f"{LIST}{eco.pk}/delete/"), browser.post(f"{LIST}{eco.pk}/delete/", {"post": "yes"})):
        assert f"/admin/rules/segment/{segment.pk}/change/" in answer.content.decode()
    eco.refresh_from_db()
    assert eco.published_text == ECO


def test_what_nobody_uses_is_withdrawn_and_deleted(browser: Client, eco: CustomFact) -> None:
    answer = browser.post(f"{LIST}{eco.pk}/withdraw/", follow=True).content.decode()
    assert "Eco orders is withdrawn; its draft stays." in answer
    assert "Withdrawn: COUNT(" in answer
    eco.refresh_from_db()
    assert (eco.text, eco.published_text, eco.type) == (ECO, "", "")
    assert "eco_orders" not in catalogue.current().facts
    browser.post(f"{LIST}{eco.pk}/delete/", {"post": "yes"})
    assert not CustomFact.objects.exists()


def test_who_uses_a_fact_in_its_draft_and_as_published_is_named_once(browser: Client, eco: CustomFact) -> None:
    text = "eco_orders / 2"
    CustomFact.objects.create(name="half", label="Half", text=text, published_text=text, type="number")
    answer = browser.post(f"{LIST}{eco.pk}/withdraw/", follow=True).content.decode()
    assert "eco_orders is in use by custom fact “Half”; take it out there first." in answer


def test_a_property_nobody_has_seen_is_a_warning_as_typed_and_no_hindrance(browser: Client, eco: CustomFact) -> None:
    seen = {"total": {"type": "number", "seen": 3, "types": {"number": 3}}}
    PlannedEvent.objects.update_or_create(name="Order Completed", defaults={"properties": seen})
    text = 'DISTINCT("Order Completed".totl)'
    [found] = browser.post(f"{LIST}check/", {"text": text}).json()["problems"]
    assert (found["severity"], found["hint"]) == ("warning", 'Did you mean "total"?')
    assert browser.post(f"{LIST}add/", {"name": "odd", "label": "Odd", "text": text}).status_code == 302
    assert CustomFact.objects.filter(name="odd").exists()


def test_nobody_withdraws_without_permission(visitor: Client, eco: CustomFact) -> None:
    assert visitor.post(f"{LIST}{eco.pk}/withdraw/").status_code == 403
    eco.refresh_from_db()
    assert eco.published_text == ECO
