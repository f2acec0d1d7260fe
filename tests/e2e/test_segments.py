"""A browser: the live map renews itself and pauses, the why page is reached and read, pages fit a narrow screen."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from decisioning.config import clock
from decisioning.customers.models import Customer
from decisioning.flows.cluster import cluster
from rules.admin import livemap
from rules.models import Membership, Recompute, Segment, SegmentSize
from tests.admin.crowd import a_customer
from tests.admin.grouped import FAST, fill

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

NARROW = {"width": 390, "height": 844}
LONG = "Customers who bought at least three organic products with a coupon in the last thirty days " * 2


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The map looks three times a second, so that tests do not wait."""
    monkeypatch.setattr(livemap, "SOONEST", 300)
    monkeypatch.setattr(livemap, "SHARE", 1.0)


@pytest.fixture
def lapsed(transactional_db: None) -> Segment:
    text = "orders_30d >= 2 AND NOT recency_days > 20"
    return Segment.objects.create(key="lapsed", name="Lapsed", condition=text, size=3, refreshed_at=clock.now())


@pytest.fixture
def anna(transactional_db: None) -> Customer:
    facts = {"orders_30d": 1, "recency_days": 40.5}
    pairs = (("user_id", "u-1"), ("email", "anna@example.com"))
    return a_customer("u-1", *pairs, facts=facts, facts_at=clock.now())


def enters(segment: Segment, customer: Customer) -> None:
    Membership.objects.create(
        segment=segment, customer=customer, entered_at=clock.now(), entered_how="event", entered_by="Page (m-1)"
    )


def test_the_map_shows_who_enters_without_a_reload_and_pauses(inside: Page, lapsed: Segment, anna: Customer) -> None:
    Segment.objects.create(key="quiet", name="Quiet", size=1)
    inside.goto("/admin/rules/segment/live/")
    inside.evaluate("() => { window.opened = 1 }")
    tile = inside.locator(".segments-tile", has_text="Lapsed")
    row = inside.locator("[data-live-rows] tr", has_text="Lapsed")
    expect(tile).to_have_attribute("aria-label", "Lapsed: 3 members, 0 entered, 0 left in the last hour")
    enters(lapsed, anna)
    expect(tile).to_have_attribute("aria-label", "Lapsed: 3 members, 1 entered, 0 left in the last hour")
    expect(row.locator("td").nth(1)).to_have_text("1")
    expect(row.locator("td").last).to_have_text("+1")
    expect(inside.locator("[data-live-minutes] .segments-bar-entered")).to_have_count(1)
    assert "rgb" in tile.evaluate("tile => tile.style.backgroundColor")
    inside.keyboard.press("Space")
    expect(inside.get_by_role("button", name="Go on")).to_have_attribute("aria-pressed", "false")
    enters(lapsed, a_customer("u-2"))
    inside.wait_for_timeout(1000)
    expect(row.locator("td").nth(1)).to_have_text("1")
    inside.get_by_role("button", name="Go on").click()
    expect(row.locator("td").nth(1)).to_have_text("2")
    assert inside.evaluate("() => window.opened") == 1
    tile.focus()
    inside.keyboard.press("Enter")
    inside.wait_for_url(f"**/segment/{lapsed.pk}/change/")


def test_a_segment_that_is_made_meanwhile_appears_and_one_that_is_switched_off_goes(
    inside: Page, lapsed: Segment
) -> None:
    inside.goto("/admin/rules/segment/live/")
    expect(inside.locator(".segments-tile")).to_have_count(1)
    Segment.objects.create(key="new", name="New", size=2)
    expect(inside.locator(".segments-tile")).to_have_count(2)
    expect(inside.locator("[data-live-rows] tr")).to_have_count(2)
    Segment.objects.filter(pk=lapsed.pk).update(active=False)
    expect(inside.locator(".segments-tile")).to_have_count(1)
    expect(inside.locator("[data-live-rows] tr")).to_have_count(1)


def test_a_hidden_tab_asks_for_nothing(inside: Page, lapsed: Segment) -> None:
    inside.goto("/admin/rules/segment/live/")
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    inside.evaluate(hide, True)
    inside.wait_for_timeout(500)
    asked: list[str] = []
    inside.on("request", lambda request: asked.append(request.url))
    inside.wait_for_timeout(1000)
    assert asked == []
    with inside.expect_request("**/live/data/"):
        inside.evaluate(hide, False)


def test_why_somebody_is_out_is_found_from_the_segment_and_read(inside: Page, lapsed: Segment, anna: Customer) -> None:
    inside.goto(f"/admin/rules/segment/{lapsed.pk}/change/")
    inside.get_by_role("link", name="Why is somebody in or out?").click()
    inside.get_by_label("Any identifier or key").fill("anna@")
    inside.keyboard.press("Enter")
    expect(inside.get_by_role("heading", name="u-1 is not in Lapsed")).to_be_visible()
    need = inside.locator(".segments-need")
    expect(need).to_contain_text("Orders in 30 days must be at least 2 (now 1, 1 below that)")
    expect(need).to_contain_text("must be at most 20 (now 40.5, 20.5 above that)")
    expect(inside.locator(".segments-tree .segments-fails")).to_have_count(3)
    expect(inside.get_by_text("None: the customer was never in it.")).to_be_visible()


