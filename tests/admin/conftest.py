"""People who log in, and a shop for them to look after."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

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


@pytest.fixture
def shop(db: None) -> dict[str, Any]:
    return open_shop()
