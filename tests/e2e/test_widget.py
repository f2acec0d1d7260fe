"""The widget in Chromium: what it asks, draws, tells, and what a visitor sees when nobody answers."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from . import slots
from .slots import STRICT, WIDGET, Site, item

pytestmark = pytest.mark.e2e
Visit = Callable[..., Page]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "widget.md"
SLOT = "[data-placement=hero]"
FAR = '<div style="height: 3000px"></div><div data-placement="foot">fallback</div>'
VIOLATIONS = """() => {
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective));
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with slots.site() as made:
        yield made


@pytest.fixture
def visit(chromium: Browser, site: Site) -> Iterator[Visit]:
    """Opens the site as somebody new, whose clock stands still; an error in a script fails the test."""
    context = chromium.new_context()
    wrong: list[str] = []

    def opened(path: str = "/", before: str = "") -> Page:
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.clock.install(time=0)
        page.clock.pause_at(1000)
        page.add_init_script(f"({VIOLATIONS})()")
        if before:
            page.add_init_script(before)
        page.goto(site.url + path)
        return page

    yield opened
    assert context.cookies() == []
    context.close()
    assert wrong == []


def settled(page: Page, slot: str = SLOT, state: str = "decided") -> None:
    """Wait until the slot's question is answered, one way or the other."""
    expect(page.locator(slot).first).to_have_attribute("data-decisioning", state)


def watched(page: Page, site: Site, kind: str, number: int) -> list[str]:
    """The tokens of so many outcomes, while the page's time goes on; no more come within two seconds of it."""
    for _ in range(100):
        if len(site.of(kind)) >= number:
            break
        page.clock.run_for(100)
        page.wait_for_timeout(20)
    page.clock.run_for(2000)
    page.wait_for_timeout(100)
    assert len(site.of(kind)) == number
    return site.of(kind)


def test_it_is_at_most_four_kilobytes_packed() -> None:
    assert len(gzip.compress(WIDGET.read_bytes(), 9)) <= 4096


def test_all_slots_in_view_are_one_question(site: Site, visit: Visit) -> None:
    site.body = '<div data-placement="hero" data-n="2">one</div><p data-placement="side">two</p>'
    site.items = {
        "hero": [item("apple", title="Apples"), item("pear", title="Pears")],
        "side": [item("fig", title="Figs")],
    }
    page = visit("/fruit?utm_source=mail")
    expect(page.locator(SLOT)).to_have_text("ApplesPears")
    expect(page.locator("[data-placement=side]")).to_have_text("Figs")
    [question] = site.asked
    assert question["placements"] == [{"key": "hero", "n": 2}, {"key": "side"}]
    assert question["mode"] == "execute"
    assert question["anonymous_id"] and "customer_id" not in question
    assert question["context"]["page"]["path"] == "/fruit"
    assert question["context"]["device"] == {"type": "desktop"}
    assert question["context"]["campaign"]["source"] == "mail"
    assert site.headers[0]["authorization"] == "Bearer k-1"
    assert "cookie" not in site.headers[0]


def test_templates_are_asked_to_be_filled(site: Site, visit: Visit) -> None:
    settled(visit())
    assert site.asked[0]["render"] is True


def test_each_content_has_the_class_that_the_page_tells(site: Site, visit: Visit) -> None:
    site.items["hero"] = [item("apple", title="Apples", text="Ripe", url="/apples"), item("pear", html="<b>Pears</b>")]
    page = visit()
    settled(page)
    expect(page.locator(f"{SLOT} > a.decisioning-item")).to_have_text("ApplesRipe")
    expect(page.locator(f"{SLOT} > a.decisioning-item")).to_have_attribute("href", "/apples")
    expect(page.locator(f"{SLOT} > div.decisioning-item")).to_have_text("Pears")
    expect(page.locator(f"{SLOT} .decisioning-url")).to_have_count(0)


def test_two_slots_of_one_placement_get_an_answer_each(site: Site, visit: Visit) -> None:
    site.body = '<div data-placement="hero">one</div>' * 23
    page = visit()
    expect(page.locator(f"{SLOT}[data-decisioning=decided]")).to_have_count(23)
    assert sorted(len(question["placements"]) for question in site.asked) == [3, 20]


