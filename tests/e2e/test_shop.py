"""A visitor of the demo shop: becomes a customer, looks, buys, redeems, and sees why each coupon is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from campaigns.models import Content, Placement
from decisioning.api import decisions
from decisioning.config import clock
from decisioning.customers.models import Event, FactVocabulary
from decisioning.flows.explain import explained
from decisioning.flows.react import react
from decisioning.flows.refresh import refresh_all
from decisioning.flows.take import take_events
from decisioning.models import Change, Decision, Outcome
from decisioning.store import connection, profiles, publishing, snapshot
from decisioning.store.keyring import ring
from decisioning.store.ledger import ledger
from rules.models import Segment
from tools.demo import shop as demo_shop
from tools.demo import showcase

from ..clients.scoring import train

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.e2e.shop_urls"),
    pytest.mark.usefixtures("clean_redis"),
]
STRIP = "[data-strip]"


@pytest.fixture
def furnished(page: Page, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shop as the demo furnishes it, with five coupons and one customer; what is decided is written by hand."""
    settings.STATE_DIR = tmp_path
    # A busy machine may take longer than a site's visitors would wait.
    settings.INTAKE_DEADLINE_SECONDS = 30.0
    # Tests that commit empty every table afterwards, this row of the first migration too.
    Change.objects.get_or_create(pk=1, defaults={"number": 0, "built": -1})
    FactVocabulary.objects.create(data={}, learned_at=clock.now())
    for row in showcase.PLACEMENTS:
        Placement.objects.create(**row)
    for number, (tag, kind) in enumerate([("grocery", "A"), ("cosmetics", "C"), ("nutrition", "C")] * 3, 1):
        body = {"title": f"Save on {tag} {number}", "text": "Ten coupons.", "url": f"/coupons/coupon-{number}"}
        more = {"campaign_type": kind, "coupon_count": 10, "departments": {tag.title(): 1.0}}
        Content.objects.create(
            key=f"coupon-{number}", name=f"{tag} {number}", body=body, attributes=more, tags=["coupon", tag]
        )
    Segment.objects.create(**showcase.SEGMENTS[1])
    identify = b'{"messageId": "known", "userId": "hh-1", "traits": {"age": "35-44"}}'
    assert take_events(identify, "identify", clock.now())[0] == 200
    while react(clock.now()).events:
        pass
    demo_shop.furnish()
    refresh_all(clock.now())
    # Nothing in the background: threads would ask a database that the next test empties.
    for thing in (snapshot.holder, ring, ledger):
        monkeypatch.setattr(thing, "_thread", object())
    monkeypatch.setattr(snapshot.holder, "directory", tmp_path / "state")
    monkeypatch.setattr(snapshot.holder, "current", None)
    monkeypatch.setattr(ring, "held", None)
    # The ledger is written a fifth of a second after an answer: here, before it is read.
    monkeypatch.setattr(decisions, "explained", lambda number: explained(number) if ledger.flush() >= 0 else None)
    monkeypatch.setattr(profiles, "_shared", [profiles.Profiles(connection.patient())])
    snapshot.build()
    snapshot.holder.poll()
    publishing.publish_all()
    yield
    # A page that still asks would meet a shop without goods.
    page.goto("about:blank")
    ledger.flush()


@pytest.fixture
def visitor(page: Page, furnished: None) -> Page:
    """Somebody new on the home page, to whom coupons were shown."""
    page.goto("/demo/")
    decided(page)
    return page


def decided(page: Page) -> None:
    """Wait for the first slot of a page."""
    expect(page.locator("[data-placement]").first).to_have_attribute("data-decisioning", "decided")


def happened(page: Page, name: str, number: int = 1) -> list[Event]:
    """The events of this name once so many are stored; what follows from them is done."""
    for _ in range(200):
        if Event.objects.filter(name=name).count() >= number:
            break
        page.wait_for_timeout(25)
    while react(clock.now()).events:
        pass
    return list(Event.objects.filter(name=name).select_related("identity").order_by("timestamp"))


