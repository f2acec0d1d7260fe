"""What every test may ask for: a fixed moment and an empty Redis."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from decisioning.customers.identity import known as identity
from decisioning.customers.identity import meeting
from decisioning.customers.intake import letters
from decisioning.customers.plan import observed, planning, tally
from decisioning.flows import standing
from decisioning.store.connection import patient

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """A fixed moment."""
    return NOW


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What a process remembers of its database is of another database in the next test."""
    identity.known.ids.clear()
    meeting.forget_seen()
    planning.forget()
    tally.tally.forget()
    observed.notebook.forget()
    letters.allowance.forget()
    standing.forget()


@pytest.fixture
def clean_redis() -> Iterator[redis.Redis]:
    """This worker's Redis database, emptied before and after."""
    patient().flushdb()
    yield patient()
    patient().flushdb()