def test_a_strict_policy_is_not_violated(site: Site, visit: Visit) -> None:
    site.policy = STRICT
    site.items["hero"] = [item("apple", title="Apples", text="Ripe", url="/apples")]
    page = visit()
    expect(page.get_by_role("link")).to_have_text("ApplesRipe")
    page.get_by_role("link").evaluate("link => link.addEventListener('click', (event) => event.preventDefault())")
    page.get_by_role("link").click()
    watched(page, site, "impression", 1)
    assert site.of("click") == site.of("impression")
    assert page.evaluate("violations") == []


def test_who_answers_too_late_is_not_waited_for(site: Site, visit: Visit) -> None:
    site.open.clear()
    page = visit()
    slot = page.locator(SLOT)
    settled(page, state="asked")
    expect(slot).to_have_css("opacity", "0")
    page.clock.run_for(799)
    expect(slot).to_have_css("opacity", "0")
    page.clock.run_for(1)
    expect(slot).to_have_css("opacity", "1")
    settled(page, state="fallback")
    site.open.set()
    watched(page, site, "impression", 0)
    expect(slot).to_have_text("fallback")


def test_the_time_to_wait_is_the_pages_to_choose(site: Site, visit: Visit) -> None:
    site.options = 'data-timeout="250"'
    site.open.clear()
    page = visit()
    settled(page, state="asked")
    page.clock.run_for(250)
    settled(page, state="fallback")


@pytest.mark.parametrize(
    ("status", "raw"), [(500, b"oops"), (401, b'{"error": {}}'), (200, b"<html>"), (200, b"{}"), (200, b"null")]
)
def test_an_api_that_fails_leaves_what_is_there(site: Site, visit: Visit, status: int, raw: bytes) -> None:
    site.status, site.raw = status, raw
    page = visit()
    settled(page, state="fallback")
    expect(page.locator(SLOT)).to_have_text("fallback")
    expect(page.locator(SLOT)).to_have_css("opacity", "1")


def test_nothing_to_show_and_nobody_there_leave_what_is_there(site: Site, visit: Visit) -> None:
    site.items["hero"] = []
    site.options = 'data-explain data-repeats="off"'
    page = visit(before="addEventListener('decisioning:fallback', (event) => { window.reason = event.detail.reason })")
    settled(page, state="fallback")
    assert page.evaluate("reason") == "empty"
    assert (site.asked[0]["explain"], site.asked[0]["no_repeats"]) == (True, True)
    page.context.set_offline(True)
    page.evaluate("decisioning.refresh()")
    page.wait_for_function("reason === 'error'")
    expect(page.locator(SLOT)).to_have_text("fallback")


def test_an_impression_is_a_second_in_view_and_counts_once(site: Site, visit: Visit) -> None:
    page = visit()
    settled(page)
    page.clock.run_for(990)
    page.wait_for_timeout(100)
    assert site.told == []
    [token] = watched(page, site, "impression", 1)
    first = site.told[0]["message_id"]
    page.reload()
    settled(page)
    watched(page, site, "impression", 2)
    # The same decision came from the cache: for the ledger it is a retry.
    assert site.told[1]["message_id"] == first
    assert first.endswith(token[-60:])
    assert len(first) <= 100


def test_what_is_looked_at_for_less_than_a_second_is_not_seen(site: Site, visit: Visit) -> None:
    site.body += FAR
    page = visit()
    settled(page)
    page.wait_for_timeout(100)
    page.clock.run_for(700)
    page.evaluate("scrollTo(0, 1000)")
    page.wait_for_timeout(100)
    watched(page, site, "impression", 0)
    page.evaluate("scrollTo(0, 0)")
    watched(page, site, "impression", 1)


def test_a_hidden_tab_sees_nothing(site: Site, visit: Visit) -> None:
    page = visit()
    settled(page)
    hide = "on => { Object.defineProperty(document, 'hidden', {value: on, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')) }"
    page.evaluate(hide, True)
    watched(page, site, "impression", 0)
    page.evaluate(hide, False)
    watched(page, site, "impression", 1)


