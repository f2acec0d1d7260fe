"""What every test may ask for: a fixed moment and an empty Redis."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from decisioning.store.connection import patient

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """A fixed moment."""
    return NOW


@pytest.fixture
def clean_redis() -> Iterator[redis.Redis]:
    """This worker's Redis database, emptied before and after."""
    patient().flushdb()
    yield patient()
    patient().flushdb()
