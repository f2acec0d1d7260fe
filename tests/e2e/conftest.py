"""A real Chromium in front of a real server; pages report script errors and requests to other hosts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer

from tests.admin.shop import open_shop

from .flags import CHROMIUM, FLAGS

try:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
except ImportError:
    # `make test` runs without Playwright and leaves these tests out; `make e2e` installs it.
    collect_ignore_glob = ["test_*.py"]

LOCAL_SCHEMES = {"data", "blob", "about"}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium, or set CHROMIUM to where it is.")
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A new visitor. The test fails if a script failed, a file was missing, or another host was asked."""
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
    page.on("console", lambda line: wrong.append(f"console: {line.text}") if _alarming(line) else None)
    page.on(
        "response",
        lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    page.on("request", lambda request: wrong.extend(_foreign(request, live_server.url)))
    yield page
    context.close()
    assert wrong == []


def _alarming(line: ConsoleMessage) -> bool:
    """Errors, but for the one that shows a mail's preview cannot run scripts."""
    return line.type == "error" and "about:srcdoc" not in line.text


def _foreign(request: Request, home: str) -> list[str]:
    parts = urlsplit(request.url)
    foreign = parts.scheme not in LOCAL_SCHEMES and parts.netloc != urlsplit(home).netloc
    return [f"asked another host: {request.url}"] if foreign else []


@pytest.fixture
def marketer(transactional_db: None) -> User:
    return User.objects.create_superuser("mia", password="correct horse")


@pytest.fixture
def inside(page: Page, marketer: User) -> Page:
    """A marketer who has logged in through the form."""
    page.goto("/admin/")
    page.get_by_label("Username").fill("mia")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview").first.wait_for()
    return page


@pytest.fixture
def shop(transactional_db: None) -> dict[str, Any]:
    return open_shop()