def test_a_slot_far_below_is_asked_for_as_it_comes_near(site: Site, visit: Visit) -> None:
    site.body += FAR
    site.items["foot"] = [item("fig", title="Figs")]
    page = visit()
    settled(page)
    assert [question["placements"] for question in site.asked] == [[{"key": "hero"}]]
    bottom = "scrollTo(0, document.querySelector('[data-placement=foot]').offsetTop - innerHeight - 100)"
    page.evaluate(bottom)
    settled(page, "[data-placement=foot]")
    assert site.asked[1]["mode"] == "prefetch"
    watched(page, site, "impression", 0)
    page.evaluate("scrollTo(0, 9999)")
    assert watched(page, site, "impression", 1) == [site.items["foot"][0]["token"]]


def test_a_click_is_told_once_even_as_the_page_is_left(site: Site, visit: Visit) -> None:
    site.items["hero"] = [item("apple", title="Apples", url="/apples")]
    page = visit()
    page.get_by_role("link").click()
    page.wait_for_url("**/apples")
    for _ in range(100):
        if site.told:
            break
        page.wait_for_timeout(20)
    assert [(one["type"], one["token"]) for one in site.told] == [("click", site.items["hero"][0]["token"])]
    page.go_back()
    page.get_by_role("link").click(modifiers=["Shift"])
    page.wait_for_timeout(200)
    assert len({one["message_id"] for one in site.told if one["type"] == "click"}) == 1


def test_an_outcome_that_could_not_be_stored_is_told_again_under_the_same_id(site: Site, visit: Visit) -> None:
    site.outcome_status = 503
    page = visit()
    settled(page)
    for _ in range(100):
        page.clock.run_for(500)
        page.wait_for_timeout(30)
        if len(site.told) == 2:
            site.outcome_status = 200
    assert [one["type"] for one in site.told] == ["impression"] * 3
    assert len({one["message_id"] for one in site.told}) == 1


def test_a_visitor_keeps_the_id_unless_told_not_to(site: Site, visit: Visit) -> None:
    settled(visit())
    settled(visit("/next"))
    first, second = (question["anonymous_id"] for question in site.asked)
    assert first == second
    site.options = 'data-anonymous="off"'
    page = visit()
    settled(page)
    assert page.evaluate("Object.keys(localStorage)") == []
    assert site.asked[-1]["anonymous_id"] not in (first, page.evaluate("localStorage['decisioning.anonymous_id']"))


def test_storage_that_is_forbidden_stops_nothing(site: Site, visit: Visit) -> None:
    blocked = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
    page = visit(before=blocked)
    settled(page)
    assert len(site.asked[0]["anonymous_id"]) > 20


def test_a_pages_own_template_is_filled(site: Site, visit: Visit) -> None:
    site.body += """<template data-for="hero"><article><h2 data-field="title"></h2><img data-field="image">
      <p data-field="text">none</p><a data-field="url">More</a></article></template>"""
    site.items["hero"] = [item("apple", title="<b>Apples</b>", image="/apple.png", url="apples")]
    page = visit()
    expect(page.get_by_role("heading")).to_have_text("<b>Apples</b>")
    expect(page.locator("article img")).to_have_attribute("src", "/apple.png")
    expect(page.locator("article p")).to_have_count(0)
    expect(page.get_by_role("link", name="More")).to_have_attribute("href", "apples")
    expect(page.locator("article")).to_have_attribute("data-item", "apple")


def test_contents_cannot_run_scripts(site: Site, visit: Visit) -> None:
    evil = (
        "<p onclick='bad()' style='color:red'>Buy <b>now</b><script>bad()</script><a href='java\tscript:bad()'>here</a>"
    )
    evil += "<img src=x onerror='bad()' alt='A pear'><iframe srcdoc='<b>bad'></iframe><style>*{}</style></p>"
    site.items["hero"] = [
        item("a", html=evil, title="<img src=x onerror=bad()>"),
        item("b", title="B", url=" javascript:bad()", image="javascript:bad()"),
    ]
    page = visit(before="window.bad = () => { window.harmed = true }")
    settled(page)
    expect(page.locator(f"{SLOT} p")).to_have_text("Buy nowhere")
    attributes = "all => all.flatMap((one) => one.getAttributeNames())"
    inside = page.locator(f"{SLOT} .decisioning-html *").evaluate_all(attributes)
    assert set(inside) <= {"src", "alt"}
    expect(page.locator(f"{SLOT} img[alt='A pear']")).to_have_count(1)
    expect(page.locator(f"{SLOT} [href]")).to_have_count(0)
    expect(page.locator(".decisioning-title").first).to_have_text("<img src=x onerror=bad()>")
    assert page.evaluate("window.harmed") is None


