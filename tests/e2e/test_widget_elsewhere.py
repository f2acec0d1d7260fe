"""The widget on a page of another origin than the server: it decides, shows and counts, or leaves the page be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from campaigns.models import Content, Placement
from decisioning.models import Decision, Outcome
from decisioning.store import keys, snapshot

from ..clients.serving import serving, until
from . import slots

pytestmark = [pytest.mark.e2e, pytest.mark.django_db]
SLOT = "[data-placement=hero]"
SCRIPT = "/static/decisioning/widget.js"
VIOLATIONS = """() => {
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective));
}"""
Visit = Callable[[str], Page]


class Server(NamedTuple):
    """The product's address, and keys by whose they are."""

    url: str
    keys: dict[str, str]


@pytest.fixture(scope="module")
def server(
    chromium: Browser,
    elsewhere: slots.Site,
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """The running product with one content to show. Chromium comes first, as in other tests with both."""
    with django_db_blocker.unblock(), serving(tmp_path_factory.mktemp("web")) as made:
        placement = Placement.objects.create(key="hero", name="Hero", count=1, policy="greedy", exploration=0)
        body = {"title": "Apples", "text": "Ripe", "url": "#apples"}
        Content.objects.create(key="apple", name="Apples", body=body).placements.set([placement])
        whose = {"this page": elsewhere.url, "another page": "https://shop.example"}
        known = {name: keys.create(name, ["decide", "track"], origins=[url])[1] for name, url in whose.items()}
        snapshot.build()
        # Processes that start know every key and the snapshot with their first request.
        made.kill()
        made.start()
        made.ready()
        yield Server(made.url, {**known, "nobody": "dk_0000_no-such-key"})


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[slots.Site]:
    """Another origin, with a page of the strictest policy that lets the product's script and calls through."""
    with slots.site() as made:
        yield made


@pytest.fixture
def visit(chromium: Browser, server: Server, elsewhere: slots.Site) -> Iterator[Visit]:
    """Opens the page with a key, as somebody new; an error in a script fails the test."""
    elsewhere.policy = (
        f"default-src 'none'; script-src {server.url}{SCRIPT}; connect-src {server.url}; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    elsewhere.source = server.url + SCRIPT
    # Loaded machines answer late; what is tested is not how fast they are.
    elsewhere.options = 'data-timeout="30000"'
    context = chromium.new_context()
    wrong: list[str] = []

    def opened(whose: str) -> Page:
        elsewhere.key = server.keys[whose]
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.add_init_script(f"({VIOLATIONS})()")
        page.goto(elsewhere.url)
        return page

    yield opened
    assert context.cookies() == []
    context.close()
    assert wrong == []


def test_it_decides_shows_and_counts_under_a_strict_policy(visit: Visit) -> None:
    page = visit("this page")
    slot = page.locator(SLOT)
    expect(slot).to_have_attribute("data-decisioning", "decided")
    expect(slot).to_have_text("ApplesRipe")
    expect(slot).to_have_css("opacity", "1")
    until("the impression is stored", Outcome.objects.filter(content="apple", kind="impression").exists)
    page.get_by_role("link").click()
    until("the click is stored", Outcome.objects.filter(content="apple", kind="click").exists)
    until("the decision is in the ledger", Decision.objects.filter(placement="hero").exists)
    decision = Decision.objects.get(placement="hero")
    assert set(Outcome.objects.values_list("decision_id", flat=True)) == {decision.pk}
    assert page.evaluate("violations") == []


@pytest.mark.parametrize("whose", ["another page", "nobody"])
def test_a_key_that_is_not_for_this_page_leaves_what_is_there(visit: Visit, whose: str) -> None:
    before = Decision.objects.count()
    page = visit(whose)
    slot = page.locator(SLOT)
    expect(slot).to_have_attribute("data-decisioning", "fallback")
    expect(slot).to_have_text("fallback")
    expect(slot).to_have_css("opacity", "1")
    assert page.evaluate("violations") == []
    assert Decision.objects.count() == before
