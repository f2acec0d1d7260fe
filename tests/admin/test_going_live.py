"""What the user is told after a commit: which snapshot carries it, or why none does; the save stands."""

import json
from typing import Any

import pytest
import redis
from celery import Celery
from django.test import Client
from redis.backoff import NoBackoff
from redis.retry import Retry

from campaigns.models import Content
from decisioning.console import pages
from decisioning.engine.types import SnapshotData
from decisioning.models import Snapshot
from decisioning.store import snapshot

from .shop import NO_REACTIONS

pytestmark = pytest.mark.django_db(transaction=True)


def save(browser: Client, content: Content) -> str:
    """Rename a content in the browser; the page that follows."""
    form = {
        "name": "Fuel for less",
        "body": "{}",
        "attributes": "{}",
        "tags": "",
        "value": "1",
        "active": "on",
    }
    page = browser.post(f"/admin/campaigns/content/{content.pk}/change/", form, follow=True)
    assert Content.objects.get(pk=content.pk).name == "Fuel for less"
    return page.content.decode()


def test_a_save_names_the_snapshot_that_carries_it(browser: Client, shop: dict[str, Any]) -> None:
    page = save(browser, shop["campaigns_content"])
    number = Snapshot.objects.latest("number").number
    assert f"Published as snapshot {number}; live within a second." in page
    pointer = pages.patient().get(snapshot.POINTER)
    assert pointer is not None and int(pointer) == number


def test_when_redis_is_away_the_save_stands_and_the_user_is_told(
    browser: Client, shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = redis.Redis(unix_socket_path="/nowhere.sock", retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(snapshot, "patient", lambda: dead)
    monkeypatch.setattr(pages, "patient", lambda: dead)
    assert "but Redis cannot be reached" in save(browser, shop["campaigns_content"])
    assert Snapshot.objects.count() == 1


def test_when_no_snapshot_can_be_built_the_save_stands_and_the_user_is_told(
    browser: Client, shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> SnapshotData:
        raise ValueError("a row that cannot be frozen")

    monkeypatch.setattr(snapshot, "freeze", unreadable)
    assert "Saved, but no snapshot could be built" in save(browser, shop["campaigns_content"])
    assert Snapshot.objects.count() == 0


def test_the_worker_is_asked_to_find_the_members_of_a_changed_segment(
    browser: Client, shop: dict[str, Any], broker: redis.Redis
) -> None:
    segment = shop["rules_segment"]
    form = {"name": segment.name, "kind": "condition", "condition": segment.condition, "active": "on", **NO_REACTIONS}
    address = f"/admin/rules/segment/{segment.pk}/change/"
    assert "was asked" not in browser.post(address, form, follow=True).content.decode()
    assert "was asked" in browser.post(address, form | {"condition": 'device = "web"'}, follow=True).content.decode()
    (message,) = broker.lrange("later", 0, -1)
    assert json.loads(message)["headers"]["task"] == "decisioning.tasks.refresh_segment"
    assert json.loads(message)["headers"]["argsrepr"] == f"[{segment.pk}]"


def test_when_the_worker_cannot_be_asked_the_segment_is_saved_and_the_user_is_told(
    browser: Client, shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis+socket:///nowhere.sock")
    monkeypatch.setattr(pages, "app", Celery("dead"))
    action = {"action": "refresh_selected", "_selected_action": [shop["rules_segment"].pk]}
    page = browser.post("/admin/rules/segment/", action, follow=True).content.decode()
    assert "could not be asked to find the members of Kiosk users" in page
