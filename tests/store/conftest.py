"""A folder for the archive, and customers to put into it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from decisioning.customers.models import Customer
from decisioning.store import frames


@pytest.fixture
def archive_folder(settings, tmp_path) -> Path:
    """An empty folder that ARCHIVE_URL names."""
    folder = tmp_path / "archive"
    settings.ARCHIVE_URL = str(folder)
    settings.STATE_DIR = tmp_path / "state"
    frames.forget()
    return folder


@pytest.fixture
def customer(db, now) -> Callable[..., Customer]:
    """Makes a customer with facts, as if they had been computed."""

    def made(key: str, facts: dict[str, Any] | None = None, at: datetime | None = None) -> Customer:
        return Customer.objects.create(key=key, facts=facts or {}, facts_at=at or now, facts_version=1)

    return made
