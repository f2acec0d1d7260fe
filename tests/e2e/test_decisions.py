"""A browser: from a customer to their decision, its rules by keyboard, its replay, and all of it on a narrow screen."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from decisioning.models import Decision
from tests.admin.test_decisions import a_shop_with_a_decision

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

NARROW = {"width": 390, "height": 844}


@pytest.fixture
def decision(shop: dict[str, Any]) -> Decision:
    return a_shop_with_a_decision(shop)


def test_a_marketer_finds_a_decision_reads_it_and_replays_it(
    inside: Page, shop: dict[str, Any], decision: Decision
) -> None:
    inside.goto(f"/admin/customers/customer/{shop['customers_customer'].pk}/change/")
    inside.get_by_role("link", name="Decisions of this customer").click()
    inside.locator(f"a[href*='{decision.pk}']").first.click()
    expect(inside.locator(".decisions-because")).to_contain_text("because you bought trail shoes")
    closed = inside.locator(".decisions-rule", has_text="The rule kiosk")
    expect(closed.locator(".decisions-tree")).to_be_hidden()
    closed.locator("summary").focus()
    inside.keyboard.press("Enter")
    expect(closed.locator(".decisions-tree").first).to_be_visible()
    inside.get_by_role("link", name="Replay on the same snapshot").click()
    expect(inside.get_by_role("status")).to_contain_text("Equal to the last bit")


def test_the_pages_fit_a_narrow_screen(inside: Page, decision: Decision) -> None:
    inside.set_viewport_size(NARROW)
    home = "/admin/decisioning/decision/"
    for address in (home, f"{home}{decision.pk}/change/", f"{home}{decision.pk}/replay/?on=current"):
        inside.goto(address)
        assert inside.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"]
