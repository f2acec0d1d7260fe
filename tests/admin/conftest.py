"""People who log in, and a shop for them to look after."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from decisioning.config import celery
from decisioning.console import pages
from decisioning.store.connection import patient

from .shop import open_shop


@pytest.fixture
def marketer(db: None) -> User:
    return User.objects.create(username="mia", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(marketer: User) -> Client:
    client = Client()
    client.force_login(marketer)
    return client


@pytest.fixture
def visitor(db: None) -> Client:
    """Somebody who may log in and may do nothing."""
    client = Client()
    client.force_login(User.objects.create(username="vic", is_staff=True))
    return client


@pytest.fixture
def committing(
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[Any]],
) -> Callable[[], AbstractContextManager[Any]]:
    """Runs what waits for the commit, inside the test's own transaction."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """The test's own Redis as the broker, emptied: no worker of another test hears of its tasks."""
    client = patient()
    client.delete("now", "later")
    parts = urlsplit(settings.REDIS_URL)
    number = client.connection_pool.connection_kwargs.get("db", 0)
    socket = f"redis+socket://{parts.path}?virtual_host={number}"
    monkeypatch.setenv("CELERY_BROKER_URL", socket if parts.scheme == "unix" else settings.REDIS_URL)
    app = Celery("test")
    app.conf.update(task_routes=celery.app.conf.task_routes, task_default_queue=celery.NOW)
    monkeypatch.setattr(pages, "app", app)
    return client


@pytest.fixture
def shop(db: None) -> dict[str, Any]:
    return open_shop()
