"""A marketer in a browser: is shown the wrong character, mends the rule, publishes, and opens every page."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from decisioning.models import Snapshot
from rules.models import Revision, Rule

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

WRONG = 'IF divice = "kiosk" THEN HIDE "fuel-coupon"'
RIGHT = 'IF device = "kiosk" THEN HIDE "fuel-coupon"'


def test_a_marketer_is_shown_the_wrong_character_mends_it_and_publishes(inside: Page, shop: dict[str, Any]) -> None:
    inside.locator("#nav-sidebar-apps").get_by_role("link", name="Rules").click()
    inside.get_by_role("link", name="Eco first").click()
    text = inside.get_by_label("Text")
    text.fill(WRONG)
    answer = inside.locator(".language-editor-answer")
    expect(answer).to_contain_text("Line 1, column 4")
    expect(answer.locator("pre")).to_have_text(f"{WRONG}\n   ^^^^^^")
    expect(inside.locator(".language-editor-marks mark")).to_have_text("divice")
    expect(text).to_have_attribute("aria-invalid", "true")
    inside.get_by_role("button", name="Save and publish").click()
    expect(inside.get_by_text("Please correct the error")).to_be_visible()
    assert Revision.objects.count() == 1
    inside.get_by_label("Text").fill(RIGHT)
    expect(inside.locator(".language-editor-answer")).to_contain_text("No problems found")
    inside.get_by_role("button", name="Save and publish").click()
    expect(inside.get_by_text("published as revision 2")).to_be_visible()
    newest = Snapshot.objects.latest("number").number
    expect(inside.get_by_text(f"Published as snapshot {newest}; live within a second.")).to_be_visible()
    assert Rule.objects.get(key="eco").published.text == RIGHT


def test_the_editor_works_with_the_keyboard_alone(inside: Page, shop: dict[str, Any]) -> None:
    inside.goto(f"/admin/rules/rule/{shop['rules_rule'].pk}/change/")
    inside.get_by_label("Text").focus()
    inside.keyboard.press("Control+A")
    inside.keyboard.type('IF device = "kiosk"\nTHEN SHOW "eco-baner"')
    expect(inside.locator(".language-editor-answer")).to_contain_text("Line 2, column 11")
    inside.keyboard.press("Tab")
    expect(inside.locator(".language-editor-place").first).to_be_focused()
    inside.keyboard.press("Enter")
    expect(inside.get_by_label("Text")).to_be_focused()
    selected = inside.evaluate("() => window.getSelection().toString()")
    assert selected == '"eco-baner"'
    inside.keyboard.type('"eco-banner"')
    expect(inside.locator(".language-editor-answer")).to_contain_text("No problems found")
    inside.get_by_label("Name").focus()
    inside.keyboard.press("Enter")
    expect(inside.get_by_text("Saved as a draft")).to_be_visible()
    assert Revision.objects.count() == 1


def test_a_marketer_rolls_back(inside: Page, shop: dict[str, Any]) -> None:
    inside.goto(f"/admin/rules/rule/{shop['rules_rule'].pk}/change/")
    inside.get_by_label("Text").fill(RIGHT)
    inside.get_by_role("button", name="Save and publish").click()
    expect(inside.get_by_text("published as revision 2")).to_be_visible()
    inside.get_by_role("link", name="Roll back to this revision").last.click()
    expect(inside.get_by_text("Afterwards")).to_be_visible()
    inside.get_by_role("button", name="Roll back to revision 1").click()
    expect(inside.get_by_text("decisions follow revision 3")).to_be_visible()


def test_every_page_opens_without_a_script_error_or_a_request_elsewhere(inside: Page, shop: dict[str, Any]) -> None:
    inside.goto("/admin/")
    menu = inside.locator("#nav-sidebar-apps a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert len(menu) == 32
    rows = [f"/admin/{name.replace('_', '/', 1)}/{row.pk}/change/" for name, row in shop.items()]
    forms = [f"/admin/{name}/add/" for name in ("rules/rule", "rules/segment", "campaigns/content")]
    for address in [*menu, *rows, *forms]:
        inside.goto(address)
        inside.wait_for_load_state("networkidle")
        expect(inside.locator("#main, main, #content-main, #content").first).to_be_attached()