def test_a_membership_leads_from_the_customer_to_its_reason(inside: Page, lapsed: Segment, anna: Customer) -> None:
    enters(lapsed, anna)
    inside.goto(f"/admin/customers/customer/{anna.pk}/change/")
    expect(inside.get_by_role("link", name="Page (m-1)")).to_be_visible()
    inside.get_by_role("link", name="Why u-1 is in Lapsed").click()
    expect(inside.get_by_role("heading", name="u-1 is in Lapsed")).to_be_visible()
    expect(inside.get_by_text("facts have changed since the customer was placed")).to_be_visible()


def test_a_table_of_very_many_pairs_names_the_cell_and_opens_it(inside: Page, anna: Customer) -> None:
    rows = Segment.objects.bulk_create(Segment(key=f"s-{n:02}", name=f"Number {n:02}", size=1) for n in range(40))
    for row in rows[:2]:
        enters(row, anna)
    inside.goto("/admin/rules/segment/overlap/")
    cell = inside.locator(".segments-dense tbody tr").nth(0).locator("td").nth(1)
    cell.hover()
    expect(inside.locator("[data-pair-said]")).to_have_text("Number 00 and Number 01")
    cell.click()
    inside.wait_for_url("**one=*")
    expect(inside.get_by_role("heading", name="1 in both")).to_be_visible()


def test_every_page_about_segments_fits_a_narrow_screen(inside: Page, lapsed: Segment, anna: Customer) -> None:
    other = Segment.objects.create(key="long", name=LONG, condition='segments CONTAINS "lapsed"', size=9)
    cluster = Segment.objects.create(key="cluster-1", name="Big", kind="cluster", size=1)
    for segment in (lapsed, other, cluster):
        enters(segment, anna)
    for hours in range(1, 40):
        SegmentSize.objects.create(segment=other, hour=clock.now() - timedelta(hours=hours), size=hours * 1000)
    Recompute.objects.create(segment=other, total=100, done=10)
    inside.set_viewport_size(NARROW)
    segment = f"/admin/rules/segment/{other.pk}"
    addresses = [
        "/admin/rules/segment/",
        f"{segment}/change/?chart=hours",
        f"{segment}/members/?show=as-of",
        f"{segment}/why/?customer=u-1",
        "/admin/rules/segment/overlap/",
        f"/admin/rules/segment/overlap/?one={other.pk}&other={lapsed.pk}",
        f"/admin/rules/segment/migration/?segment={other.pk}&segment={lapsed.pk}&start=none&end={other.pk}",
        "/admin/rules/segment/migration/",
        "/admin/rules/segment/live/",
        f"/admin/customers/customer/{anna.pk}/change/",
    ]
    for address in addresses:
        inside.goto(address)
        inside.wait_for_load_state("load")
        wide: Any = inside.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{address} is {wide} pixels too wide"


def test_links_in_narrow_columns_stay_on_one_line(inside: Page, lapsed: Segment, anna: Customer) -> None:
    other = Segment.objects.create(key="long", name=LONG, condition="orders_30d >= 1", size=9)
    for segment in (lapsed, other):
        enters(segment, anna)
    inside.set_viewport_size({"width": 800, "height": 900})
    for address, name in (("overlap/", "show"), (f"migration/?segment={other.pk}&start=none&end={other.pk}", "why")):
        inside.goto(f"/admin/rules/segment/{address}")
        link = inside.locator(".console-table td a", has_text=name).last
        assert link.evaluate("link => link.getClientRects().length") == 1


def test_the_date_fields_icon_is_seen_in_the_dark(inside: Page) -> None:
    for address, kind in (("rules/segment/migration", "date"), ("customers/event", "datetime-local")):
        inside.goto(f"/admin/{address}/")
        scheme = f"() => getComputedStyle(document.querySelector('input[type={kind}]')).colorScheme"
        for dark in (True, False):
            inside.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", dark)
            assert (inside.evaluate(scheme) == "dark") is dark


def test_all_figures_of_a_comparison_of_clusterings_are_seen(
    inside: Page, clean_redis: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: now)
    fill(now)
    cluster(now, FAST)
    inside.set_viewport_size({"width": 1280, "height": 800})
    inside.goto("/admin/decisioning/artefact/clustering/")
    table = inside.locator(".clustering-table")
    score = table.locator("thead th").filter(has_text="Score")
    edge = table.evaluate("table => table.parentElement.getBoundingClientRect().right")
    assert score.evaluate("cell => cell.getBoundingClientRect().right") <= edge
    for cell in table.locator("tbody td.number").all():
        assert cell.evaluate("cell => cell.scrollWidth - cell.clientWidth") <= 0
