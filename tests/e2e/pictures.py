"""A running demo in; the README's pictures of its admin, as PNG files in docs/images, out.

Run with the demo's address and login, and the id of a decision worth looking at:
`python -m tests.e2e.pictures http://localhost:8000 admin PASSWORD DECISION_ID`.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from .flags import CHROMIUM, FLAGS

TARGET = Path(__file__).resolve().parents[2] / "docs" / "images"
WINDOW = {"width": 1360, "height": 860}
WRONG = 'IF customer_segment = "Produce fans"\n   AND orders_30 >= 2\nTHEN BOOST TAGGED "nutrition" BY 1.5'


def take(address: str, user: str, password: str, decision: str) -> None:
    """Log in and photograph overview, rules, a rule with an error, and a decision with its reasons."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(base_url=address, viewport=WINDOW)
        page.goto("/admin/")
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        shoot(page, "overview", whole=True)
        page.goto("/admin/rules/rule/")
        shoot(page, "rules")
        page.get_by_role("link", name="Nutrition").first.click()
        page.get_by_label("Text").fill(WRONG)
        page.locator(".language-editor-problem").first.wait_for()
        shoot(page, "rule")
        page.goto(f"/admin/decisioning/decision/{decision}/change/")
        shoot(page, "decision", whole=True)
        browser.close()


def shoot(page: Page, name: str, whole: bool = False) -> None:
    """One picture; a whole page is photographed in a window as high as its content."""
    page.wait_for_load_state("networkidle")
    if whole:
        height = int(page.evaluate("() => document.documentElement.scrollHeight"))
        page.set_viewport_size({**WINDOW, "height": max(WINDOW["height"], min(height, 1120))})
    page.wait_for_timeout(400)
    TARGET.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=TARGET / f"{name}.png")
    page.set_viewport_size(WINDOW)


if __name__ == "__main__":
    take(*sys.argv[1:5])