def test_under_trusted_types_html_is_shown_as_text(site: Site, visit: Visit) -> None:
    site.policy = STRICT
    site.items["hero"] = [item("a", html="<b>Bold</b>")]
    page = visit()
    expect(page.locator(SLOT)).to_have_text("<b>Bold</b>")


def test_a_page_may_draw_by_itself_and_outcomes_are_still_told(site: Site, visit: Visit) -> None:
    own = """addEventListener('decisioning:decided', (event) => {
      event.preventDefault();
      event.target.replaceChildren(...event.detail.items.map((one) => {
        const button = document.createElement('button');
        button.dataset.item = one.id;
        button.textContent = one.content.title + ' by me';
        return button;
      }));
    })"""
    site.items["hero"] = [item("apple", title="Apples"), item("pear", title="Pears")]
    page = visit(before=own)
    page.get_by_role("button", name="Pears by me").click()
    assert len(set(watched(page, site, "impression", 2))) == 2
    assert site.of("click") == [site.items["hero"][1]["token"]]


def test_a_page_of_one_document_asks_anew(site: Site, visit: Visit) -> None:
    site.options = 'data-customer="c-1"'
    page = visit()
    settled(page)
    assert (site.asked[0]["customer_id"], "anonymous_id" in site.asked[0]) == ("c-1", False)
    site.items = {"hero": [item("pear", title="Pears")], "side": [item("fig", title="Figs")]}
    page.evaluate("""() => {
      document.body.insertAdjacentHTML('beforeend', '<p data-placement="side">new</p>');
      decisioning.refresh({ customer: 'c-2', context: { device: { type: 'kiosk' } } });
    }""")
    expect(page.locator(SLOT)).to_have_text("Pears")
    expect(page.locator("[data-placement=side]")).to_have_text("Figs")
    assert site.asked[1]["customer_id"] == "c-2"
    assert site.asked[1]["context"]["device"] == {"type": "kiosk"}
    site.items["hero"] = []
    page.evaluate("decisioning.reset()")
    expect(page.locator(SLOT)).to_have_text("fallback")
    assert site.asked[2]["anonymous_id"] == page.evaluate("decisioning.anonymousId")


def test_a_conversion_is_told_with_its_value(site: Site, visit: Visit) -> None:
    page = visit()
    settled(page)
    page.evaluate(
        "token => { for (let i = 0; i < 2; i++) decisioning.outcome(token, 'conversion', 42.5, 'order-7') }", "t" * 64
    )
    watched(page, site, "conversion", 1)
    told = next(one for one in site.told if one["type"] == "conversion")
    assert (told["value"], told["message_id"]) == (42.5, "conversion-order-7")


def documented(name: str) -> str:
    """An example of the widget's page, by its language and name."""
    found = re.search(rf"^```{name}\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert found, f"docs/widget.md has no example {name!r}"
    return found[1]


def test_the_documented_page_template_and_script_work(site: Site, visit: Visit) -> None:
    head, _, slot = documented("html page").partition("\n\n")
    assert head.count("https://decide.example/static/decisioning/widget.js") == 1
    site.body = slot + documented("html template")
    site.items["hero"] = [item("apple", title="Apples", url="/a"), item("pear", title="Pears", url="/p")]
    page = visit()
    expect(page.get_by_role("heading")).to_have_text(["Apples", "Pears"])
    assert site.asked[0]["placements"] == [{"key": "hero", "n": 2}]
    page = visit(before=documented("js own"))
    expect(page.get_by_role("button")).to_have_text(["Apples", "Pears"])
    page.get_by_role("button", name="Pears").click()
    watched(page, site, "click", 1)
    assert site.of("click") == [site.items["hero"][1]["token"]]


def test_the_documented_style_hides_a_slot_no_longer_than_it_says(site: Site, visit: Visit) -> None:
    site.body = f"<style>{documented('css')}</style>" + site.body
    site.open.clear()
    page = visit()
    settled(page, state="asked")
    page.clock.run_for(800)
    settled(page, state="fallback")
    expect(page.locator(SLOT)).to_have_css("opacity", "1")
