"""API keys in a browser: made, copied and rotated by a person; used by pages of two origins."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from decisioning.models import ApiKey
from decisioning.store import keys
from tests.api.ringed import *  # noqa: F403  (the ring of this process)
from tests.flows.conftest import *  # noqa: F403  (the small site)

pytestmark = pytest.mark.e2e
ASK = """async ([url, key]) => {
  const body = JSON.stringify({customer_id: "c-1", placements: ["hero"]});
  const headers = {Authorization: `Bearer ${key}`, "Content-Type": "application/json"};
  try {
    const answer = await fetch(`${url}/v1/decide`, {method: "POST", headers, body});
    return [answer.status, answer.headers.get("Server-Timing") || ""];
  } catch (error) {
    return [0, error.name];
  }
}"""


def test_a_key_is_made_copied_and_rotated(inside: Page) -> None:
    inside.context.grant_permissions(["clipboard-read", "clipboard-write"])
    inside.goto("/admin/decisioning/apikey/")
    inside.get_by_role("link", name="Make an API key").click()
    inside.get_by_label("Name").fill("Shop pages")
    inside.get_by_label("decide: ask for decisions").check()
    inside.get_by_label("Origins").fill("https://shop.example")
    inside.get_by_role("button", name="Save", exact=True).click()
    inside.get_by_role("button", name="Copy the key").click()
    inside.get_by_text("Copied.").wait_for()
    first = inside.evaluate("navigator.clipboard.readText()")
    row = ApiKey.objects.get()
    assert keys.digest_of(first) == row.digest
    inside.get_by_role("button", name="Copy the line").click()
    inside.get_by_text("Copied.").nth(1).wait_for()
    assert f"Authorization: Bearer {first}" in inside.evaluate("navigator.clipboard.readText()")
    inside.goto(f"/admin/decisioning/apikey/{row.pk}/change/")
    inside.get_by_role("link", name="Rotate").click()
    inside.get_by_label("The present key ends").select_option("in a day")
    inside.get_by_role("button", name="Rotate").click()
    inside.get_by_text("Copy this key now").wait_for()
    assert keys.digest_of(inside.locator("#secret").inner_text()) == ApiKey.objects.get(predecessor=row).digest
    inside.get_by_role("link", name="I have copied it").click()
    inside.get_by_text("rotated, ends in").wait_for()


def test_browsers_hand_an_answer_only_to_pages_that_the_key_is_for(
    chromium: Browser, live_server: LiveServer, new_key: Any
) -> None:
    # The same server under another name is another origin.
    elsewhere = live_server.url.replace("localhost", "127.0.0.1")
    meant, other, server = (
        new_key("decide", origins=[elsewhere]),
        new_key("decide", origins=["https://shop.example"]),
        new_key("decide"),
    )
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{elsewhere}/healthz")
    answers = [page.evaluate(ASK, [live_server.url, key]) for key in (meant, other, server)]
    context.close()
    status, timing = answers[0]
    assert status == 200
    assert timing.startswith("key;dur=")
    assert answers[1:] == [[0, "TypeError"], [0, "TypeError"]]
