"""Segment's and RudderStack's browser bundles in Chromium, on a page of another origin, against a running server."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from decisioning.customers.models import Event, Identity

from ..clients.page import example
from ..clients.serving import Site, events_of, serving, until

pytestmark = [pytest.mark.e2e, pytest.mark.django_db]
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
BUNDLES = {
    "segment": "@segment/analytics-next/dist/umd",
    "rudder": "@rudderstack/analytics-js/dist/npm/modern/bundled/umd",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def shop(folder: Path) -> Iterator[str]:
    """A web server of static files on a port of its own, as a shop has; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def site(chromium: Browser, django_db_setup: None, django_db_blocker, tmp_path_factory) -> Iterator[Site]:
    """A running server. It commits, so nothing is rolled back; everything is emptied after the file's last test.

    Chromium comes first: Django would open one connection before Playwright's event loop runs, and another within it.
    """
    with django_db_blocker.unblock(), serving(tmp_path_factory.mktemp("web")) as made:
        yield made


@pytest.fixture
def visit(chromium: Browser, site: Site, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens an example of the documentation as a visitor does; a script's error or a foreign address fails the test."""
    packages = os.environ.get("NODE_PACKAGES") or pytest.fail("NODE_PACKAGES is not set: run this with `make e2e`.")
    for name, place in BUNDLES.items():
        (tmp_path / name).symlink_to(Path(packages) / place)
    (tmp_path / "favicon.ico").touch()
    opened: list[BrowserContext] = []
    wrong: list[str] = []
    with shop(tmp_path) as home:

        def open_page(name: str, user_agent: str | None = CHROME) -> Page:
            (tmp_path / "index.html").write_text(example(name, site.url, site.key))
            opened.append(chromium.new_context(user_agent=user_agent))
            page = opened[-1].new_page()
            page.set_default_timeout(10_000)
            page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
            page.on("request", lambda request: wrong.extend(elsewhere(request, (home, site.url))))
            page.goto(home)
            return page

        yield open_page
        for context in opened:
            context.close()
    assert wrong == []


def elsewhere(request: Request, homes: tuple[str, str]) -> list[str]:
    """The request where it goes to neither the shop nor the server."""
    return [] if request.url.startswith((*homes, "about:")) else [f"asked another host: {request.url}"]


def anonymous_id(page: Page) -> str:
    """What the client calls this visitor."""
    return str(page.evaluate("async () => (await analytics.user()).anonymousId()"))


def test_a_visitor_who_logs_in_becomes_one_customer_with_all_that_was_done_before(
    site: Site, visit: Callable[..., Page]
) -> None:
    page = visit("html segment")
    visitor = anonymous_id(page)
    page.evaluate("() => analytics.page('Shoes', 'Sneakers')")
    page.evaluate("() => analytics.identify('eve', { email: 'Eve@Shop.example' })")
    page.evaluate("() => analytics.track('Product Added', { sku: 'A-1' })")
    page.evaluate("() => analytics.track('Order Completed', { total: 42.5 })")
    until("everything is stored", lambda: len(events_of(visitor)) == 2 and len(events_of("eve")) == 3)
    site.consume()
    known = {one.value: one.customer for one in Identity.objects.select_related("customer")}
    assert known[visitor] == known["eve"] == known["eve@shop.example"]
    assert known["eve"].key == "eve"
    stored = list(Event.objects.filter(identity__customer=known["eve"]).order_by("timestamp"))
    assert [event.name for event in stored] == ["Home", "Sneakers", "identify", "Product Added", "Order Completed"]
    assert [event.source for event in stored] == ["/v1/p", "/v1/p", "/v1/i", "/v1/t", "/v1/t"]
    assert stored[1].properties["category"] == "Shoes"
    assert {event.context["userAgent"] for event in stored} == {CHROME}
    assert not any(event.bot for event in stored)


def test_a_browser_that_a_program_drives_is_a_bot(site: Site, visit: Callable[..., Page]) -> None:
    page = visit("html segment", user_agent=None)
    visitor = anonymous_id(page)
    until("the page is stored", lambda: len(events_of(visitor)) == 1)
    [event] = events_of(visitor)
    assert "HeadlessChrome" in event.context["userAgent"]
    assert event.bot


def test_what_is_collected_goes_out_when_the_visitor_leaves(site: Site, visit: Callable[..., Page]) -> None:
    page = visit("html segment batching")
    visitor = anonymous_id(page)
    for number in range(3):
        page.evaluate("number => { analytics.track('Clicked', { number }) }", number)
    page.evaluate("async () => { await analytics.ready() }")
    assert events_of(visitor) == []
    page.goto("about:blank")
    until("the batch is stored", lambda: len(events_of(visitor)) == 3)
    assert [event.properties["number"] for event in events_of(visitor)] == [0, 1, 2]
    assert {event.source for event in events_of(visitor)} == {"/v1/b"}


def test_while_the_database_is_busy_the_browser_waits_and_the_event_counts_once(
    site: Site, visit: Callable[..., Page]
) -> None:
    page = visit("html segment")
    visitor = anonymous_id(page)
    until("the page is stored", lambda: len(events_of(visitor)) == 1)
    with psycopg.connect(site.variables["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE customers_receipt IN ACCESS EXCLUSIVE MODE")
        with page.expect_response(lambda answer: answer.status == 503):
            page.evaluate("() => { analytics.track('Clicked') }")
        other.rollback()
    until("it was sent again", lambda: len(events_of(visitor)) == 2)
    assert [event.name for event in events_of(visitor)] == ["Home", "Clicked"]


def test_a_site_with_the_snippet_keeps_what_was_called_before_the_script_came(
    site: Site, visit: Callable[..., Page]
) -> None:
    page = visit("html segment snippet")
    page.wait_for_function("() => analytics.user")
    visitor = anonymous_id(page)
    until("the page is stored", lambda: len(events_of(visitor)) == 1)
    assert events_of(visitor)[0].name == "Home"


@pytest.mark.parametrize("beacon", [False, True], ids=["requests", "beacons"])
def test_rudderstacks_client_sends_what_segments_does(site: Site, visit: Callable[..., Page], beacon: bool) -> None:
    page = visit("html rudder beacon" if beacon else "html rudder")
    page.evaluate("() => new Promise((resolve) => analytics.ready(resolve))")
    visitor = page.evaluate("() => analytics.getAnonymousId()")
    user = "dan-by-beacon" if beacon else "dan"
    page.evaluate("user => analytics.identify(user, { email: `${user}@shop.example` })", user)
    page.evaluate("() => analytics.track('Order Completed', { total: 42.5 })")
    if beacon:
        page.goto("about:blank")
    until("everything is stored", lambda: len(events_of(user)) == 2 and len(events_of(visitor)) == 1)
    site.consume()
    known = {one.value: one.customer for one in Identity.objects.select_related("customer")}
    assert known[visitor] == known[user] == known[f"{user}@shop.example"]
    names = {event.name: event for event in (*events_of(visitor), *events_of(user))}
    assert set(names) == {"Home", "identify", "Order Completed"}
    assert names["identify"].properties == {"email": f"{user}@shop.example"}
    assert {event.source.startswith("/beacon/") for event in names.values()} == {beacon}
    assert not any(event.bot for event in names.values())
