"""A browser: a customer is found, merged and taken apart, the log explored and followed, proposals decided by key."""

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from decisioning.customers.models import Customer, Identity, Merge, Proposal
from tests.admin.crowd import NOW, a_customer, an_event, merged

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

NARROW = {"width": 390, "height": 844}


@pytest.fixture
def anna(transactional_db: None) -> Customer:
    traits = {"name": "Anna Smith", "city": "Berlin", "plan": "gold"}
    return a_customer("u-1", ("user_id", "u-1"), ("email", "anna.smith@example.com"), traits=traits)


@pytest.fixture
def ghost(transactional_db: None) -> Customer:
    return a_customer("anonymous:a-1", ("anonymous_id", "a-1"))


def user(customer: Customer) -> Identity:
    return customer.identities.earliest("pk")


def test_a_customer_is_found_merged_by_hand_and_taken_apart_again(
    inside: Page, anna: Customer, ghost: Customer
) -> None:
    inside.goto("/admin/customers/customer/")
    inside.locator("#searchbar").fill("anna.s")
    inside.locator("#searchbar").press("Enter")
    inside.get_by_role("link", name="u-1").click()
    expect(inside.get_by_text("was first seen with user id u-1")).to_be_visible()
    inside.get_by_role("link", name="Merge with …").click()
    inside.get_by_label("Any identifier or key").fill("a-")
    inside.keyboard.press("Enter")
    inside.get_by_role("link", name="Compare …").click()
    expect(inside.get_by_role("heading", name="Becomes part of it")).to_be_visible()
    inside.get_by_role("button", name="Merge").click()
    expect(inside.get_by_text("are one customer now: u-1")).to_be_visible()
    inside.get_by_role("link", name="Undo …").click()
    expect(inside.get_by_role("heading", name="Leaves")).to_be_visible()
    inside.get_by_role("button", name="Undo the merge").click()
    expect(inside.get_by_text("are two customers again")).to_be_visible()
    assert Merge.objects.get().undone_at is not None
    assert list(ghost.identities.values_list("value", flat=True)) == ["a-1"]


def test_two_user_ids_need_the_typed_key(inside: Page, anna: Customer) -> None:
    other = a_customer("u-2", ("user_id", "u-2"))
    inside.goto(f"/admin/customers/customer/{anna.pk}/merge/?with={other.pk}")
    inside.get_by_label("Both have a user id").fill("u-1")
    inside.get_by_role("button", name="Merge").click()
    expect(inside.get_by_role("alert")).to_contain_text("this is not u-2")
    inside.get_by_label("Both have a user id").fill("u-2")
    inside.get_by_role("button", name="Merge").click()
    expect(inside.get_by_text("are one customer now")).to_be_visible()


def test_the_log_is_followed_live_and_paused_with_the_space_bar(inside: Page, anna: Customer) -> None:
    an_event(user(anna), "First")
    inside.goto("/admin/customers/event/")
    rows = inside.locator("[data-tail-rows] tr")
    expect(rows).to_have_count(1)
    inside.keyboard.press("Space")
    expect(inside.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    an_event(user(anna), "Second", properties={"note": "<b>bold</b>"})
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Second")
    expect(rows.first).to_contain_text("<b>bold</b>")
    inside.keyboard.press("Space")
    expect(inside.get_by_role("button", name="Follow live")).to_be_visible()
    an_event(user(anna), "Third")
    inside.wait_for_timeout(1500)
    expect(rows).to_have_count(2)
    inside.get_by_role("button", name="Follow live").click()
    expect(rows.first).to_contain_text("Third")


def test_the_tail_follows_the_filters_and_starts_on_an_empty_page(inside: Page, anna: Customer) -> None:
    inside.goto("/admin/customers/event/?name=Wanted")
    expect(inside.get_by_text("No event fits that.")).to_be_visible()
    inside.get_by_role("button", name="Follow live").click()
    an_event(user(anna), "Other")
    an_event(user(anna), "Wanted")
    rows = inside.locator("[data-tail-rows] tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Wanted")
    expect(inside.get_by_text("No event fits that.")).to_have_count(0)


def test_a_space_typed_into_a_filter_does_not_start_the_tail(inside: Page, anna: Customer) -> None:
    inside.goto("/admin/customers/event/")
    inside.get_by_label("Event", exact=True).focus()
    inside.keyboard.type("Order Completed")
    expect(inside.get_by_role("button", name="Follow live")).to_be_visible()
    inside.keyboard.press("Enter")
    inside.wait_for_url("**name=Order*")
    expect(inside.get_by_label("Event", exact=True)).to_have_value("Order Completed")


def test_proposals_are_decided_by_keyboard(inside: Page, anna: Customer, ghost: Customer) -> None:
    others = [a_customer(f"email:{n}", ("email", f"{n}@example.com")) for n in ("anna", "asmith")]
    for place, other in enumerate([*others, ghost]):
        score = 0.9 - place / 10
        Proposal.objects.create(one=anna, other=other, score=score, reasons=["The names are the same."], at=NOW)
    inside.goto("/admin/customers/proposal/")
    inside.keyboard.press("d")
    expect(inside.get_by_text("u-1 and email:anna stay two customers.")).to_be_visible()
    inside.keyboard.press("j")
    inside.keyboard.press("a")
    expect(inside.get_by_text("u-1 and anonymous:a-1 are one customer now.")).to_be_visible()
    inside.keyboard.press("d")
    expect(inside.get_by_text("Nobody looks like somebody else")).to_be_visible()
    states = dict(Proposal.objects.values_list("other__key", "state"))
    assert states == {"email:anna": "dismissed", "email:asmith": "dismissed", "anonymous:a-1": "accepted"}


def addresses(anna: Customer, ghost: Customer) -> list[str]:
    merge = merged(anna, ghost)
    other = a_customer("u-2", ("user_id", "u-2"))
    Proposal.objects.create(one=anna, other=other, score=0.9, reasons=["The names are the same."], at=NOW)
    long = {"products": [{"name": "x" * 80, "price": n} for n in range(9)]}
    event = an_event(user(anna), timestamp=NOW - timedelta(days=1), properties=long)
    customer = "/admin/customers/customer/"
    return [
        customer,
        f"{customer}?q=anonymous:a",
        f"{customer}{anna.pk}/change/",
        f"{customer}{ghost.pk}/change/",
        f"{customer}{anna.pk}/timeline/",
        f"{customer}{anna.pk}/merge/?q=u-",
        f"{customer}{anna.pk}/merge/?with={other.pk}",
        f"{customer}merges/{merge.pk}/undo/",
        "/admin/customers/event/",
        f"/admin/customers/event/{event.pk}/change/",
        "/admin/customers/proposal/",
        "/admin/customers/proposal/?show=decided",
    ]


def test_every_page_fits_a_narrow_screen(inside: Page, anna: Customer, ghost: Customer) -> None:
    inside.set_viewport_size(NARROW)
    for address in addresses(anna, ghost):
        inside.goto(address)
        inside.wait_for_load_state("networkidle")
        wide: Any = inside.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{address} is {wide} pixels too wide"
