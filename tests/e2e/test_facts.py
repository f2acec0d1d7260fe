"""A browser: the catalogue is searched, a fact is written, tried while it is typed, published, and withdrawn."""

import random
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from decisioning.config import clock
from decisioning.customers import profile
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import CustomFact
from decisioning.flows.describe import describe
from decisioning.flows.react import react
from decisioning.flows.refresh import refresh_all
from decisioning.models import Change
from tests.customers.test_ingest import checked

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]

NARROW = {"width": 390, "height": 844}
LIST = "/admin/customers/customfact/"
DEPARTMENTS = ("Produce", "Dairy", "Bakery", "Fuel")
SHOPPERS = 60


@pytest.fixture
def shoppers(transactional_db: None) -> None:
    """Sixty people with orders and traits, computed and counted."""
    Change.objects.get_or_create(defaults={"number": 0, "built": -1})
    now, dice = clock.now(), random.Random(7)
    events = []
    for number in range(SHOPPERS):
        who = f"u-{number}"
        city = dice.choice(("Rome", "Rome", "Oslo", "Paris"))
        events.append(
            checked(f"t-{number}", now, who, type="identify", name="identify", properties=f'{{"city": "{city}"}}')
        )
        for order in range(dice.choice((0, 1, 1, 2, 5))):
            at = now - timedelta(days=dice.uniform(0, 80))
            total, department = round(dice.lognormvariate(3, 1), 2), dice.choice(DEPARTMENTS)
            line = f'{{"department": "{department}", "price": {total}}}'
            properties = f'{{"total": {total}, "gift": {"true" if order else "false"}, "products": [{line}]}}'
            events.append(checked(f"o-{number}-{order}", at, who, name="Order Completed", properties=properties))
    store(events, now)
    while react(now).events:
        pass
    refresh_all(now)
    describe(profile.stored_frame(), now)


def test_the_catalogue_is_searched_and_leads_to_facts(inside: Page, shoppers: None) -> None:
    inside.goto(LIST)
    expect(inside.get_by_role("heading", name="Orders and money")).to_be_visible()
    inside.get_by_label("Search", exact=True).fill("orders 30")
    inside.get_by_label("Search", exact=True).press("Enter")
    expect(inside.get_by_role("heading", name="Baskets")).to_have_count(0)
    inside.get_by_role("link", name="Orders in 30 days", exact=True).click()
    expect(inside.get_by_text(f"of {SHOPPERS} customers have it")).to_be_visible()
    inside.get_by_text("The same as a table").click()
    expect(inside.get_by_role("columnheader", name="From, and below")).to_be_visible()


def test_a_fact_is_tried_while_it_is_typed_published_and_withdrawn(inside: Page, shoppers: None) -> None:
    inside.goto(f"{LIST}add/")
    inside.get_by_label("Name").fill("mean_order")
    inside.get_by_label("Label").fill("Mean order")
    text = inside.locator("textarea.language-editor-text")
    text.fill('SUM("Order Completed".total) IN LAST 30 DAYS / order_30d')
    expect(inside.get_by_text('Did you mean "orders_30d"?')).to_be_visible()
    expect(inside.get_by_text("Mend what is marked above")).to_be_visible()
    text.fill('SUM("Order Completed".total) IN LAST 30 DAYS / orders_30d')
    expect(inside.get_by_text("This fact is a number.")).to_be_visible()
    expect(inside.get_by_text(f"Over a sample of {SHOPPERS} customers")).to_be_visible()
    inside.get_by_label("For the customer").fill("u-7")
    expect(inside.get_by_text("For u-7:")).to_be_visible()
    inside.get_by_role("button", name="Save and publish").click()
    expect(inside.get_by_text("rules and segments may use it now")).to_be_visible()
    expect(inside.get_by_text("being computed").first).to_be_visible()
    fact = CustomFact.objects.get()
    assert (fact.name, fact.type) == ("mean_order", "number")
    inside.get_by_role("link", name="Withdraw …").click()
    inside.get_by_role("button", name="Withdraw").click()
    expect(inside.get_by_text("is withdrawn; its draft stays")).to_be_visible()


@pytest.mark.parametrize("address", ["", "add/", "fact/spend_90d/", "fact/city/"])
def test_pages_fit_a_narrow_screen(inside: Page, shoppers: None, address: str) -> None:
    inside.set_viewport_size(NARROW)  # type: ignore[arg-type]
    inside.goto(LIST + address)
    wide: Any = inside.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 1