def test_a_new_visitor_sees_coupons_in_three_slots_and_why(visitor: Page) -> None:
    for placement, number in (("home-hero", 3), ("shop-picks", 4), ("checkout", 1)):
        slot = visitor.locator(f"[data-placement={placement}]")
        slot.scroll_into_view_if_needed()
        expect(slot.locator(".coupon")).to_have_count(number)
        why = visitor.locator(f"[data-why={placement}]")
        expect(why).to_contain_text("shown with probability")
        expect(why).to_contain_text("Rules")
    expect(visitor.locator(STRIP)).to_contain_text("a new visitor")


def test_the_decisions_own_words_for_the_customer_stand_first(visitor: Page) -> None:
    ledger.flush()
    decision = Decision.objects.filter(placement="home-hero").latest("at")
    because = visitor.locator("[data-why=home-hero] .because")
    told = explained(decision.pk)
    assert told is not None
    # Three contents, and the same to say of each: once is enough.
    assert {item["because"] for item in told["items"]} == {told["because"]}
    expect(because).to_have_text(f"{told['because'].capitalize()}.")


def test_what_a_decision_was_made_from_is_read_from_the_ledger(visitor: Page) -> None:
    ledger.flush()
    hero = visitor.locator("[data-why=home-hero]")
    hero.get_by_text("What it was made from").click()
    decision = Decision.objects.filter(placement="home-hero").latest("at")
    expect(hero).to_contain_text(f"Decision {decision.pk}")
    expect(hero).not_to_contain_text("Shares of the first one's score")


def test_shares_of_the_score_are_shown_to_staff(page: Page, furnished: None, marketer: User) -> None:
    train(list(Content.objects.filter(tags__contains=["coupon"]).order_by("key")))
    snapshot.build()
    snapshot.holder.poll()
    page.goto("/demo/")
    logged_in(page, marketer)
    page.goto("/demo/people/")
    page.get_by_label("Search by id or trait").fill("hh-1")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Become hh-1").click()
    decided(page)
    ledger.flush()
    decision = Decision.objects.filter(placement="home-hero").latest("at")
    told = explained(decision.pk)
    assert told is not None and told["scores"] is not None
    hero = page.locator("[data-why=home-hero]")
    hero.get_by_text("Shares of the first one's score").click()
    expect(hero.locator(".shares > li")).to_have_count(len(told["scores"]["factors"]))
    for factor in told["scores"]["factors"]:
        expect(hero.locator(".shares")).to_contain_text(factor["words"])
    expect(hero).to_contain_text(f"sum to {told['scores']['log_odds']:.2f}.")


def logged_in(page: Page, who: User) -> None:
    """The browser has the session of this user."""
    client = Client()
    client.force_login(who)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": page.evaluate("location.origin")}])


def test_looking_around_moves_facts_segments_and_the_next_decision(visitor: Page) -> None:
    for number in range(3):
        visitor.goto("/demo/departments/produce/")
        visitor.locator(".tile-link").nth(number).click()
        decided(visitor)
    viewed = happened(visitor, "Product Viewed", 3)
    assert {event.identity.kind for event in viewed} == {"anonymous_id"}
    assert all(event.properties["department"] == "Produce" for event in viewed)
    strip = visitor.locator(STRIP)
    expect(strip.locator("[data-segments]")).to_contain_text("Looking around")
    expect(strip.locator("[data-facts]")).to_contain_text("Products viewed in 7 days3")
    visitor.goto("/demo/")
    picks = visitor.locator("[data-why=shop-picks]")
    visitor.locator("[data-placement=shop-picks]").scroll_into_view_if_needed()
    expect(picks).to_contain_text("holds shop-looking-around")


def test_a_department_shows_its_own_coupons_first(visitor: Page) -> None:
    aisle = visitor.get_by_role("navigation", name="Departments").get_by_role("link", name="Cosmetics")
    aisle.click()
    decided(visitor)
    expect(aisle).to_have_attribute("aria-current", "page")
    expect(visitor.locator("[data-placement=shop-department] .coupon").first).to_contain_text("cosmetics")
    expect(visitor.locator("[data-why=shop-department]")).to_contain_text("holds shop-cosmetics")


