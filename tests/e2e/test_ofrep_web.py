"""npm's `@openfeature/ofrep-web-provider` in Chromium, on a page of another origin, against a running server."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response

from decisioning.models import Decision
from decisioning.store import keys

from ..clients.ofrep import RULE, ask, example, furnish, publish, publish_rule
from ..clients.serving import Site, serving, until
from .test_browser_client import shop as static

pytestmark = [pytest.mark.e2e, pytest.mark.django_db]
# Where the browser finds what the page imports: the packages as npm has them, without a bundler.
IMPORTS = {
    "@openfeature/core": "core/dist/esm/index.js",
    "@openfeature/web-sdk": "web-sdk/dist/esm/index.js",
    "@openfeature/ofrep-core": "ofrep-web-provider/node_modules/@openfeature/ofrep-core/index.esm.js",
    "@openfeature/ofrep-web-provider": "ofrep-web-provider/index.esm.js",
}
HTML = """<!doctype html><title>Shop</title><script type="importmap">{"imports": {%s}}</script>
<script type="module">
%s
window.client = client;
window.OpenFeature = OpenFeature;
</script>"""
BULK = "/ofrep/v1/evaluate/flags"


class Visit:
    """A page with the documentation's example; the answers it got."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.answers: list[Response] = []
        page.on("response", lambda answer: self.answers.append(answer) if self._is_bulk(answer) else None)

    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]

    def settled(self) -> list[int]:
        """The same after a moment in which the browser's news may come in."""
        self.page.wait_for_timeout(50)
        return self.statuses()

    def flag(self, way: str, *words: Any) -> Any:
        """What the client says of a flag, as `getStringDetails("key", default)` does."""
        return self.page.evaluate("([way, ...words]) => client[way](...words)", [way, *words])

    def again(self) -> Response:
        """The browser's window comes back into view, for which the provider asks anew."""
        with self.page.expect_response(self._is_bulk) as got:
            self.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        return got.value

    def _is_bulk(self, answer: Response) -> bool:
        return answer.url.endswith(BULK) and answer.request.method == "POST"


@pytest.fixture(scope="module")
def site(chromium: Browser, django_db_setup: None, django_db_blocker, tmp_path_factory) -> Iterator[Site]:
    """A running server with the placements of the page. Chromium comes first, as in the other client's tests."""
    with django_db_blocker.unblock(), serving(tmp_path_factory.mktemp("web")) as made:
        furnish(made)
        yield made


@pytest.fixture(scope="module")
def page_key(site: Site, django_db_blocker) -> str:
    """A key for pages of any origin."""
    with django_db_blocker.unblock():
        key = keys.create("page", ["decide"], origins=["*"])[1]
        until("the key is known", lambda: ask(site, "/hero", {"targetingKey": "c-1"}, key=key)[0] == 200)
    return key


@pytest.fixture
def visit(chromium: Browser, site: Site, page_key: str, tmp_path: Path) -> Iterator[Callable[[], Visit]]:
    """Opens the page's example in a browser that knows nothing yet; a script's error fails the test."""
    packages = os.environ.get("NODE_PACKAGES") or pytest.fail("NODE_PACKAGES is not set: run this with `make e2e`.")
    (tmp_path / "npm").symlink_to(Path(packages) / "@openfeature")
    (tmp_path / "favicon.ico").touch()
    places = ", ".join(f'"{name}": "/npm/{place}"' for name, place in IMPORTS.items())
    script = example("js web", site).replace(site.key, page_key)
    (tmp_path / "index.html").write_text(HTML % (places, script))
    context = chromium.new_context()
    wrong: list[str] = []
    with static(tmp_path) as home:

        def open_page() -> Visit:
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
            made = Visit(page)
            page.goto(home)
            page.wait_for_function("() => window.client && document.body.dataset.colour")
            return made

        yield open_page
        context.close()
    assert wrong == []


def test_a_page_of_another_origin_gets_every_flag_with_one_question(visit: Callable[[], Visit]) -> None:
    here = visit()
    assert here.page.evaluate("() => ({ ...document.body.dataset })") == {"colour": "green", "checkout": "false"}
    assert here.statuses() == [200]
    assert here.flag("getNumberValue", "max-items", 1) == 12
    assert here.flag("getNumberValue", "discount", 0) == 0.25
    assert here.flag("getObjectValue", "hero", {}) == {"name": "Apples", "title": "Apples"}
    empty = here.flag("getStringDetails", "empty", "from the code")
    assert (empty["value"], empty["reason"]) == ("from the code", "DEFAULT")
    missing = here.flag("getBooleanDetails", "new-chekout", True)
    assert (missing["value"], missing["errorCode"]) == (True, "FLAG_NOT_FOUND")
    assert here.statuses() == [200]


def test_what_the_page_has_is_asked_for_with_its_tag_and_not_decided_again(visit: Callable[[], Visit]) -> None:
    here = visit()
    first = here.flag("getBooleanDetails", "new-checkout", True)["flagMetadata"]
    until("the ledger is written", lambda: Decision.objects.filter(id=first["decision_id"]).exists())
    before = Decision.objects.count()
    assert [here.again().status for _ in range(2)] == [304, 304]
    assert here.flag("getBooleanDetails", "new-checkout", True)["flagMetadata"]["token"] == first["token"]
    here.page.evaluate("() => OpenFeature.setContext({ targetingKey: 'c-1' })")
    known = here.flag("getBooleanDetails", "new-checkout", False)
    assert (known["value"], known["reason"]) == (True, "TARGETING_MATCH")
    until("the new decision is written", lambda: _written(known["flagMetadata"]["decision_id"]))
    assert Decision.objects.count() == before + 6


def test_what_is_published_reaches_the_page_when_it_asks_again(site: Site, visit: Callable[[], Visit]) -> None:
    here = visit()
    try:
        publish_rule('IF age IS MISSING THEN SHOW "checkout-new"')
        publish(site)
        assert here.again().status == 200
        here.page.wait_for_function("() => client.getBooleanValue('new-checkout', false)")
    finally:
        publish_rule(RULE)
        publish(site)


def test_a_page_that_is_opened_again_shows_at_once_what_it_had(visit: Callable[[], Visit]) -> None:
    visit()
    again = visit()
    assert again.page.evaluate("() => document.body.dataset.colour") == "green"
    until("the provider asked in the background", lambda: again.settled() != [])
    assert again.statuses() == [304]


def _written(decision_id: str) -> bool:
    return Decision.objects.filter(id=decision_id).exists()