def test_a_visitor_becomes_a_customer_buys_and_redeems(visitor: Page) -> None:
    visitor.get_by_role("link", name="Become a customer").click()
    visitor.get_by_label("Search by id or trait").fill("hh-1 35-44")
    visitor.get_by_role("button", name="Search").click()
    visitor.get_by_role("button", name="Become hh-1").click()
    decided(visitor)
    expect(visitor.locator(STRIP)).to_contain_text("You are hh-1")
    hero = visitor.locator("[data-placement=home-hero]")
    key = hero.locator(".coupon").first.get_attribute("data-item")
    hero.locator(".coupon").first.click()
    visitor.wait_for_url(f"**/coupons/{key}")
    visitor.get_by_role("button", name="Clip this coupon").click()
    expect(visitor.get_by_role("button", name="Clipped")).to_have_attribute("aria-pressed", "true")
    visitor.locator(".tile form button").first.click()
    expect(visitor.locator("[data-count]")).to_have_text("1")
    visitor.get_by_role("link", name="Basket").click()
    visitor.get_by_role("button", name="more").click()
    expect(visitor.locator("[data-count]")).to_have_text("2")
    expect(visitor.locator("[data-clipped]")).to_contain_text("Save on")
    visitor.get_by_role("button", name="Order for").click()
    expect(visitor.get_by_role("heading", name="Thank you")).to_be_visible()
    expect(visitor.locator("[data-count]")).to_have_text("0")
    [order] = happened(visitor, "Order Completed")
    assert (order.identity.value, order.properties["products"][0]["quantity"]) == ("hh-1", 2)
    [redeemed] = happened(visitor, "Coupon Redeemed")
    assert redeemed.properties["content_key"] == key
    assert {event.identity.kind for event in Event.objects.filter(identity__value="hh-1")} == {"user_id"}
    clicked = Outcome.objects.filter(kind__in=("click", "conversion"), content=key)
    assert sorted(clicked.values_list("kind", "value")) == [("click", 0.0), ("conversion", order.properties["total"])]
    expect(visitor.locator("[data-facts]")).to_contain_text("Orders in 30 days1")


def test_somebody_new_is_nobody_known(visitor: Page) -> None:
    first = visitor.evaluate("decisioning.anonymousId")
    visitor.get_by_role("button", name="Be somebody new").click()
    visitor.wait_for_load_state()
    decided(visitor)
    assert visitor.evaluate("decisioning.anonymousId") != first


def test_what_is_not_there_is_told(page: Page, furnished: None, settings: Any, tmp_path: Any) -> None:
    assert page.request.get("/demo/products/none/").status == 404
    assert page.request.get("/demo/departments/none/").status == 404
    assert page.request.get("/coupons/none").status == 404
    settings.STATE_DIR = tmp_path / "elsewhere"
    closed = page.request.get("/demo/")
    assert closed.status == 503
    assert "make demo" in closed.text()


def test_it_works_with_the_keyboard_on_a_small_screen_without_scrolling_sideways(visitor: Page) -> None:
    visitor.set_viewport_size({"width": 375, "height": 800})
    for address in ("/demo/", "/demo/departments/grocery/", "/demo/people/", "/demo/basket/", "/coupons/coupon-1"):
        visitor.goto(address)
        if visitor.locator("[data-placement]").count():
            decided(visitor)
        wide = visitor.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, address
    visitor.goto("/demo/departments/grocery/")
    visitor.keyboard.press("Tab")
    expect(visitor.get_by_text("Skip to content")).to_be_focused()
    visitor.locator(".tile form button").first.focus()
    visitor.keyboard.press("Enter")
    expect(visitor.locator("[data-count]")).to_have_text("1")


def test_nothing_inline_and_nothing_from_elsewhere(page: Page, furnished: None) -> None:
    answer = page.goto("/demo/")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    decided(page)
